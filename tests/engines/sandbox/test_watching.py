"""Presence on the network: what it saw, and what is known of it later."""

from __future__ import annotations

import pytest

from tests.support.engines import ORG, Sandbox, jid, settle, until
from wagate.engines.base import ChatMarked, PresenceHeard
from wagate.errors import StorageUnavailable
from wagate.model.actions import SetChatPresence, SetPresence, WatchPresence
from wagate.model.sandbox import ListFrames

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"


async def test_what_cannot_be_committed_is_not_shown(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    await theirs.perform(WatchPresence(chat=jid(ANN)))
    store = world.stores(ORG)
    store.full = True
    for action in (SetPresence(online=True), SetChatPresence(chat=jid(BEN), state="composing")):
        with pytest.raises(StorageUnavailable):
            await ours.perform(action)
    with pytest.raises(StorageUnavailable):
        await world.alter(ANN, online=True)
    store.full = False
    assert (await theirs.perform(WatchPresence(chat=jid(ANN)))).state == "unknown"
    assert sink.of(PresenceHeard) == []


async def test_the_network_saw_it(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.perform(SetPresence(online=True))
    for state in ("composing", "recording", "paused"):
        await connection.perform(SetChatPresence(chat=jid(BEN), state=state))
    await connection.perform(SetPresence(online=False))
    frames = (await world.drive(ListFrames(after="", limit=100))).rows
    seen = [(frame.kind, frame.session, frame.from_, frame.to or "") for frame in frames if "presence" in frame.kind]
    assert seen == [
        ("presence.available", "s1", jid(ANN), ""),
        ("presence.composing", "s1", jid(ANN), jid(BEN)),
        ("presence.recording", "s1", jid(ANN), jid(BEN)),
        ("presence.paused", "s1", jid(ANN), jid(BEN)),
        ("presence.unavailable", "s1", jid(ANN), ""),
    ]


async def test_when_somebody_was_last_online_outlives_a_restart(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.perform(SetPresence(online=True))
    await world.alter(BEN, online=True)
    await world.pass_time(60)
    await connection.perform(SetPresence(online=False))
    await world.alter(BEN, online=False)
    left = world.clock.now()
    await world.pass_time(60)
    await world.restart()
    watcher, _ = await world.linked("s2", CAT)
    for number in (ANN, BEN):
        found = await watcher.perform(WatchPresence(chat=jid(number)))
        assert (found.state, found.last_seen) == ("unavailable", left)


async def test_an_account_with_two_sessions_is_away_when_both_are(world: Sandbox) -> None:
    first, _ = await world.linked("s1", ANN)
    second, _ = await world.linked("s2", ANN)
    watcher, sink = await world.linked("s3", BEN)
    await watcher.perform(WatchPresence(chat=jid(ANN)))
    await first.perform(SetPresence(online=True))
    await second.perform(SetPresence(online=True))
    await world.disturb("s1", "unlink")
    await settle()
    assert [heard.state for heard in sink.of(PresenceHeard)] == ["available"]
    await world.disturb("s2", "drop")
    await until(lambda: [heard.state for heard in sink.of(PresenceHeard)] == ["available", "unavailable"])


async def test_a_session_that_is_unlinked_watches_no_more(world: Sandbox) -> None:
    await world.linked("s2", ANN)
    watcher, sink = await world.linked("s1", CAT)
    await watcher.perform(WatchPresence(chat=jid(BEN)))
    await world.disturb("s1", "unlink")
    again, later = await world.open("s1")
    await again.link()
    await world.scan("s1", CAT)
    await again.connect()
    await world.alter(BEN, online=True)
    await settle()
    assert sink.of(PresenceHeard) == later.of(PresenceHeard) == []


async def test_who_watches_somebody_sees_their_new_picture(world: Sandbox) -> None:
    watcher, sink = await world.linked("s1", ANN)
    _, other = await world.linked("s2", CAT)
    await watcher.perform(WatchPresence(chat=jid(BEN)))
    await world.alter(BEN, picture=True)
    await world.alter(BEN, picture=False)
    await world.alter(BEN, picture=False)
    await until(lambda: len(sink.of(ChatMarked)) == 2)
    shown, gone = sink.of(ChatMarked)
    assert shown.chat == gone.chat == jid(BEN)
    assert shown.picture_id
    assert not shown.picture_removed
    assert gone.picture_removed
    assert not gone.picture_id
    assert other.of(ChatMarked) == []


async def test_whose_phone_goes_off_types_no_more(world: Sandbox) -> None:
    watcher, sink = await world.linked("s1", ANN)
    await watcher.perform(WatchPresence(chat=jid(BEN)))
    await world.alter(BEN, online=True, typing=True)
    await world.alter(BEN, online=False)
    assert (await watcher.perform(WatchPresence(chat=jid(BEN)))).state == "unavailable"
    await until(lambda: len(sink.of(PresenceHeard)) == 3)
    assert {heard.state for heard in sink.of(PresenceHeard)} == {"available", "composing", "unavailable"}
