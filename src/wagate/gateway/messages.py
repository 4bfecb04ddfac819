"""Messages as stored: what was said in a session's chats, by whom, and how far it came.

A message is stored once for each session, chat, wire id and author. Functions that take a `tx` return the facts that
their caller records in the same transaction.
Called by workers/runner (arrived), dispatch (own sends), receipts, and api/messages, api/chats (get, page).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.database import Row, Tx
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, chats, contacts, contents, sessions
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import ids, jid
from wagate.model.contacts import Person
from wagate.model.events import MessageSaid
from wagate.model.messages import ACK_LEVELS, Arrived, Content, Message, SendError
from wagate.model.organizations import Caller

_COLUMNS = (
    "id, session_id, wire_id, chat_jid, from_me, type, timestamp, created_at, deleted, edited, sender_jid, sender_lid,"
    " sender_name, content, status, ack_level, error, position"
)
_INSERT = """
INSERT INTO messages (id, organization_id, session_id, chat_jid, wire_id, author, from_me, type, timestamp, created_at,
  sender_jid, sender_lid, sender_name, body, content, status, ack_level, error)
VALUES (:id, :organization_id, :session_id, :chat, :wire_id, :author, :from_me, :type, :timestamp, :now,
  :sender_jid, :sender_lid, :sender_name, :body, :content, :status, :ack_level, :error)
ON CONFLICT (session_id, wire_id, chat_jid, author) DO NOTHING
"""
_SETTLE = """
UPDATE messages SET status = :status, ack_level = :ack_level, error = :error, timestamp = :timestamp
WHERE organization_id = :organization_id AND session_id = :session_id AND chat_jid = :chat AND wire_id = :wire_id
  AND author = '' AND COALESCE(ack_level, 0) = 0
"""
_ADVANCE = """
UPDATE messages SET status = :status, ack_level = :ack_level, error = NULL
WHERE organization_id = :organization_id AND session_id = :session_id AND chat_jid = :chat AND wire_id = :wire_id
  AND author = '' AND COALESCE(ack_level, 0) < :ack_level AND status NOT IN ('uncertain', 'failed')
"""
_EXISTS = """
SELECT 1 FROM messages WHERE organization_id = :organization_id AND session_id = :session_id AND chat_jid = :chat
  AND wire_id = :wire_id AND author = '' AND status NOT IN ('uncertain', 'failed')
