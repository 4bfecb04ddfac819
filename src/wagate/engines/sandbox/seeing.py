"""A message as the sessions of one number get it: whose it is for them, and what it says to them."""

from __future__ import annotations

from typing import cast

from msgspec import UNSET

from wagate.engines.base import Arrived
from wagate.engines.sandbox import quoting
from wagate.engines.sandbox.changes import CHANGES, told_to
from wagate.engines.sandbox.frames import Sent
from wagate.engines.sandbox.network import Network
from wagate.engines.sandbox.people import default_name, jid_of, lid_of, number_of
from wagate.model.contents import Change, MessageContent


def seen_by(network: Network, sent: Sent, number: str, *, history: bool = False) -> Arrived:
    """The message as a session of this number gets it."""
    from_me, content = number == sent.author, sent.content
    hidden = sent.hidden and not from_me
    chat = sent.address if from_me else sent.chat
    if not from_me and number_of(sent.chat) is not None:
        chat = lid_of(sent.author) if hidden else jid_of(sent.author)
    if isinstance(content, CHANGES):
        content = told_to(content, number)
    elif isinstance(content, MessageContent):
        content = quoting.told_to(content, number)
    return Arrived(
        wire_id=sent.wire_id,
        chat=chat,
        from_me=from_me,
        timestamp=sent.timestamp,
        content=cast("MessageContent | Change", content),
        sender=UNSET if hidden else jid_of(sent.author),
        sender_lid=lid_of(sent.author),
        push_name=network.name(sent.author) or default_name(sent.author),
        history=history,
    )
