"""Channels: follow them, mute them, read what was said there."""

from __future__ import annotations

from typing import Any

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import READ, SEND, Call, Operation
from wagate.api.sessions import LIVE, find
from wagate.errors import BadRequest, NotFound, Refused
from wagate.gateway import actions, channels
from wagate.model import actions as live
from wagate.model.actions import Action
from wagate.model.channels import CreateChannel, CreatedChannel, MuteChannel
from wagate.model.messages import Message


async def create_channel(call: Call) -> Any:
    """Create a channel; the account follows it."""
    action = live.CreateChannel(name=call.body.name, description=call.body.description or "")
    return await actions.ask(call.gw, call.caller, call.path["session"], action)


async def list_channel_messages(call: Call) -> Any:
    """List the stored messages of a channel, newest first."""
    window = lists.window(call)
    where = call.path["session"], window
    rows, following = await channels.page(call.gw, call.caller, *where, channel=call.path["jid"])
    return lists.page(call, rows, following)


async def follow_channel(call: Call) -> None:
    """Follow a channel; also when it is followed already."""
    await _ask(call, live.FollowChannel(channel=call.path["jid"]))


async def unfollow_channel(call: Call) -> None:
    """Follow a channel no longer; what is stored stays readable."""
    await _ask(call, live.UnfollowChannel(channel=call.path["jid"]))


async def mute_channel(call: Call) -> None:
    """Mute a channel, or with `mute: false` no longer."""
    mute = call.body.mute is not False
    await _ask(call, live.MuteChannel(channel=call.path["jid"], mute=mute))


async def _ask(call: Call, action: Action) -> Any:
    return await channels.ask(call.gw, call.caller, call.path["session"], action, channel=call.path["jid"])


def _live(id: str, path: str, run: Any, **more: Any) -> Operation:
    more = {"statuses": (204,), "errors": (*LIVE, Refused), **more}
    return Operation(
        id=id,
        method="POST",
        path="/sessions/{session}/channels" + path,
        run=run,
        tag="channels",
        capability=SEND,
        find=find,
        **more,
    )


OPERATIONS = [
    _live(
        "createChannel",
        "",
        create_channel,
        body=CreateChannel,
        answer=CreatedChannel,
        statuses=(201,),
        errors=(*LIVE, BadRequest, Refused),
    ),
    Operation(
        id="listChannelMessages",
        method="GET",
        path="/sessions/{session}/channels/{jid}/messages",
        run=list_channel_messages,
        tag="channels",
        capability=SEND | READ,
        query=ListQuery,
        answer=Page[Message],
        errors=(NotFound,),
    ),
    _live("followChannel", "/{jid}:follow", follow_channel),
    _live("unfollowChannel", "/{jid}:unfollow", unfollow_channel),
    _live("muteChannel", "/{jid}:mute", mute_channel, body=MuteChannel),
]
