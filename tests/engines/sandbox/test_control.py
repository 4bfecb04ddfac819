"""Driving the network from outside, and what it shows."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from tests.support.engines import Sandbox, jid, settle, text, until
from wagate.engines.base import Arrived, ChatMarked, PeopleSeen, Receipt
from wagate.engines.sandbox.people import lid_of
from wagate.errors import BadRequest, NotAMember, NotFound, NotGroupAdmin, Refused
from wagate.model.groups import GroupSeen, MembersChanged
from wagate.model.sandbox import ListFrames, ListShown

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
ABSENT, OFF = "9993000001", "9992000001"
NO_GROUP = "120363999999999999@g.us"


async def test_who_is_not_here_does_not_speak(world: Sandbox) -> None:
    group = (await world.group(ANN, [jid(BEN)])).group_jid
    for sender, to, error in (
        ("4915112345678", jid(ANN), BadRequest),
        (ABSENT, jid(ANN), Refused),
        (ANN, jid(ABSENT), Refused),
        (CAT, group, Refused),
        (ANN, NO_GROUP, NotFound),
        (ANN, "nonsense", BadRequest),
    ):
        with pytest.raises(error):
            await world.say(sender, to)


async def test_what_is_unknown_is_not_found(world: Sandbox) -> None:
    with pytest.raises(NotFound):
        await world.truth(NO_GROUP)
    with pytest.raises(NotFound):
        await world.move(NO_GROUP, ANN, "leave")
    with pytest.raises(NotFound):
        await world.acknowledge(BEN, "W1")
    with pytest.raises(NotFound) as caught:
        await world.fault("refuse", session="nobody")
    assert caught.value.message == "session not found"
    wire_id = await world.say(ANN, jid(BEN))
    with pytest.raises(NotFound):
        await world.acknowledge(CAT, wire_id)


async def test_every_form_of_an_address_is_the_person(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    for sender in (lid_of(BEN), f"+{BEN[:3]} {BEN[3:]}", f"{BEN}@c.us", jid(BEN)):
        await world.say(sender, lid_of(ANN))
    await until(lambda: len(sink.of(Arrived)) == 4)
    assert {arrived.sender_lid for arrived in sink.of(Arrived)} == {lid_of(BEN)}
    await connection.send(text("W1", f"{BEN}@s.whatsapp.net"))
    await world.pass_time(1)
    assert {(receipt.chat, receipt.sender) for receipt in sink.of(Receipt)} == {(jid(BEN), jid(BEN))}


async def test_who_writes_as_a_lid_tells_no_number(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    group = (await world.group(ANN, [jid(BEN)])).group_jid
    for to in (jid(ANN), group):
        await world.say(lid_of(BEN), to)
        await world.say(BEN, to)
    await until(lambda: len(sink.of(Arrived)) == 4)
    await settle()
    told = [(arrived.chat, arrived.sender, arrived.sender_lid) for arrived in sink.of(Arrived)]
    assert told == [
        (lid_of(BEN), UNSET, lid_of(BEN)),
        (jid(BEN), jid(BEN), lid_of(BEN)),
        (group, UNSET, lid_of(BEN)),
        (group, jid(BEN), lid_of(BEN)),
    ]
    assert {copy.status for copy in await world.shown() if copy.recipient == jid(ANN)} == {"delivered"}
    await connection.read(lid_of(BEN), UNSET, [sink.of(Arrived)[0].wire_id])
    assert (await world.shown(sink.of(Arrived)[0].wire_id))[0].status == "read"
    sink.calls.clear()
    await connection.send(text("W1", lid_of(BEN)))
    await world.pass_time(1)
    assert {(receipt.chat, receipt.sender) for receipt in sink.of(Receipt)} == {(lid_of(BEN), lid_of(BEN))}
    assert [(copy.to, copy.recipient) for copy in await world.shown("W1")] == [(jid(BEN), jid(BEN))]


async def test_a_group_that_people_made(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    made = await world.group(BEN, [jid(ANN), jid(CAT), jid(ABSENT)], "Choir")
    await until(lambda: sink.of(GroupSeen))
    truth = await world.truth(made.group_jid)
    assert (truth.subject, truth.invite, truth.pending) == ("Choir", made.invite, [])
    assert await world.roles(made.group_jid) == {BEN: "superadmin", ANN: "member", CAT: "member"}
    await world.restart()
    assert await world.truth(made.group_jid) == truth


async def test_people_come_and_go(world: Sandbox) -> None:
    made = await world.group(ANN, [jid(BEN)])
    group = made.group_jid
    for step in ("join", "request"):
        with pytest.raises(BadRequest):
            await world.move(group, CAT, step, "stale")
    assert (await world.truth(group)).pending == []
    with pytest.raises(NotFound):
        await world.move(group, CAT, "promote")
    with pytest.raises(NotGroupAdmin):
        await world.move(group, ANN, "demote")
    with pytest.raises(NotAMember):
        await world.move(group, CAT, "leave")
    await world.move(group, CAT, "join", made.invite)
    await world.move(group, OFF, "join")
    await world.move(group, CAT, "promote")
    await world.move(group, "9994000001", "request")
    assert await world.roles(group) == {ANN: "superadmin", BEN: "member", CAT: "admin", OFF: "member"}
    assert (await world.truth(group)).pending == ["9994000001@s.whatsapp.net"]
    await world.move(group, CAT, "demote")
    await world.move(group, ANN, "leave")
    assert await world.roles(group) == {BEN: "admin", CAT: "member", OFF: "member"}


async def test_what_is_read_on_the_phone_is_read_in_its_sessions(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    group = (await world.group(BEN, [jid(ANN)])).group_jid
    for sender, to in ((BEN, jid(ANN)), (lid_of(CAT), jid(ANN)), (BEN, group)):
        await world.acknowledge(ANN, await world.say(sender, to))
    await until(lambda: len(sink.of(ChatMarked)) == 3)
    assert sink.of(ChatMarked) == [ChatMarked(chat=chat, read=True) for chat in (jid(BEN), lid_of(CAT), group)]


async def test_who_was_taken_out_is_told_in_the_same_words_as_who_left(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    group = (await world.group(BEN, [jid(ANN)])).group_jid
    await world.move(group, ANN, "leave")
    await until(lambda: sink.of(MembersChanged) and sink.of(MembersChanged)[-1].change == "leave")
    assert sink.of(MembersChanged)[-1].self_left


async def test_a_new_name_is_told_and_kept(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    await world.alter(BEN, name="Ben")
    await until(lambda: sink.of(PeopleSeen))
    assert sink.of(PeopleSeen)[0].people[0].push_name == "Ben"
    await world.restart()
    connection, again = await world.open("s1", jid=jid(ANN))
    await connection.connect()
    await world.say(BEN, jid(ANN))
    await until(lambda: again.of(Arrived))
    assert again.of(Arrived)[0].push_name == "Ben"


async def test_copies_are_listed_in_pages(world: Sandbox) -> None:
    group = (await world.group(ANN, [jid(BEN), jid(CAT)])).group_jid
    said = [await world.say(ANN, group if place % 2 else jid(BEN)) for place in range(6)]
    rows, after = [], ""
    while True:
        page = await world.drive(ListShown(to=None, sender=None, message=None, after=after, limit=2))
        rows += page.rows
        after = page.next
        if not after:
            break
    assert [(row.wa_message_id, row.recipient) for row in rows] == [
        (wire_id, jid(recipient))
        for place, wire_id in enumerate(said)
        for recipient in ([BEN, CAT] if place % 2 else [BEN])
    ]


@pytest.mark.parametrize(
    ("to", "sender", "count"),
    [
        (None, None, 5),
        (jid(BEN), None, 2),
        (BEN, None, 2),
        (None, BEN, 2),
        (lid_of(CAT), jid(ANN), 1),
        ("group", None, 2),
    ],
)
async def test_copies_are_filtered(world: Sandbox, to: str | None, sender: str | None, count: int) -> None:
    group = (await world.group(ANN, [jid(BEN), jid(CAT)])).group_jid
    await world.say(ANN, group)
    await world.say(BEN, jid(ANN))
    await world.say(ANN, jid(BEN))
    await world.say(BEN, jid(ANN))
    page = await world.drive(
        ListShown(to=group if to == "group" else to, sender=sender, message=None, after="", limit=50)
    )
    assert len(page.rows) == count


async def test_a_position_of_nowhere_is_refused(world: Sandbox) -> None:
    with pytest.raises(BadRequest):
        await world.drive(ListFrames(after="nonsense", limit=1))


async def test_frames_are_numbered_without_holes(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    for wire_id in ("W1", "W2", "W1"):
        await connection.send(text(wire_id, BEN))
    await world.restart()
    again, _ = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await again.send(text("W3", BEN))
    await settle()
    rows, after = [], ""
    while True:
        page = await world.drive(ListFrames(after=after, limit=2))
        rows += page.rows
        after = page.next
        if not after:
            break
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert [row.wa_message_id for row in rows if row.kind == "message"] == ["W1", "W2", "W1", "W3"]
