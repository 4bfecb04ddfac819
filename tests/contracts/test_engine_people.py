"""What every engine promises that performs actions about people, presence, calls and channels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.engines import Sandbox, chosen, jid, near, settle, text, until
from wagate.engines.base import (
    Arrived,
    CallRang,
    ChannelChanged,
    ChatMarked,
    GroupSeen,
    LineLost,
    PresenceHeard,
    Receipt,
)
from wagate.engines.sandbox.people import lid_of
from wagate.errors import NotAMember, NotFound, Refused, SessionNotConnected
from wagate.model.actions import (
    CheckContact,
    CreateChannel,
    FollowChannel,
    GetAbout,
    GetPicture,
    MarkRead,
    MuteChannel,
    SetBlocked,
    SetChatPresence,
    SetPresence,
    UnfollowChannel,
    WatchPresence,
)

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
NOBODY = "9993000001"
NO_GROUP, NO_CHANNEL = "120363999999999999@g.us", "120363999999999999@newsletter"


async def test_who_is_not_there_is_not_found(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    for action in (
        GetAbout(person=jid(NOBODY)),
        GetAbout(person="4915112345678@s.whatsapp.net"),
        GetPicture(jid=jid(NOBODY)),
        GetPicture(jid=jid(BEN)),
        SetBlocked(person=jid(NOBODY), blocked=True),
        FollowChannel(channel=NO_CHANNEL),
        UnfollowChannel(channel=NO_CHANNEL),
        MuteChannel(channel=NO_CHANNEL, mute=True),
    ):
        with pytest.raises(NotFound):
            await connection.perform(action)
    for chat in (NO_GROUP, (await world.group(BEN, [jid(CAT)])).group_jid):
        with pytest.raises(NotFound):
            await connection.perform(GetPicture(jid=chat))
        with pytest.raises(NotAMember):
            await connection.perform(WatchPresence(chat=chat))
    with pytest.raises(Refused):
        await connection.perform(SetBlocked(person=jid(ANN), blocked=True))
    assert sink.reports == []


async def test_nothing_is_performed_offline(world: Sandbox) -> None:
    connection, _ = await world.open("s1")
    for action in (SetPresence(online=True), CheckContact(phone=BEN), CreateChannel(name="News", description="")):
        with pytest.raises(SessionNotConnected):
            await connection.perform(action)


async def test_a_number_is_on_whatsapp_or_not(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.linked("s2", CAT)
    await world.disturb("s2", "ban")
    there = await connection.perform(CheckContact(phone=BEN))
    assert (there.query, there.is_on_whatsapp, there.jid, there.lid) == (BEN, True, jid(BEN), lid_of(BEN))
    for number in (NOBODY, CAT, "4915112345678"):
        absent = await connection.perform(CheckContact(phone=number))
        assert (absent.query, absent.is_on_whatsapp, absent.jid or "", absent.lid or "") == (number, False, "", "")


async def test_people_say_what_they_like_and_show_it_to_whom_they_like(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    assert (await connection.perform(GetAbout(person=jid(BEN)))).about == ""
    await world.alter(BEN, about="busy", picture=True)
    assert (await connection.perform(GetAbout(person=lid_of(BEN)))).about == "busy"
    first = (await connection.perform(GetPicture(jid=jid(BEN)))).id
    await world.alter(BEN, picture=True)
    assert (await connection.perform(GetPicture(jid=jid(BEN)))).id not in ("", first)
    await world.alter(BEN, blocked=True)
    assert (await connection.perform(GetAbout(person=jid(BEN)))).about == ""
    with pytest.raises(NotFound):
        await connection.perform(GetPicture(jid=jid(BEN)))
    await world.alter(BEN, blocked=False, picture=False)
    with pytest.raises(NotFound):
        await connection.perform(GetPicture(jid=jid(BEN)))


async def test_a_blocked_person_reaches_the_account_no_more(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    group = (await world.group(ANN, [jid(BEN)])).group_jid
    for _ in range(2):
        await connection.perform(SetBlocked(person=lid_of(BEN), blocked=True))
    await world.restart()
    connection, sink = await world.open("s1", jid=jid(ANN))
    await connection.connect()
    await world.say(BEN, jid(ANN), "unheard")
    await world.ring(BEN, jid(ANN))
    await world.say(CAT, jid(ANN), "heard")
    await world.say(BEN, group, "heard in the group")
    await until(lambda: len(sink.of(Arrived)) == 2)
    assert {arrived.content.text for arrived in sink.of(Arrived)} == {"heard", "heard in the group"}  # type: ignore[union-attr]
    for _ in range(2):
        await connection.perform(SetBlocked(person=jid(BEN), blocked=False))
    await world.say(BEN, jid(ANN), "again")
    await until(lambda: len(sink.of(Arrived)) == 3)
    assert sink.of(CallRang) == []


async def test_reading_is_told_to_the_author(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    sent = chosen(world, await theirs.send(text("W1", ANN)), "W1")
    await until(lambda: our_sink.of(Arrived) and sink.of(Receipt))
    for _ in range(2):
        await ours.perform(MarkRead(chat=jid(BEN), message_ids=[sent, "unknown"]))
    await until(lambda: "read" in [receipt.status for receipt in sink.of(Receipt)])
    # A real network carries what is said twice; the gateway takes the second as nothing.
    told = [receipt.status for receipt in sink.of(Receipt)].count("read")
    assert told == 1 or (told == 2 and not world.turns_clock)


def once_there(sink: Any) -> list[PresenceHeard]:
    """What was heard from when somebody came: a network may say before that they are away."""
    heard: list[PresenceHeard] = sink.of(PresenceHeard)
    return heard[next((place for place, each in enumerate(heard) if each.state == "available"), len(heard)) :]


async def test_who_is_watched_is_heard_of(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    _, other = await world.linked("s2", CAT)
    # A LID alone tells a client nothing: whose it is comes with a number that is looked up, or a message.
    await connection.perform(CheckContact(phone=BEN))
    first = await connection.perform(WatchPresence(chat=lid_of(BEN)))
    assert (first.from_, first.state) == (jid(BEN), "unknown")
    for number, change in enumerate(({"online": True}, {"typing": True}), start=1):
        await world.alter(BEN, **change)
        await until(lambda number=number: len(once_there(sink)) == number)  # type: ignore[misc]
    typing = await connection.perform(WatchPresence(chat=jid(BEN)))
    assert (typing.from_, typing.state, typing.media, typing.chat_jid) == (jid(BEN), "composing", "text", jid(BEN))
    await world.alter(BEN, typing=False)
    await world.pass_time(5)
    await world.alter(BEN, online=False)
    await until(lambda: once_there(sink)[-1].state == "unavailable")
    away = await connection.perform(WatchPresence(chat=jid(BEN)))
    assert (away.from_, away.state, away.unavailable) == (jid(BEN), "unavailable", True)
    near(world, away.last_seen, world.clock.now())
    heard = once_there(sink)
    assert heard[:3] == [
        PresenceHeard(person=jid(BEN), state="available"),
        PresenceHeard(person=jid(BEN), state="composing", chat=jid(BEN), media="text"),
        PresenceHeard(person=jid(BEN), state="paused", chat=jid(BEN)),
    ]
    assert all(each.state == "unavailable" for each in heard[3:])
    near(world, heard[3].last_seen, world.clock.now())
    assert other.of(PresenceHeard) == []


async def test_who_was_watched_is_heard_of_on_the_next_line_too(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.perform(WatchPresence(chat=jid(BEN)))
    await world.disturb("s1", "drop", seconds=1)
    await until(lambda: sink.of(LineLost))
    await world.pass_time(2)
    await connection.connect()
    await world.alter(BEN, online=True)
    await until(lambda: once_there(sink))


@pytest.mark.long_on_whatsapp
async def test_who_is_blocked_hears_of_nobody_and_is_not_heard_of(world: Sandbox) -> None:
    await world.named(ANN, BEN)
    ours, our_sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    await ours.perform(WatchPresence(chat=jid(BEN)))
    await theirs.perform(WatchPresence(chat=jid(ANN)))
    await ours.perform(SetBlocked(person=jid(BEN), blocked=True))
    for connection, other in ((ours, BEN), (theirs, ANN)):
        await connection.perform(SetPresence(online=True))
        await connection.perform(SetChatPresence(chat=jid(other), state="composing"))
        seen = await connection.perform(WatchPresence(chat=jid(other)))
        assert seen.state in ("unknown", "unavailable")
    await world.pass_time(1)
    # A network may have said before that somebody is away.
    assert {heard.state for sink in (our_sink, their_sink) for heard in sink.of(PresenceHeard)} <= {"unavailable"}


@pytest.mark.long_on_whatsapp
async def test_accounts_show_their_presence_to_each_other(world: Sandbox) -> None:
    await world.named(ANN)
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    await theirs.perform(WatchPresence(chat=jid(ANN)))
    for _ in range(2):
        await ours.perform(SetPresence(online=True))
    await ours.perform(SetChatPresence(chat=lid_of(BEN), state="recording"))
    await until(lambda: len(once_there(sink)) == 2)
    assert (await theirs.perform(WatchPresence(chat=jid(ANN)))).media == "audio"
    await ours.perform(SetChatPresence(chat=jid(BEN), state="paused"))
    await until(lambda: len(once_there(sink)) == 3)
    assert (await theirs.perform(WatchPresence(chat=jid(ANN)))).state == "available"
    # A line that ends says it as well.
    await ours.close()
    await until(lambda: len(once_there(sink)) == 4)
    *there, away = once_there(sink)
    assert there == [
        PresenceHeard(person=jid(ANN), state="available"),
        PresenceHeard(person=jid(ANN), state="composing", chat=jid(ANN), media="audio"),
        PresenceHeard(person=jid(ANN), state="paused", chat=jid(ANN)),
    ]
    assert (away.person, away.state) == (jid(ANN), "unavailable")
    near(world, away.last_seen, world.clock.now())


async def test_typing_in_a_group_is_heard_by_its_members(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    _, stranger = await world.linked("s3", CAT)
    group = (await world.group(ANN, [jid(BEN)])).group_jid
    await until(lambda: sink.of(GroupSeen))
    nobody = await theirs.perform(WatchPresence(chat=group))
    assert (nobody.from_, nobody.state) == (group, "unknown")
    await ours.perform(SetChatPresence(chat=group, state="composing"))
    await until(lambda: sink.of(PresenceHeard))
    assert sink.of(PresenceHeard) == [
        PresenceHeard(person=jid(ANN), state="composing", chat=group, media="text"),
    ]
    typist = await theirs.perform(WatchPresence(chat=group))
    assert (typist.from_, typist.state, typist.chat_jid) == (jid(ANN), "composing", group)
    assert (await ours.perform(WatchPresence(chat=group))).state == "unknown"
    assert our_sink.of(PresenceHeard) == stranger.of(PresenceHeard) == []


async def test_presence_is_not_told_later(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.perform(WatchPresence(chat=jid(BEN)))
    await connection.close()
    await world.alter(BEN, online=True)
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.say(BEN, jid(ANN))
    await until(lambda: sink.of(Arrived))
    # That they were away a network may have said at once.
    assert {heard.state for heard in sink.of(PresenceHeard)} <= {"unavailable"}


async def test_a_call_rings_in_every_session_of_who_is_called(world: Sandbox) -> None:
    first, sink = await world.linked("s1", ANN)
    _, second = await world.linked("s2", ANN)
    _, stranger = await world.linked("s3", CAT)
    group = (await world.group(BEN, [jid(ANN)])).group_jid
    await world.ring(BEN, lid_of(ANN), video=True)
    await world.ring(BEN, group)
    await until(lambda: len(sink.of(CallRang)) == len(second.of(CallRang)) == 2)
    alone, together = sink.of(CallRang)
    assert (alone.caller, alone.group or None) == (jid(BEN), None)
    near(world, alone.timestamp, world.clock.now())
    assert (together.caller, together.group) == (jid(BEN), group)
    assert alone.call_id != together.call_id
    assert second.of(CallRang) == [alone, together]
    assert stranger.of(CallRang) == []
    # Who was away learns that somebody rang.
    await first.close()
    await world.ring(BEN, jid(ANN))
    again, later = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await until(lambda: len(later.of(CallRang)) == 1)


async def test_a_channel_is_stored_before_the_answer(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    made = await connection.perform(CreateChannel(name="News", description="daily"))
    assert made.jid.endswith("@newsletter")
    assert sink.of(ChannelChanged) == [ChannelChanged(jid=made.jid, action="join", name="News")]


async def test_following_muting_and_leaving_are_told_once(world: Sandbox) -> None:
    owner, _ = await world.linked("s1", ANN)
    follower, sink = await world.linked("s2", BEN)
    channel = (await owner.perform(CreateChannel(name="News", description=""))).jid
    with pytest.raises(Refused):
        await follower.perform(MuteChannel(channel=channel, mute=True))
    for action in (
        FollowChannel(channel=channel),
        MuteChannel(channel=channel, mute=True),
        MuteChannel(channel=channel, mute=False),
        UnfollowChannel(channel=channel),
    ):
        for _ in range(2 if not isinstance(action, UnfollowChannel) else 1):
            await follower.perform(action)
    await follower.perform(UnfollowChannel(channel=channel))
    assert [(each.action, each.name or "") for each in sink.of(ChannelChanged)] == [
        ("join", "News"),
        ("mute", "News"),
        ("mute", "News"),
        ("leave", ""),
    ]
    await settle()
    muted, heard = sink.of(ChatMarked)
    assert isinstance(muted.muted_until, int)
    assert muted.muted_until > world.clock.now()
    assert (muted.chat, heard.chat, heard.muted_until) == (channel, channel, 0)


async def test_what_the_owner_posts_reaches_the_followers(world: Sandbox) -> None:
    owner, _ = await world.linked("s1", ANN)
    follower, _ = await world.linked("s2", BEN)
    channel = (await owner.perform(CreateChannel(name="News", description=""))).jid
    await follower.perform(FollowChannel(channel=channel))
    await world.restart()
    owner, _ = await world.open("s1", jid=jid(ANN))
    follower, sink = await world.open("s2", jid=jid(BEN))
    await owner.connect()
    await follower.connect()
    for chat in (channel, NO_CHANNEL):
        with pytest.raises(Refused):
            await follower.send(text("W0", chat))
    posted = chosen(world, await owner.send(text("W1", channel, "extra")), "W1")
    await until(lambda: sink.of(Arrived))
    (arrived,) = sink.of(Arrived)
    assert (arrived.chat, arrived.from_me, arrived.wire_id) == (channel, False, posted)
    await follower.perform(UnfollowChannel(channel=channel))
    await owner.send(text("W2", channel, "unheard"))
    await owner.send(text("W3", BEN, "the end"))
    await until(lambda: len(sink.of(Arrived)) == 2)
    assert sink.of(Arrived)[1].content.text == "the end"  # type: ignore[union-attr]