"""
_GET = f"""
SELECT {_COLUMNS} FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND wire_id = :wire_id AND (:chat = '' OR chat_jid = :chat) ORDER BY position DESC LIMIT 1
"""
_PAGE = f"""
SELECT {_COLUMNS} FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND (timestamp, position) < (:timestamp, :position)
ORDER BY timestamp DESC, position DESC LIMIT :limit
"""


async def arrived(tx: Tx, held: Held, now: int, report: Arrived) -> list[Fact]:
    """Store what reached the account, once; a repeat makes no fact. History makes none either."""
    sender = _author(held, report)
    facts: list[Fact] = []
    if not report.from_me:
        facts += await contacts.seen(tx, held, now, sender)
    new = _New(
        chat=report.chat,
        wire_id=report.wire_id,
        from_me=report.from_me,
        timestamp=report.timestamp,
        content=report.content,
        sender=sender,
        status="sent" if report.from_me else None,
    )
    stored = await _insert(tx, held, now, new)
    if not stored:
        return facts
    private_name = sender.push_name if jid.chat_type(report.chat) == "dm" and not report.from_me else UNSET
    unread = not (report.from_me or report.history)
    await chats.touch(tx, held, report.chat, chats.Came(at=report.timestamp, unread=unread, name=private_name))
    if report.history:
        return facts
    said = contents.said(
        report.content,
        wa_message_id=report.wire_id,
        chat_jid=report.chat,
        from_me=report.from_me,
        timestamp=report.timestamp,
        sender=sender,
    )
    return [*facts, ("message.from_me" if report.from_me else "message", said)]


class OwnSend(msgspec.Struct, frozen=True, kw_only=True):
    """A send of our own as it is to be stored: `status` is sent, failed or uncertain."""

    chat: str
    wire_id: str
    content: Content
    timestamp: int
    status: str
    error: SendError | None = None


async def store_own(tx: Tx, held: Held, now: int, send: OwnSend) -> None:
    """Store a send of our own, or move the one that is stored as uncertain or failed on."""
    new = _New(
        chat=send.chat,
        wire_id=send.wire_id,
        from_me=True,
        timestamp=send.timestamp,
        content=send.content,
        sender=me(held),
        status=send.status,
        error=send.error,
    )
    stored = await _insert(tx, held, now, new)
    if stored:
        await chats.touch(tx, held, send.chat, chats.Came(at=send.timestamp))
        return
    await tx.run(
        _SETTLE,
        **_own(held, send.chat, send.wire_id),
        status=send.status,
        ack_level=ACK_LEVELS.get(send.status, 0),
        error=_json(send.error),
        timestamp=send.timestamp,
    )


def said_by_me(held: Held, send: OwnSend) -> MessageSaid:
    """The payload of `message.from_me` for a send of our own."""
    return contents.said(
        send.content,
        wa_message_id=send.wire_id,
        chat_jid=send.chat,
        from_me=True,
        timestamp=send.timestamp,
        sender=me(held),
    )


async def advance(tx: Tx, held: Held, *, chat: str, wire_id: str, status: str) -> bool:
    """A message of our own came further; whether it had not been so far before."""
    own = _own(held, chat, wire_id)
    return await tx.run(_ADVANCE, **own, status=status, ack_level=ACK_LEVELS[status]) > 0


async def is_sent(tx: Tx, held: Held, *, chat: str, wire_id: str) -> bool:
    """Whether a message of our own is stored as one that the network has."""
    return await tx.one(_EXISTS, **_own(held, chat, wire_id)) is not None


def me(held: Held) -> Person:
    """The account itself as an author."""
    return Person(jid=held.wa_jid or UNSET, lid=held.wa_lid or UNSET)


async def get(gw: Gateway, caller: Caller, session_id: str, wire_id: str, *, chat: str | None) -> Message:
    """The newest message with this id, in `chat` if named.

    Raises:
        NotFound: none is stored.
    """
    await sessions.require(gw.db, caller, session_id)
    here = {"organization_id": caller.organization_id, "session_id": session_id}
    where = "" if chat is None else await contacts.resolve(gw.db, caller.organization_id, session_id, chat)
    row = await gw.db.one(_GET, **here, wire_id=wire_id, chat=where)
    if row is None:
        raise NotFound("message not found")
    return _message(row)


async def page(
    gw: Gateway, caller: Caller, session_id: str, window: Window, *, chat: str
) -> tuple[list[Message], list[Any] | None]:
    """A chat's messages, newest first.

    Raises:
        NotFound: the session has no such chat.
    """
    known = await chats.get(gw, caller, session_id, chat)
    timestamp, position = window.after or (2**62, 2**62)
    rows = await gw.db.all(
        _PAGE,
        organization_id=caller.organization_id,
        session_id=session_id,
        chat=known.jid,
        timestamp=timestamp,
        position=position,
        limit=window.limit + 1,
    )
    found = [_message(row) for row in rows[: window.limit]]
    return found, [rows[window.limit - 1][6], rows[window.limit - 1][17]] if len(rows) > window.limit else None


def _author(held: Held, report: Arrived) -> Person:
    if report.from_me:
        return me(held)
    lid = report.sender if isinstance(report.sender, str) and jid.is_lid(report.sender) else report.sender_lid
    phone = report.sender if isinstance(report.sender, str) and jid.is_phone(report.sender) else UNSET
    return Person(jid=phone, lid=lid, push_name=report.push_name)


class _New(msgspec.Struct, frozen=True, kw_only=True):
    """A message about to be stored."""

    chat: str
    wire_id: str
    from_me: bool
    timestamp: int
    content: Content
    sender: Person
    status: str | None
    error: SendError | None = None


async def _insert(tx: Tx, held: Held, now: int, new: _New) -> bool:
    """Store it unless it is stored already; whether it was not."""
    changed = await tx.run(
        _INSERT,
        id=ids.mint("msg", now),
        organization_id=held.organization_id,
        session_id=held.id,
        chat=new.chat,
        wire_id=new.wire_id,
        author="" if new.from_me else contacts.canonical(new.sender),
        from_me=int(new.from_me),
        type=contents.kind(new.content),
        timestamp=new.timestamp,
        now=now,
        sender_jid=new.sender.jid or None,
        sender_lid=new.sender.lid or None,
        sender_name=new.sender.push_name or None,
        body=contents.body(new.content),
        content=msgspec.json.encode(new.content).decode(),
        status=new.status,
        ack_level=None if new.status is None else ACK_LEVELS.get(new.status, 0),
        error=_json(new.error),
    )
    return changed > 0


def _own(held: Held, chat: str, wire_id: str) -> dict[str, Any]:
    return {"organization_id": held.organization_id, "session_id": held.id, "chat": chat, "wire_id": wire_id}


def _json(value: SendError | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _message(row: Row) -> Message:
    content = contents.decode(row[13])
    seen = contents.facets(content)
    mentions = seen.mentions
    return Message(
        id=row[0],
        session_id=row[1],
        wa_message_id=row[2],
        chat_jid=row[3],
        direction="out" if row[4] == 1 else "in",
        from_me=row[4] == 1,
        type=row[5],
        timestamp=row[6],
        created_at=row[7],
        deleted=row[8] == 1,
        edited=row[9] == 1,
        has_media=False,
        sender_jid=UNSET if row[10] is None else row[10],
        sender_lid=UNSET if row[11] is None else row[11],
        sender_name=UNSET if row[12] is None else row[12],
        body=seen.body,
        quoted_message_id=seen.quoted_message_id,
        mentions=UNSET if isinstance(mentions, UnsetType) else list(mentions),
        status=UNSET if row[14] is None else row[14],
        ack_level=UNSET if row[15] is None else row[15],
        error=UNSET if row[16] is None else contents.decode_error(row[16]),
        poll=seen.poll,
        location=seen.location,
        contact=seen.contact,
    )
