from __future__ import annotations

import pytest

from tests.support.engines import Sandbox, jid, settle, text
from wagate.engines.base import Arrived, Ended, LinkEnded
from wagate.engines.sandbox.people import lid_of
from wagate.errors import BadRequest, Conflict, NotFound, Refused
from wagate.model.actions import RequestCode

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


async def test_without_a_code_there_is_nothing_to_scan(world: Sandbox) -> None:
    with pytest.raises(Conflict):
        await world.scan("s1", ANN)
    await world.linked("s1", ANN)
    with pytest.raises(Conflict):
        await world.scan("s1", ANN)
    connection, _ = await world.open("s2")
    await connection.link()
    await world.pass_time(400)
    with pytest.raises(Conflict):
        await world.scan("s2", ANN)


async def test_only_phones_of_the_sandbox_scan(world: Sandbox) -> None:
    connection, _ = await world.open("s1")
    await connection.link()
    for phone in ("+49 151 1234567", "nonsense", "999123"):
        with pytest.raises(BadRequest):
            await world.scan("s1", phone)
    with pytest.raises(Refused):
        await world.scan("s1", "9993000001")
    with pytest.raises(BadRequest):
        await connection.perform(RequestCode(phone="+49 151 1234567"))


async def test_a_typed_code_is_for_its_number_alone(world: Sandbox) -> None:
    connection, _ = await world.open("s1")
    await connection.perform(RequestCode(phone=ANN))
    with pytest.raises(BadRequest):
        await world.scan("s1", BEN)
    assert (await world.scan("s1")).wa_jid == jid(ANN)


async def test_a_typed_code_expires(world: Sandbox) -> None:
    connection, _ = await world.open("s1")
    code = await connection.perform(RequestCode(phone=ANN))
    assert code.expires_at == world.clock.now() + 160_000
    await world.pass_time(161)
    with pytest.raises(Conflict):
        await world.scan("s1", ANN)


async def test_a_fifth_device_is_refused(world: Sandbox) -> None:
    for place in range(4):
        await world.linked(f"s{place}", ANN)
    connection, _ = await world.open("s4")
    await connection.link()
    with pytest.raises(Refused) as caught:
        await world.scan("s4", ANN)
    assert caught.value.details["reason"] == "too_many_devices"
    assert await world.scan("s4", BEN)


async def test_without_a_phone_each_scan_takes_a_free_one(world: Sandbox) -> None:
    jids = set()
    for session in ("s1", "s2"):
        connection, _ = await world.open(session)
        await connection.link()
        scanned = await world.scan(session)
        assert scanned.wa_jid.startswith("9990")
        assert scanned.wa_lid == lid_of(scanned.wa_jid.partition("@")[0])
        jids.add(scanned.wa_jid)
    assert len(jids) == 2


async def test_what_is_unknown_or_unlinked_cannot_be_disturbed(world: Sandbox) -> None:
    with pytest.raises(NotFound) as caught:
        await world.disturb("s1", "unlink")
    assert caught.value.message == "session not found"
    await world.open("s2")
    with pytest.raises(NotFound):
        await world.disturb("s2", "unlink")
    connection, _ = await world.open("s3")
    await connection.link()
    with pytest.raises(Conflict):
        await world.disturb("s3", "unlink")


async def test_a_ban_ends_every_session_of_the_number_for_good(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    other, _ = await world.linked("s2", ANN)
    await other.close()
    await world.disturb("s1", "ban")
    assert sink.reports == [Ended(status="logged_out", reason="banned")]
    await connection.close()
    await world.restart()
    for session in ("s1", "s2"):
        again, _ = await world.open(session, jid=jid(ANN))
        with pytest.raises(LinkEnded) as caught:
            await again.connect()
        assert (caught.value.status, caught.value.reason) == ("logged_out", "banned")
    fresh, _ = await world.open("s3")
    await fresh.link()
    with pytest.raises(Refused):
        await world.scan("s3", ANN)
    others, _ = await world.linked("s4", BEN)
    with pytest.raises(Refused):
        await others.send(text("W1", ANN))


async def test_replaced_fails_and_may_come_back(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.disturb("s1", "replace")
    assert sink.reports == [Ended(status="failed", reason="replaced")]
    await connection.connect()
    assert await connection.send(text("W1", BEN))


async def test_a_session_links_again_to_another_number(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.say(BEN, jid(ANN), "for the first account")
    await settle()
    await connection.logout()
    await world.say(BEN, jid(ANN), "for nobody")
    await connection.close()
    again, sink = await world.linked("s1", BEN)
    await world.say(ANN, jid(BEN), "new")
    await settle()
    news = [arrived for arrived in sink.of(Arrived) if not arrived.history]
    assert [arrived.chat for arrived in news] == [jid(ANN)]
    assert await again.send(text("W1", ANN))


async def test_a_link_that_its_session_forgot_is_replaced(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.close()
    for place in range(3):
        await world.linked(f"t{place}", ANN)
    again, _ = await world.linked("s1", BEN)
    assert await again.send(text("W1", ANN))
    fresh, _ = await world.open("s9")
    await fresh.link()
    assert await world.scan("s9", ANN)


async def test_a_link_that_could_not_be_told_is_none(world: Sandbox) -> None:
    connection, sink = await world.open("s1")
    await connection.link()
    await settle()
    sink.failures = 1
    with pytest.raises(OSError, match="cannot commit"):
        await world.scan("s1", ANN)
    with pytest.raises(LinkEnded):
        await connection.connect()
    await connection.link()
    assert await world.scan("s1", ANN)


async def test_history_is_the_newest_hundred_of_the_persons_chats(world: Sandbox) -> None:
    group = (await world.group(BEN, [jid(ANN)])).group_jid
    await world.say(BEN, "9990000009", "not theirs")
    said = [await world.say(BEN, jid(ANN), f"{place}") for place in range(110)]
    said.append(await world.say(BEN, group, "in the group"))
    said.append(await world.say(ANN, jid(BEN), "own"))
    _, sink = await world.linked("s1", ANN)
    await settle()
    assert [arrived.wire_id for arrived in sink.of(Arrived)] == said[-100:]
    assert all(arrived.history for arrived in sink.of(Arrived))
    assert [arrived.from_me for arrived in sink.of(Arrived)][-2:] == [False, True]
