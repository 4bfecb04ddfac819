"""Channels as a session follows them: their chats stay when it leaves them.

Called by workers/inbox (changed) and api/channels.
"""

from __future__ import annotations

from typing import Any

from wagate.backends.database import Tx
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, actions, chats, messages, sessions
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model.actions import Action
from wagate.model.channels import ChannelChanged
from wagate.model.events import NewsletterUpdate
from wagate.model.jid import is_channel_input
from wagate.model.messages import Message
from wagate.model.organizations import Caller


async def changed(tx: Tx, held: Held, now: int, report: ChannelChanged) -> list[Fact]:
    """The account joined, left or muted a channel. One that it left keeps its stored chat."""
    if report.action != "leave":
        await chats.named(tx, held, report.jid, report.name)
    return [("newsletter.update", NewsletterUpdate(jid=report.jid, action=report.action))]


async def page(
    gw: Gateway, caller: Caller, session_id: str, window: Window, *, channel: str
) -> tuple[list[Message], list[Any] | None]:
    """A channel's stored messages, newest first.

    Raises:
        NotFound: the session does not know the channel.
    """
    await sessions.require(gw.db, caller, session_id)
    _must_be_channel(channel)
    return await messages.page(gw, caller, session_id, window, chat=channel)


async def ask(gw: Gateway, caller: Caller, session_id: str, action: Action, *, channel: str) -> Any:
    """Ask for something live about a channel. A path segment that names none is 404, after session and connection."""
    await actions.require_connected(gw, caller, session_id)
    _must_be_channel(channel)
    return await actions.ask(gw, caller, session_id, action)


def _must_be_channel(text: str) -> None:
    if not is_channel_input(text):
        raise NotFound("channel not found")
