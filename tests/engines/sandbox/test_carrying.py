"""How people's phones and requested faults treat a message."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.engines import Recorder, Sandbox, jid, settle, text, until
from wagate.engines.base import Arrived, ConnectionLost, LineLost, Receipt
from wagate.errors import Refused, StorageUnavailable
from wagate.model.actions import CreateGroup, SetAnnounce
from wagate.model.contents import LocationContent, TextContent
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
UNREAD, OFF, ECHO, LOST, REFUSED, BREAKS, SLOW = (f"999{digit}000001" for digit in "1256789")


def statuses(sink: Recorder) -> list[str]:
    return [receipt.status for receipt in sink.of(Receipt)]


async def test_a_refusing_number_refuses_with_a_code(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    with pytest.raises(Refused) as caught:
        await connection.send(text("W1", REFUSED))
    assert caught.value.details == {"reason": "not_allowed", "certain": True, "waCode": 463}
    assert await world.shown("W1") == []
    assert await world.frames("W1") == 1


async def test_other_countries_and_channels_are_not_here(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    for chat in ("4915112345678@s.whatsapp.net", "100000000000000@lid", "120363000000000001@newsletter"):
        with pytest.raises(Refused):
            await connection.send(text("W1", chat))


async def test_a_blocking_person_gets_nothing(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.alter(BEN, blocked=True)
    assert await connection.send(text("W1", BEN))
    await world.pass_time(1)
    assert await world.shown("W1") == []
    assert not sink.reports


async def test_only_admins_speak_in_an_announcing_group(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="News", people=[jid(BEN)]))).group_jid
    await ours.perform(SetAnnounce(group=group, announce=True))
    with pytest.raises(Refused) as caught:
        await theirs.send(text("W1", group))
    assert caught.value.details["reason"] == "not_allowed"
    assert await ours.send(text("W2", group))


async def test_receipts_come_at_their_times(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.pass_time(0.019)
    assert statuses(sink) == []
    await world.pass_time(0.001)
    assert statuses(sink) == ["delivered"]
    await world.pass_time(0.039)
    assert statuses(sink) == ["delivered"]
    await world.pass_time(0.001)
    assert statuses(sink) == ["delivered", "read"]
    assert [copy.status for copy in await world.shown("W1")] == ["read"]


async def test_many_receipts_come_together(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    for place in range(50):
        await connection.send(text(f"W{place}", BEN))
    puts = world.stores("org_1").puts
    await world.pass_time(1)
    assert [len(receipt.wire_ids) for receipt in sink.of(Receipt)] == [50, 50]
    assert world.stores("org_1").puts - puts == 1


async def test_some_never_read(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", UNREAD))
    await world.pass_time(60)
    assert statuses(sink) == ["delivered"]


async def test_a_phone_that_is_off_gets_it_when_it_is_on(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", OFF))
    await world.pass_time(60)
    assert statuses(sink) == []
    assert [copy.status for copy in await world.shown("W1")] == ["sent"]
    await world.alter(OFF, online=True)
    await settle()
    assert statuses(sink) == ["delivered"]
    await world.alter(OFF, online=False)
    await connection.send(text("W2", OFF))
    await world.pass_time(60)
    assert statuses(sink) == ["delivered"]


async def test_a_phone_that_was_switched_on_takes_what_waited_before_a_restart(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", OFF))
    await world.restart()
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.alter(OFF, online=True)
    await settle()
    assert statuses(sink) == ["delivered"]


async def test_an_echo_answers_texts_once_and_never_an_echo(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", ECHO, "hello?"))
    await connection.send(Outgoing(wire_id="W2", chat=jid(ECHO), content=LocationContent(latitude=1, longitude=2)))
    await world.pass_time(1)
    (echo,) = sink.of(Arrived)
    assert (echo.chat, echo.content) == (jid(ECHO), TextContent(text="hello?"))
    await world.say(ECHO, jid("9995000002"))
    await world.pass_time(1)
    assert len(await world.shown(to=jid(ECHO))) == 3
    assert len(await world.shown(to=jid("9995000002"))) == 1


async def test_no_echo_in_groups(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    group = (await connection.perform(CreateGroup(subject="Team", people=[jid(ECHO)]))).group_jid
    await connection.send(text("W1", group))
    await world.pass_time(1)
    assert not sink.of(Arrived)


async def test_a_lost_acknowledgement_never_comes(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    sending = asyncio.ensure_future(connection.send(text("W1", LOST)))
    await world.pass_time(60)
    assert not sending.done()
    assert len(await world.shown("W1")) == 1
    assert not sink.reports
    sending.cancel()
    await world.acknowledge(LOST, "W1")
    await settle()
    assert statuses(sink) == ["read"]


async def test_a_hanging_send_ends_with_the_line(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    sending = asyncio.ensure_future(connection.send(text("W1", LOST)))
    await settle()
    await connection.close()
    with pytest.raises(ConnectionLost):
        await sending


async def test_a_breaking_line_shows_the_message_once(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    with pytest.raises(ConnectionLost):
        await connection.send(text("W1", BREAKS))
    await until(lambda: sink.of(LineLost))
    with pytest.raises(ConnectionLost):
        await connection.send(text("W1", BREAKS))
    stamp = world.clock.now()
    await world.pass_time(1)
    await connection.connect()
    assert (await connection.send(text("W1", BREAKS))).timestamp == stamp
    assert len(await world.shown("W1")) == 1
    assert await world.frames("W1") == 2
    await world.pass_time(1)
    assert statuses(sink) == ["delivered", "read"]


async def test_a_slow_acknowledgement_takes_two_seconds(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    stamp = world.clock.now()
    sending = asyncio.ensure_future(connection.send(text("W1", SLOW)))
    await world.pass_time(1.9)
    assert not sending.done()
    assert not sink.reports
    await world.pass_time(0.1)
    assert (await sending).timestamp == stamp


async def test_requested_faults_strike_ordinary_sends(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.fault("refuse", session="s1")
    with pytest.raises(Refused):
        await connection.send(text("W1", BEN))
    await world.fault("ack_delay")
    slow = asyncio.ensure_future(connection.send(text("W2", BEN)))
    await world.pass_time(1)
    assert not slow.done()
    await world.pass_time(1)
    await slow
    await world.fault("ack_lost")
    lost = asyncio.ensure_future(connection.send(text("W3", BEN)))
    await world.pass_time(60)
    assert not lost.done()
    lost.cancel()
    sink.calls.clear()
    # Sent again, it is acknowledged, and only then does the recipient's phone answer.
    assert await connection.send(text("W3", BEN))
    await world.pass_time(1)
    assert statuses(sink) == ["delivered", "read"]
    await world.fault("disconnect")
    with pytest.raises(ConnectionLost):
        await connection.send(text("W4", BEN))
    await connection.connect()
    assert await connection.send(text("W4", BEN))
    assert len(await world.shown("W4")) == 1


async def test_faults_survive_a_restart(world: Sandbox) -> None:
    await world.linked("s1", ANN)
    await world.fault("refuse", count=2)
    await world.restart()
    connection, _ = await world.open("s1", jid=jid(ANN))
    await connection.connect()
    for _ in range(2):
        with pytest.raises(Refused):
            await connection.send(text("W1", BEN))
    assert await connection.send(text("W1", BEN))


async def test_an_event_is_doubled_on_request(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    await world.fault("duplicate_event", session="s1")
    first = await world.say(BEN, jid(ANN))
    second = await world.say(BEN, jid(ANN))
    await until(lambda: len(sink.of(Arrived)) == 3)
    assert [arrived.wire_id for arrived in sink.of(Arrived)] == [first, first, second]


async def test_two_events_are_swapped_on_request(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    await world.fault("reorder_events")
    first = await world.say(BEN, jid(ANN))
    await settle()
    second = await world.say(BEN, jid(ANN))
    await world.pass_time(1)
    assert [arrived.wire_id for arrived in sink.of(Arrived)] == [second, first]
    await world.fault("reorder_events")
    alone = await world.say(BEN, jid(ANN))
    await world.pass_time(1)
    assert sink.of(Arrived)[-1].wire_id == alone


async def test_a_full_disk_acknowledges_nothing(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    store = world.stores("org_1")
    await connection.send(text("W0", BEN))
    store.full = True
    with pytest.raises(StorageUnavailable):
        await connection.send(text("W1", BEN))
    await world.pass_time(1)
    assert "read" not in statuses(sink)
    store.full = False
    await world.pass_time(3)
    assert statuses(sink) == ["delivered", "read"]
    assert await world.shown("W1") == []
    assert await connection.send(text("W1", BEN))
    assert len(await world.shown("W1")) == 1


async def test_phones_go_on_after_a_crash(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    for place in range(20):
        await connection.send(text(f"W{place}", BEN))
    await world.pass_time(0.030)
    await connection.send(text("LAST", ECHO))
    await world.crash()
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.pass_time(1)
    told = {(wire_id, receipt.status) for receipt in sink.of(Receipt) for wire_id in receipt.wire_ids}
    sent = [*(f"W{place}" for place in range(20)), "LAST"]
    assert told == {(wire_id, status) for wire_id in sent for status in ("delivered", "read")}
    assert len(sink.of(Arrived)) == 1


async def test_after_a_stop_in_good_order_nothing_is_told_twice(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", ECHO))
    await world.pass_time(1)
    await world.restart()
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.pass_time(1)
    assert not sink.reports


async def test_a_message_to_oneself(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    _, other = await world.linked("s2", ANN)
    await connection.send(text("W1", ANN, "note"))
    await world.pass_time(1)
    assert [(arrived.from_me, arrived.chat) for arrived in other.of(Arrived)] == [(True, jid(ANN))]
    assert not sink.of(Arrived)
    assert statuses(sink) == ["delivered", "read"]


async def test_a_played_message_is_told(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", UNREAD))
    await world.pass_time(1)
    await world.acknowledge(UNREAD, "W1", "play")
    await settle()
    assert statuses(sink) == ["delivered", "played"]
    await world.acknowledge(UNREAD, "W1", "read")
    await settle()
    assert statuses(sink) == ["delivered", "played"]
