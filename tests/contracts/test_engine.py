"""What every engine promises. A fixture gives the engine together with a phone that drives its network from outside."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest

from tests.support.engines import NO_CHOICE, NO_TURNING, Sandbox, chosen, connected, jid, needs, settle, text, until
from wagate.engines.base import (
    Arrived,
    ConnectionLost,
    Ended,
    LineLost,
    Linked,
    LinkEnded,
    LinkTimedOut,
    QrShown,
    Receipt,
)
from wagate.errors import Refused, SessionNotConnected
from wagate.model.actions import (
    LeaveGroup,
    RequestCode,
    SessionAction,
)
from wagate.model.contents import Content, LocationContent
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

NO_LATE_ACK = "this engine acknowledges by itself; what is not committed is on disk"

ANN, BEN, CAT, DAN = "9990000001", "9990000002", "9990000003", "9990000004"
NOBODY = "9993000001"


# Lists.


async def test_the_engine_says_what_it_can(world: Sandbox) -> None:
    assert world.engine.actions <= set(get_args(SessionAction))
    assert world.engine.contents <= {kind.__struct_config__.tag for kind in get_args(Content)}
    assert world.engine.name


# Linking.


async def test_an_unlinked_session_cannot_connect(world: Sandbox) -> None:
    connection, _ = await world.open("s1")
    with pytest.raises(LinkEnded) as caught:
        await connection.connect()
    assert (caught.value.status, caught.value.reason) == ("logged_out", "unlinked")


async def test_nothing_goes_out_before_connect(world: Sandbox) -> None:
    connection, _ = await world.open("s1")
    with pytest.raises(ConnectionLost):
        await connection.send(text("W1", BEN))
    with pytest.raises(SessionNotConnected):
        await connection.perform(LeaveGroup(group="120363000000000001@g.us"))


async def test_codes_are_renewed_until_linking_times_out(world: Sandbox) -> None:
    needs((world.turns_clock, NO_TURNING))
    connection, sink = await world.open("s1")
    await connection.link()
    await until(lambda: sink.of(QrShown))
    await world.pass_time(59)
    assert len(sink.of(QrShown)) == 1
    await world.pass_time(2)
    assert len({shown.code for shown in sink.of(QrShown)}) == 2
    await world.pass_time(300)
    assert sink.of(LinkTimedOut) == [LinkTimedOut()]
    assert isinstance(sink.reports[-1], LinkTimedOut)


async def test_a_scan_links_and_the_session_connects(world: Sandbox) -> None:
    connection, sink = await world.open("s1")
    await connection.link()
    await world.scan("s1", ANN, "Ann")
    (linked,) = sink.of(Linked)
    assert (linked.pairing.jid, linked.pairing.name or "Ann") == (jid(ANN), "Ann")
    await connection.connect()
    await world.pass_time(400)
    assert not sink.of(LinkTimedOut)


async def test_a_code_to_type_links_too(world: Sandbox) -> None:
    connection, sink = await world.open("s1")
    code = await connection.perform(RequestCode(phone=ANN))
    assert len(code.code) == 9
    assert code.code[4] == "-"
    await world.scan("s1", ANN, code=code.code)
    assert sink.of(Linked)
    await connection.connect()


async def test_a_link_survives_a_restart(world: Sandbox) -> None:
    await world.linked("s1", ANN)
    await world.restart()
    connection, _ = await world.open("s1", jid=jid(ANN))
    await connection.connect()
    chosen(world, await connection.send(text("W1", BEN)), "W1")


async def test_unlinked_on_the_phone_ends_the_link(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.disturb("s1", "unlink")
    await until(lambda: sink.reports)
    assert sink.reports == [Ended(status="logged_out", reason="unlinked")]
    with pytest.raises(ConnectionLost):
        await connection.send(text("W1", BEN))
    with pytest.raises(LinkEnded):
        await connection.connect()


async def test_unlinked_while_offline_is_told_at_connect(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.close()
    await world.disturb("s1", "unlink")
    assert not sink.reports
    again, _ = await world.open("s1", jid=jid(ANN))
    with pytest.raises(LinkEnded):
        await connected(again)


async def test_logout_unlinks_and_is_no_news(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.logout()
    with pytest.raises(LinkEnded):
        await connection.connect()
    await connection.close()
    # It was asked for: whoever reads the log is not told that the phone did it.
    assert not sink.of(Ended)


async def test_a_forgotten_session_has_no_keys(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.close()
    await world.forget("s1", jid(ANN))
    again, _ = await world.open("s1")
    with pytest.raises(LinkEnded):
        await again.connect()


async def test_a_lost_line_is_told_and_comes_back(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.disturb("s1", "drop", seconds=5)
    await until(lambda: sink.reports)
    assert sink.reports == [LineLost()]
    with pytest.raises(ConnectionLost):
        await connection.connect()
    await world.pass_time(6)
    await connection.connect()
    assert await connection.send(text("W1", BEN))


# Sends.


async def test_a_number_without_an_account_is_refused(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    with pytest.raises(Refused) as caught:
        await connection.send(text("W1", NOBODY))
    assert caught.value.details["reason"] == "not_on_whatsapp"
    assert caught.value.certain
    assert await world.shown("W1") == []


async def test_a_send_is_acknowledged_and_shown_once(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    ack = await connection.send(text("W1", BEN))
    wire_id = chosen(world, ack, "W1")
    assert abs(ack.timestamp - world.clock.now()) <= (0 if world.turns_clock else 60_000)
    (copy,) = await world.shown(wire_id)
    assert (copy.from_, copy.recipient, copy.type) == (jid(ANN), jid(BEN), "text")
    assert not sink.of(Arrived)


async def test_receipts_tell_how_far_a_send_came(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    sent = chosen(world, await connection.send(text("W1", BEN)), "W1")
    await world.pass_time(1)
    await until(lambda: len(sink.of(Receipt)) == 2)
    told = [(receipt.chat, receipt.wire_ids, receipt.status, receipt.sender) for receipt in sink.of(Receipt)]
    assert told == [(jid(BEN), [sent], "delivered", jid(BEN)), (jid(BEN), [sent], "read", jid(BEN))]


async def test_the_same_wire_id_is_the_same_message(world: Sandbox) -> None:
    needs((world.engine.promises.chooses_wire_id, NO_CHOICE))
    connection, _ = await world.linked("s1", ANN)
    first = await connection.send(text("W1", BEN))
    await world.pass_time(10)
    assert await connection.send(text("W1", BEN)) == first
    assert len(await world.shown("W1")) == 1


async def test_the_same_wire_id_is_the_same_message_after_a_restart(world: Sandbox) -> None:
    needs((world.engine.promises.chooses_wire_id, NO_CHOICE))
    connection, _ = await world.linked("s1", ANN)
    first = await connection.send(text("W1", BEN))
    await world.restart()
    await world.pass_time(10)
    again, _ = await world.open("s1", jid=jid(ANN))
    await again.connect()
    assert await again.send(text("W1", BEN)) == first
    assert len(await world.shown("W1")) == 1


async def test_the_same_wire_id_twice_at_once_is_shown_once(world: Sandbox) -> None:
    needs((world.engine.promises.chooses_wire_id, NO_CHOICE))
    connection, _ = await world.linked("s1", ANN)
    first, second = await asyncio.gather(connection.send(text("W1", BEN)), connection.send(text("W1", BEN)))
    assert first == second
    assert len(await world.shown("W1")) == 1


@pytest.mark.parametrize("turns", range(8))
async def test_a_send_given_up_at_any_moment_can_be_sent_again(world: Sandbox, turns: int) -> None:
    needs((world.engine.promises.chooses_wire_id, NO_CHOICE))
    connection, sink = await world.linked("s1", ANN)
    sending = asyncio.ensure_future(connection.send(text("W1", BEN)))
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert (await connection.send(text("W1", BEN))).wire_id == "W1"
    assert len(await world.shown("W1")) == 1
    await world.pass_time(1)
    assert [receipt.status for receipt in sink.of(Receipt)] == ["delivered", "read"]


async def test_every_content_arrives_as_it_was_sent(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, theirs = await world.linked("s2", BEN)
    place = LocationContent(latitude=52.5, longitude=13.4, name="here")
    await connection.send(Outgoing(wire_id="W1", chat=jid(BEN), content=place))
    await until(lambda: theirs.of(Arrived))
    assert theirs.of(Arrived)[0].content == place


# What arrives.


async def test_a_message_arrives(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    wire_id = await world.say(BEN, jid(ANN), "hi")
    await until(lambda: sink.of(Arrived))
    (arrived,) = sink.of(Arrived)
    assert (arrived.wire_id, arrived.chat, arrived.sender, arrived.from_me) == (wire_id, jid(BEN), jid(BEN), False)
    assert str(arrived.sender_lid).endswith("@lid")
    assert not arrived.history


async def test_the_network_is_acknowledged_after_the_commit(world: Sandbox) -> None:
    needs((world.engine.promises.acks_after_commit, NO_LATE_ACK))
    _, sink = await world.linked("s1", ANN)
    sink.gate.clear()
    wire_id = await world.say(BEN, jid(ANN))
    await until(lambda: sink.holds(Arrived))
    assert [copy.status for copy in await world.shown(wire_id)] == ["sent"]
    sink.gate.set()
    await settle()
    assert [copy.status for copy in await world.shown(wire_id)] == ["delivered"]


async def test_what_could_not_be_committed_comes_again_in_order(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    sink.failures = 2
    said = [await world.say(BEN, jid(ANN), f"{number}") for number in range(3)]
    await world.pass_time(5)
    await until(lambda: len(sink.of(Arrived)) == 3)
    assert [arrived.wire_id for arrived in sink.of(Arrived)] == said


async def test_what_came_while_offline_arrives_at_connect_with_its_time(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.close()
    begun = world.clock.now()
    said = [await world.say(BEN, jid(ANN), f"{number}") for number in range(100)]
    ended = world.clock.now()
    await world.pass_time(60)
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await until(lambda: len(sink.of(Arrived)) == 100)
    assert [arrived.wire_id for arrived in sink.of(Arrived)] == said
    # A real network's stamps are whole seconds.
    assert {begun // 1000 <= arrived.timestamp // 1000 <= ended // 1000 for arrived in sink.of(Arrived)} == {True}


async def test_what_was_acknowledged_is_not_repeated(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.say(BEN, jid(ANN))
    await until(lambda: sink.of(Arrived))
    await settle()
    await connection.close()
    again, later = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.pass_time(0)
    after = await world.say(BEN, jid(ANN), "after that")
    await until(lambda: later.of(Arrived))
    assert [arrived.wire_id for arrived in later.of(Arrived)] == [after]


async def test_what_was_not_acknowledged_comes_after_a_crash(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    sink.gate.clear()
    wire_id = await world.say(BEN, jid(ANN))
    await until(lambda: sink.holds(Arrived))
    await world.crash()
    again, later = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await until(lambda: later.of(Arrived))
    assert later.of(Arrived)[0].wire_id == wire_id


async def test_receipts_that_came_while_offline_are_told_at_connect(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    await theirs.close()
    sent = chosen(world, await ours.send(text("W1", BEN)), "W1")
    await ours.close()
    theirs, heard = await world.open("s2", jid=jid(BEN))
    await theirs.connect()
    await until(lambda: heard.of(Arrived))
    await theirs.read(jid(ANN), jid(ANN), [sent])
    await world.pass_time(1)
    ours, sink = await world.open("s1", jid=jid(ANN))
    await ours.connect()
    told = {("delivered", sent), ("read", sent)}
    await until(lambda: {(receipt.status, *receipt.wire_ids) for receipt in sink.of(Receipt)} == told)


async def test_nothing_is_reported_after_close(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await connection.close()
    await connection.close()
    started = sink.started
    await world.say(BEN, jid(ANN))
    await world.pass_time(10)
    assert sink.started == started


async def test_close_ends_a_call_to_the_sink(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    sink.gate.clear()
    await world.say(BEN, jid(ANN))
    await until(lambda: sink.holds(Arrived))
    async with asyncio.timeout(60):
        await connection.close()


async def test_two_sessions_write_to_each_other(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    sent = chosen(world, await ours.send(text("W1", BEN)), "W1")
    await until(lambda: their_sink.of(Arrived) and our_sink.of(Receipt))
    await world.pass_time(5)
    assert [receipt.status for receipt in our_sink.of(Receipt)] == ["delivered"]
    await theirs.read(jid(ANN), jid(ANN), [sent])
    await theirs.read(jid(ANN), jid(ANN), [sent, "unknown"])
    # A real network carries what is said twice; the gateway takes the second as nothing.
    await until(lambda: len(our_sink.of(Receipt)) == (2 if world.turns_clock else 3))
    await settle()
    told = [receipt.status for receipt in our_sink.of(Receipt)]
    assert told == ["delivered", "read", *([] if world.turns_clock else ["read"])]


async def test_other_sessions_of_the_account_see_what_it_sends(world: Sandbox) -> None:
    first, first_sink = await world.linked("s1", ANN)
    _, second_sink = await world.linked("s2", ANN)
    await first.send(text("W1", BEN))
    await until(lambda: second_sink.of(Arrived))
    (arrived,) = second_sink.of(Arrived)
    assert (arrived.from_me, arrived.chat, arrived.sender) == (True, jid(BEN), jid(ANN))
    assert not first_sink.of(Arrived)


async def test_what_is_typed_on_the_phone_comes_as_from_me(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    await world.say(ANN, jid(BEN))
    await until(lambda: sink.of(Arrived))
    assert (sink.of(Arrived)[0].from_me, sink.of(Arrived)[0].chat) == (True, jid(BEN))


@pytest.mark.long_on_whatsapp
async def test_linking_replays_older_messages_as_history(world: Sandbox) -> None:
    older = await world.said_before(BEN, ANN)
    connection, sink = await world.open("s1")
    await connection.link()
    await world.scan("s1", ANN)
    await connection.connect()
    await until(lambda: sink.of(Arrived))
    newer = await world.say(BEN, jid(ANN))
    await until(lambda: len(sink.of(Arrived)) == 2)
    assert [(arrived.wire_id, arrived.history) for arrived in sink.of(Arrived)] == [(older, True), (newer, False)]
