"""Channels: made, followed, muted and left. What is as it is wanted already is left alone, and told to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp.addresses import text_of, to_library
from wagate.errors import Refused
from wagate.model import Maybe, actions
from wagate.model.channels import ChannelChanged, CreatedChannel
from wagate.model.chats import ChatMarked

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

ON = 1
"""The library's number for a channel that is silent."""

_FOLLOWING = (1, 3, 4)
"""Its numbers of those who follow, the owner among them; 2 is a guest."""

FOREVER = 253_402_300_799_999
"""The last moment there is, in epoch milliseconds: what is muted for good is muted until then."""


async def create(line: Line, action: actions.CreateChannel) -> CreatedChannel:
    """Make a channel."""
    wish = line.library.messages.CreateNewsletterParams(
        Name=action.name, Description=action.description, Picture=b""
    ).SerializeToString()
    made = await line.call("CreateNewsletter", wish, len(wish), returns="CreateNewsLetterReturnFunction")
    channel = text_of(made.NewsletterMetadata.ID)
    line.keep([ChannelChanged(jid=channel, action="join", name=action.name)])
    return CreatedChannel(jid=channel)


async def follow(line: Line, action: actions.FollowChannel) -> None:
    """Follow; nothing if the account does."""
    about = await _look(line, action.channel)
    if about.ViewerMeta.Role not in _FOLLOWING:
        channel = to_library(line.library.messages, action.channel)
        await line.call("FollowNewsletter", channel, len(channel))
        line.keep([ChannelChanged(jid=action.channel, action="join", name=_name(about))])


async def unfollow(line: Line, action: actions.UnfollowChannel) -> None:
    """Follow no longer; nothing if the account does not."""
    about = await _look(line, action.channel)
    if about.ViewerMeta.Role in _FOLLOWING:
        channel = to_library(line.library.messages, action.channel)
        await line.call("UnfollowNewsletter", channel, len(channel))
        line.keep([ChannelChanged(jid=action.channel, action="leave")])


async def mute(line: Line, action: actions.MuteChannel) -> None:
    """Silence a channel that the account follows, or hear it again; nothing if it is so.

    Raises:
        Refused: the account does not follow it.
    """
    about = await _look(line, action.channel)
    if about.ViewerMeta.Role not in _FOLLOWING:
        raise Refused("the account does not follow this channel", reason="not_allowed")
    if (about.ViewerMeta.Mute == ON) != action.mute:
        channel = to_library(line.library.messages, action.channel)
        await line.call("NewsletterToggleMute", channel, len(channel), action.mute)
        line.keep(muted(action.channel, _name(about), on=action.mute))


def muted(channel: str, name: Maybe[str], *, on: bool) -> list[base.Report]:
    """A channel is silent now, or no longer."""
    until = FOREVER if on else 0
    changed = ChannelChanged(jid=channel, action="mute", name=name)
    return [changed, ChatMarked(chat=channel, muted_until=until)]


async def _look(line: Line, channel: str) -> Any:
    encoded = to_library(line.library.messages, channel)
    found = await line.call("GetNewsletterInfo", encoded, len(encoded), returns="CreateNewsLetterReturnFunction")
    return found.NewsletterMetadata


def _name(about: Any) -> Maybe[str]:
    return about.ThreadMeta.Name.Text or UNSET
