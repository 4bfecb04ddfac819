"""Who may change what until when, and what phones show afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.engines import ORG, Sandbox, jid, settle, text, until
from wagate.engines.base import Arrived
from wagate.errors import NotFound, Refused, StorageUnavailable
from wagate.model.actions import CreateGroup, SetAnnounce
from wagate.model.contents import (
    Content,
    EditContent,
    GoneContent,
    ImageContent,
    LocationContent,
    PollContent,
    ReactionContent,
    RevokeContent,
    Target,
    TextContent,
)
from wagate.model.messages import Outgoing
from wagate.model.sandbox import ListFrames, Shown

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
MINE = Target(message_id="W1", from_me=True)
POLL = PollContent(name="when?", options=["a", "b", "c"], selectable_count=2)


def out(wire_id: str, content: Content, to: str = BEN) -> Outgoing:
    return Outgoing(wire_id=wire_id, chat=to if "@" in to else jid(to), content=content)


async def shown(world: Sandbox, message: str = "W1") -> Shown:
    return (await world.shown(message))[0]


# Refused.


@pytest.mark.parametrize("content", [POLL, LocationContent(latitude=1, longitude=2), None])
async def test_only_words_can_be_edited(world: Sandbox, content: Content | None) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(out("W1", content or TextContent(text="x")))
    if content is None:
        await connection.send(out("C0", RevokeContent(target=MINE)))
    with pytest.raises(Refused) as caught:
        await connection.send(out("C1", EditContent(target=MINE, text="y")))
    assert caught.value.details == {"reason": "not_allowed", "certain": True, "waCode": 403}
    assert not (await shown(world)).edited


@pytest.mark.parametrize("options", [["d"], ["a", "d"], ["a", "b", "c"], ["a", "a"]])
async def test_a_vote_that_the_poll_does_not_have_is_refused(world: Sandbox, options: list[str]) -> None:
    await world.linked("s1", ANN)
    poll = await world.speak(ANN, jid(BEN), POLL)
    with pytest.raises(Refused) as caught:
        await world.change(BEN, poll, "vote", options=options)
    assert caught.value.details["reason"] == "not_allowed"
    assert (await shown(world, poll)).votes == []


async def test_a_vote_on_what_is_no_poll_is_refused(world: Sandbox) -> None:
    words, gone = await world.say(BEN, jid(ANN)), await world.speak(BEN, jid(ANN), POLL)
    await world.change(BEN, gone, "revoke")
    for message in (words, gone):
        with pytest.raises(Refused):
            await world.change(ANN, message, "vote", options=["a"])


async def test_a_poll_that_has_ended_takes_no_vote(world: Sandbox) -> None:
    end = world.clock.now() + 60_000
    poll = await world.speak(BEN, jid(ANN), PollContent(name="?", options=["a", "b"], poll_end_time=end))
    await world.change(ANN, poll, "vote", options=["a"])
    await world.pass_time(60)
    with pytest.raises(Refused) as caught:
        await world.change(ANN, poll, "vote", options=["b"])
    assert caught.value.details["reason"] == "too_old"
    assert [vote.options for vote in (await shown(world, poll)).votes] == [["a"]]


async def test_who_had_not_the_message_cannot_change_it(world: Sandbox) -> None:
    wire_id = await world.say(BEN, jid(ANN))
    for what in ("react", "edit", "revoke", "vote"):
        with pytest.raises(NotFound):
            await world.change(CAT, wire_id, what, text="x")
    with pytest.raises(NotFound):
        await world.change(ANN, "nothing", "react", text="x")
    with pytest.raises(Refused):
        await world.change("9993000001", wire_id, "react", text="x")


async def test_people_change_their_own_messages_only(world: Sandbox) -> None:
    group = (await world.group(BEN, [jid(ANN), jid(CAT)])).group_jid
    wire_id = await world.say(ANN, group)
    for person, what in ((CAT, "revoke"), (CAT, "edit"), (BEN, "edit")):
        with pytest.raises(Refused) as caught:
            await world.change(person, wire_id, what, text="x")
        assert caught.value.details["reason"] == "not_allowed"
    await world.change(BEN, wire_id, "revoke")
    assert (await shown(world, wire_id)).revoked


async def test_a_change_that_cannot_be_kept_changes_nothing(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN, "one"))
    world.stores(ORG).full = True
    with pytest.raises(StorageUnavailable):
        await connection.send(out("C1", EditContent(target=MINE, text="two")))
    world.stores(ORG).full = False
    assert (await shown(world)).content == TextContent(text="one")
    assert not (await shown(world)).edited


# Done.


async def test_an_edit_is_shown(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN, "one"))
    await world.pass_time(15 * 60 - 1)
    await connection.send(out("C1", EditContent(target=MINE, text="two")))
    assert ((await shown(world)).content, (await shown(world)).edited) == (TextContent(text="two"), True)
    await connection.send(out("W1b", ImageContent(media=await world.file(caption="before"))))
    await connection.send(out("C2", EditContent(target=Target(message_id="W1b", from_me=True), text="after")))
    content = (await shown(world, "W1b")).content
    assert isinstance(content, ImageContent)
    assert content.media.caption == "after"


async def test_a_revoked_message_is_gone_from_every_phone(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.change(BEN, "W1", "react", text="?")
    await connection.send(out("C1", RevokeContent(target=MINE)))
    copy = await shown(world)
    assert (copy.content, copy.type, copy.revoked, copy.reactions) == (GoneContent(), "gone", True, [])
    await world.change(BEN, "W1", "react", text="?")
    assert (await shown(world)).reactions == []


async def test_a_revoked_message_is_not_replayed_at_linking(world: Sandbox) -> None:
    gone, kept = await world.say(BEN, jid(ANN), "1"), await world.say(BEN, jid(ANN), "2")
    await world.change(BEN, gone, "revoke")
    await world.change(BEN, kept, "edit", text="3")
    connection, sink = await world.open("s1")
    await connection.link()
    await world.scan("s1", ANN)
    await connection.connect()
    await until(lambda: sink.of(Arrived))
    await settle()
    assert [(each.wire_id, each.content) for each in sink.of(Arrived)] == [(kept, TextContent(text="3"))]


async def test_one_person_has_one_reaction(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    for emoji in ("1", "2"):
        await world.change(BEN, "W1", "react", text=emoji)
        await world.change(ANN, "W1", "react", text=emoji)
    assert [(each.sender_jid, each.emoji) for each in (await shown(world)).reactions] == [
        (jid(BEN), "2"),
        (jid(ANN), "2"),
    ]
    await world.change(BEN, "W1", "react", text="")
    assert [each.sender_jid for each in (await shown(world)).reactions] == [jid(ANN)]


async def test_the_latest_vote_counts_and_none_takes_it_back(world: Sandbox) -> None:
    poll = await world.speak(BEN, jid(ANN), POLL)
    for chosen in (["a"], ["b", "c"]):
        await world.change(ANN, poll, "vote", options=chosen)
    assert [(vote.sender_jid, vote.options) for vote in (await shown(world, poll)).votes] == [(jid(ANN), ["b", "c"])]
    await world.change(ANN, poll, "vote", options=[])
    assert (await shown(world, poll)).votes == []


async def test_what_changed_survives_a_restart(world: Sandbox) -> None:
    wire_id = await world.say(BEN, jid(ANN), "1")
    await world.change(BEN, wire_id, "edit", text="2")
    await world.change(ANN, wire_id, "react", text="!")
    before = await world.shown(wire_id)
    await world.restart()
    assert await world.shown(wire_id) == before


@pytest.mark.parametrize(
    ("target", "change"),
    [
        (Target(message_id="old", from_me=True), EditContent),
        (Target(message_id="old", from_me=True), RevokeContent),
        (Target(message_id="old", from_me=False, sender=jid(BEN)), ReactionContent),
    ],
)
async def test_a_change_of_an_unknown_message_is_carried(world: Sandbox, target: Target, change: Any) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, sink = await world.linked("s2", BEN)
    more = {"text": "x"} if change is EditContent else {"emoji": "x"} if change is ReactionContent else {}
    await connection.send(out("C1", change(target=target, **more)))
    await until(lambda: sink.of(Arrived))
    (message,) = sink.of(Arrived)
    sender = {} if not target.from_me else {"sender": jid(ANN)}
    assert message.content == change(
        target=Target(message_id="old", from_me=not target.from_me, **sender),
        **more,
    )
    assert await world.shown() == []


async def test_a_change_on_ones_phone_comes_as_from_me(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.change(ANN, "W1", "edit", text="better")
    await until(lambda: sink.of(Arrived))
    (message,) = sink.of(Arrived)
    assert (message.from_me, message.chat, message.content) == (True, jid(BEN), EditContent(target=MINE, text="better"))


async def test_where_only_admins_write_everybody_reacts_and_votes(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    group = (await connection.perform(CreateGroup(subject="News", people=[jid(BEN)]))).group_jid
    await connection.perform(SetAnnounce(group=group, announce=True))
    await connection.send(out("W1", POLL, group))
    await world.change(BEN, "W1", "react", text="!")
    await world.change(BEN, "W1", "vote", options=["a"])
    for person, what in ((CAT, "react"), (BEN, "edit")):
        with pytest.raises((NotFound, Refused)):
            await world.change(person, "W1", what, text="x")
    copy = await shown(world)
    assert (len(copy.reactions), len(copy.votes)) == (1, 1)


async def test_the_newest_message_with_the_id_is_meant(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    await ours.send(text("W1", BEN))
    await theirs.send(text("W1", ANN))
    await world.change(ANN, "W1", "react", text="!")
    assert [len(copy.reactions) for copy in await world.shown("W1")] == [0, 1]


async def test_each_change_has_a_frame_of_its_kind(world: Sandbox) -> None:
    poll = await world.speak(BEN, jid(ANN), POLL)
    await world.change(ANN, poll, "vote", options=["a"])
    await world.change(ANN, poll, "react", text="!")
    await world.change(BEN, poll, "revoke")
    frames = (await world.drive(ListFrames(after="", limit=100))).rows
    assert [frame.kind for frame in frames] == ["message", "poll_vote", "reaction", "revoke"]
    assert len(await world.shown()) == 1


async def test_changes_wait_for_who_is_offline_and_are_let_go_with_time(small: Sandbox) -> None:
    connection, _ = await small.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await connection.close()
    await small.change(BEN, "W1", "react", text="1")
    for place in range(1200):
        await small.say(BEN, jid(CAT), str(place))
    store = small.stores(ORG)
    await until(lambda: "f/000000000002" not in store.rows)
    assert not [key for key in store.keys if key.endswith(f"/{BEN}") and "reaction" in store.rows[key]]
    again, sink = await small.open("s1", jid=jid(ANN))
    await again.connect()
    await until(lambda: sink.of(Arrived))
    assert sink.of(Arrived)[0].content == ReactionContent(target=MINE, emoji="1")


@pytest.mark.parametrize("kind", ["duplicate_event", "reorder_events"])
async def test_changes_are_doubled_and_swapped_on_request(world: Sandbox, kind: str) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.pass_time(1)
    await world.fault(kind, session="s1")
    await world.change(BEN, "W1", "react", text="1")
    await world.change(BEN, "W1", "react", text="2")
    await world.pass_time(1)
    said = [getattr(message.content, "emoji", None) for message in sink.of(Arrived)]
    assert said == (["1", "1", "2"] if kind == "duplicate_event" else ["2", "1"])
