"""Typing shown before a text goes out, where a session wants that. Called by a runner."""

from __future__ import annotations

import asyncio
import contextlib

from wagate.engines import base
from wagate.errors import WagateError
from wagate.gateway import Gateway, presence
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry
from wagate.model.actions import SetChatPresence
from wagate.model.contents import TextContent

SECONDS_A_LETTER = 0.05
MOST_SECONDS = 3.0


def seconds(text: str) -> float:
    """How long somebody types at this text, in seconds."""
    return min(len(text) * SECONDS_A_LETTER, MOST_SECONDS)


async def type_first(gw: Gateway, held: Held, line: base.Connection, entry: Entry) -> None:
    """Show "typing" for a while, for a text of a session that wants it; nothing for anything else.

    Never keeps a text from going out: what the engine cannot show is not shown, a caller's wait is not used up, and a
    clock that is turned by hand holds nobody up.
    """
    content = entry.content
    if not isinstance(content, TextContent) or not await presence.types(gw, held):
        return
    with contextlib.suppress(WagateError, base.ConnectionLost):
        await line.perform(SetChatPresence(chat=entry.chat, state="composing"))
        await asyncio.sleep(min(seconds(content.text), gw.rules.send_timeout / 2))
