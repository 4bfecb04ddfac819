"""Messages as the dialect tells of them, and one that is found by its id alone."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from wagate.api.compat.wasend import naming
from wagate.api.compat.wasend.naming import moment, shown
from wagate.api.compat.wasend.serving import served
from wagate.api.operations import PREFIX, READ, Call
from wagate.errors import BadRequest, Conflict, NotFound
from wagate.gateway import contents, sessions
from wagate.gateway.outbox import Entry
from wagate.model import Maybe, Shape, jid
from wagate.model.messages import Message
from wagate.model.sessions import Session


class Said(Shape, frozen=True, kw_only=True):
    """A message that was sent just now. `timestamp` is ISO 8601; `id` has the chat in it, `waMessageId` has not."""

    id: str
    to: str
    content: str
    type: str
    timestamp: str
    status: str
    sender: str
    recipient: str
    from_me: bool
    wa_message_id: str
    session: str


class Stored(Shape, frozen=True, kw_only=True):
    """A message as stored. `timestamp` is in seconds; `mediaUrl` is a path of the gateway, which wants the same key."""

    id: str
    chat_id: str
    from_: str = msgspec.field(name="from")
    to: str
    type: str
    timestamp: int
    from_me: bool
    session: str
    wa_message_id: str
    participant: Maybe[str] = UNSET
    body: Maybe[str] = UNSET
    caption: Maybe[str] = UNSET
    ack: Maybe[int] = UNSET
    status: Maybe[str] = UNSET
    has_media: bool
    media_url: Maybe[str] = UNSET
    mimetype: Maybe[str] = UNSET
    filename: Maybe[str] = UNSET
    quoted_msg_id: Maybe[str] = UNSET


async def get_message(call: Call) -> Stored:
    """Get a message by its id, from whichever session of the key has it."""
    found = await naming.anywhere(call, naming.message(call.path["mid"]))
    session = await sessions.get(call.gw, call.caller, found.session_id)
    return stored(found, session)


def said(entry: Entry, session: Session) -> Said:
    """A send that was settled."""
    facets = contents.facets(entry.content)
    filename = facets.media.filename if facets.media is not None else UNSET
    chat = shown(entry.chat)
    return Said(
        id=naming.message_id(entry.wire_id or "", entry.chat, from_me=True),
        to=chat,
        content=facets.body or filename or "",
        type=_kind(entry.content),
        timestamp=moment(entry.timestamp or entry.created_at),
        status=entry.status,
        sender=shown(session.wa_jid or ""),
        recipient=chat,
        from_me=True,
        wa_message_id=entry.wire_id or "",
        session=session.id,
    )


def stored(message: Message, session: Session) -> Stored:
    """A stored message. In a group it comes from the group, and its author is the participant."""
    me = session.wa_jid or session.wa_lid or ""
    author = message.sender_jid or message.sender_lid or ""
    chat, mine, media = message.chat_jid, message.from_me, message.media or None
    others = chat if jid.is_group(chat) or not author else author
    return Stored(
        id=naming.message_id(message.wa_message_id, chat, from_me=mine, sender=author),
        chat_id=shown(chat),
        from_=shown(me if mine else others),
        to=shown(chat if mine else me),
        type=message.type,
        timestamp=message.timestamp // 1000,
        from_me=mine,
        session=message.session_id,
        wa_message_id=message.wa_message_id,
        participant=shown(author) if jid.is_group(chat) and author else UNSET,
        body=message.body,
        caption=message.body if message.has_media else UNSET,
        ack=message.ack_level,
        status=message.status,
        has_media=message.has_media,
        media_url=_where(message) if message.has_media else UNSET,
        mimetype=UNSET if media is None else media.mimetype,
        filename=UNSET if media is None else media.filename,
        quoted_msg_id=message.quoted_message_id,
    )


def _where(message: Message) -> str:
    return f"{PREFIX}/sessions/{message.session_id}/messages/{message.wa_message_id}/media?chat={message.chat_jid}"


def _kind(content: Any) -> str:
    media = getattr(content, "media", None)
    return "ptt" if media is not None and media.voice is True else contents.kind(content)


STORED = "`timestamp` is in seconds. `mediaUrl` is a path of the gateway, to be fetched with the same key."
SERVED = [
    served(
        "getMessage",
        "GET /messages/{mid}",
        get_message,
        sdk="getMessage",
        capability=READ,
        answer=Stored,
        errors=(NotFound, BadRequest, Conflict),
        difference=f"Which message: see [names](#names). {STORED}",
    ),
]
