"""Channels on the network: committed before anybody is told, there after a restart."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.engines import ORG, Sandbox, jid, settle, until
from tests.support.stores import DictStore
from wagate.engines.base import ChannelChanged
from wagate.errors import NotFound, StorageUnavailable
from wagate.model.actions import CreateChannel, FollowChannel, MuteChannel, UnfollowChannel
from wagate.model.sandbox import ListFrames

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


async def test_a_channel_that_cannot_be_kept_is_not_there(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    made = (await connection.perform(CreateChannel(name="News", description=""))).jid
    follower, heard = await world.linked("s2", BEN)
    store = world.stores(ORG)
    store.full = True
    for session, action in (
        (connection, CreateChannel(name="More", description="")),
        (follower, FollowChannel(channel=made)),
    ):
        with pytest.raises(StorageUnavailable):
            await session.perform(action)
    store.full = False
    await follower.perform(UnfollowChannel(channel=made))
    assert heard.reports == []
    assert len(sink.of(ChannelChanged)) == 1


async def test_channels_and_followers_outlive_a_restart(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    made = (await connection.perform(CreateChannel(name="News", description="daily"))).jid
    await connection.perform(MuteChannel(channel=made, mute=True))
    await world.crash()
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await again.perform(MuteChannel(channel=made, mute=True))
    await again.perform(FollowChannel(channel=made))
    assert sink.reports == []
    await again.perform(UnfollowChannel(channel=made))
    await world.restart()
    last, told = await world.open("s1", jid=jid(ANN))
    await last.connect()
    await last.perform(FollowChannel(channel=made))
    assert told.of(ChannelChanged) == [ChannelChanged(jid=made, action="join", name="News")]
    with pytest.raises(NotFound):
        await last.perform(FollowChannel(channel="120363999999999999@newsletter"))


async def test_every_session_of_the_account_is_told_and_the_network_saw_it(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, other = await world.linked("s2", ANN)
    made = (await connection.perform(CreateChannel(name="News", description=""))).jid
    await until(lambda: other.of(ChannelChanged))
    frames = (await world.drive(ListFrames(after="", limit=100))).rows
    assert [(frame.from_, frame.to) for frame in frames if frame.kind == "channel.join"] == [(jid(ANN), made)]


@pytest.mark.parametrize("written", [True, False])
async def test_a_crash_while_following_neither_loses_nor_doubles_it(world: Sandbox, written: bool) -> None:
    owner, _ = await world.linked("s1", ANN)
    follower, before = await world.linked("s2", BEN)
    channel = (await owner.perform(CreateChannel(name="News", description=""))).jid
    store = world.stores(ORG)
    store.dies_at, store.written = store.puts + 1, written
    following = asyncio.ensure_future(follower.perform(FollowChannel(channel=channel)))
    await store.dead.wait()
    following.cancel()
    world.stores.scopes[ORG] = DictStore(store.rows)
    await world.crash()
    again, after = await world.open("s2", jid=jid(BEN))
    await again.connect()
    await again.perform(FollowChannel(channel=channel))
    await until(lambda: after.of(ChannelChanged))
    await settle()
    assert before.reports == []
    assert after.of(ChannelChanged) == [ChannelChanged(jid=channel, action="join", name="News")]
