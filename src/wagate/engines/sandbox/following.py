"""Channels on the network: made, followed, muted. What an account changes is told to all its sessions."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET

from wagate.engines.base import ChannelChanged, ChatMarked, Report
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.channels import HEARD, MUTED, Channel, channel_key, follower_key
from wagate.engines.sandbox.frames import Changes
from wagate.engines.sandbox.network import Device, Keys, Network
from wagate.engines.sandbox.people import jid_of
from wagate.errors import NotFound, Refused
from wagate.model.actions import CreateChannel, FollowChannel, MuteChannel, UnfollowChannel
from wagate.model.channels import CreatedChannel

_FOREVER = 253_402_300_799_999


async def create(carrier: Carrier, me: Device, action: CreateChannel) -> tuple[CreatedChannel, Keys]:
    """A new channel, which its owner follows at once."""
    network = carrier.network
    async with network.lock:
        channel = Channel(
            jid=f"120363{network.mint_digits('channel', 12)}@newsletter",
            name=action.name,
            description=action.description,
            owner=me.number,
            created_at=network.clock.now(),
        )
        changes: Changes = {channel_key(channel.jid): msgspec.json.encode(channel).decode()}
        keys = await _commit(network, channel, (me.number, HEARD, "join"), changes)
    return CreatedChannel(jid=channel.jid), keys


async def follow(carrier: Carrier, me: Device, action: FollowChannel) -> tuple[None, Keys]:
    """Follow a channel; nothing if it is followed already."""
    network = carrier.network
    async with network.lock:
        channel = _channel(network, action.channel)
        if network.channels.heard(channel.jid, me.number) is not None:
            return None, {}
        return None, await _commit(network, channel, (me.number, HEARD, "join"), {})


async def unfollow(carrier: Carrier, me: Device, action: UnfollowChannel) -> tuple[None, Keys]:
    """Follow a channel no longer; nothing if it is not followed."""
    network = carrier.network
    async with network.lock:
        channel = _channel(network, action.channel)
        if network.channels.heard(channel.jid, me.number) is None:
            return None, {}
        return None, await _commit(network, channel, (me.number, None, "leave"), {})


async def mute(carrier: Carrier, me: Device, action: MuteChannel) -> tuple[None, Keys]:
    """Mute a channel or no longer; nothing if it is so already.

    Raises:
        Refused: the account does not follow it.
    """
    network = carrier.network
    wanted = MUTED if action.mute else HEARD
    async with network.lock:
        channel = _channel(network, action.channel)
        heard = network.channels.heard(channel.jid, me.number)
        if heard is None:
            raise Refused("the account does not follow this channel", reason="not_following", waCode=403)
        if heard == wanted:
            return None, {}
        return None, await _commit(network, channel, (me.number, wanted, "mute"), {})


def _channel(network: Network, jid: str) -> Channel:
    channel = network.channels.get(jid)
    if channel is None:
        raise NotFound("channel not found")
    return channel


async def _commit(
    network: Network, channel: Channel, step: tuple[str, str | None, Literal["join", "leave", "mute"]], changes: Changes
) -> Keys:
    """Somebody (a number) follows the channel like this from now on."""
    number, heard, what = step
    _, frame = network.history.next(f"channel.{what}", network.clock.now(), from_=jid_of(number), to=channel.jid)
    changes |= frame | {follower_key(channel.jid, number): heard}
    reports: list[Report] = [
        ChannelChanged(jid=channel.jid, action=what, name=UNSET if what == "leave" else channel.name)
    ]
    if what == "mute":
        # What is muted for good is muted until the last moment there is.
        reports.append(ChatMarked(chat=channel.jid, muted_until=_FOREVER if heard == MUTED else 0))
    keys = network.keep_for(number, reports, changes)
    await network.commit(changes)
    network.channels.add(channel)
    network.channels.follow(channel.jid, number, heard)
    network.wake(keys)
    return keys
