"""Messages as stored: what was said in a session's chats, by whom, and how far it came.

A message is stored once for each session, chat, wire id and author. Functions that take a `tx` return the facts that
their caller records in the same transaction.
Called by workers/inbox (arrived), dispatch (own sends), receipts, changes, and api/messages, api/chats (get, page).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.database import Row, Tx
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, chats, contacts, contents, contexts, sessions
from wagate.gateway.contexts import Known, Place
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import ids, jid
from wagate.model.contacts import Person
from wagate.model.contents import Change, MessageContent, PollContent, Quote
from wagate.model.events import MessageSaid
from wagate.model.messages import ACK_LEVELS, Arrived, Message, Reaction, SendError
from wagate.model.organizations import Caller

_COLUMNS = (
    "id, session_id, wire_id, chat_jid, from_me, type, timestamp, created_at, deleted, edited, sender_jid, sender_lid,"
    " sender_name, content, status, ack_level, error, position, author"
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
_POLL = """
INSERT INTO polls (session_id, chat_jid, wire_id, author, organization_id, ends_at)
VALUES (:session_id, :chat, :wire_id, :author, :organization_id, :ends_at)
ON CONFLICT (session_id, chat_jid, wire_id, author) DO NOTHING
"""
_GET = f"""
SELECT {_COLUMNS} FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND wire_id = :wire_id AND (:chat = '' OR chat_jid = :chat) ORDER BY position DESC LIMIT 1
"""
_SESSIONS = """
SELECT s.id FROM sessions s WHERE s.organization_id = :organization_id AND (:everything = 1 OR s.id IN ({each:ids}))
  AND EXISTS (SELECT 1 FROM messages m WHERE m.organization_id = s.organization_id AND m.session_id = s.id
    AND m.wire_id = :wire_id) ORDER BY s.id
"""
_PAGE = f"""
SELECT {_COLUMNS} FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND (timestamp, position) < (:timestamp, :position)
ORDER BY timestamp DESC, position DESC LIMIT :limit
"""


async def arrived(tx: Tx, held: Held, now: int, report: Arrived) -> list[Fact]:
    """Store what reached the account, once; a repeat makes no fact. History makes none either.

    A person who is told by one address and known by the other is stored as known. The report must hold no change.
    """
    assert not isinstance(report.content, Change)
    sender = await author(tx, held, report)
    facts: list[Fact] = []
    if not report.from_me:
        facts += await contacts.seen(tx, held, now, sender)
    place = _place(held, await contacts.resolve(tx, held.organization_id, held.id, report.chat))
    new = _New(
        chat=place.chat,
        wire_id=report.wire_id,
        from_me=report.from_me,
        timestamp=report.timestamp,
        content=await contexts.quoted(tx, place, report.content),
        sender=sender,
        status="sent" if report.from_me else None,
    )
    stored = await _insert(tx, held, now, new)
    if not stored:
        return facts
    # What history tells of a poll that is over by now was told to others at its time.
    await _watch_end(tx, held, new, since=now if report.history else 0)
    private_name = sender.push_name if jid.chat_type(place.chat) == "dm" and not report.from_me else UNSET
    unread = not (report.from_me or report.history)
    await chats.touch(tx, held, place.chat, chats.Came(at=report.timestamp, unread=unread, name=private_name))
    if report.history:
        return facts
    return [*facts, ("message.from_me" if report.from_me else "message", await _told(tx, place, new))]


class OwnSend(msgspec.Struct, frozen=True, kw_only=True):
    """A send of our own as it is to be stored: `status` is sent, failed or uncertain."""

    chat: str
    wire_id: str
    content: MessageContent
    timestamp: int
    status: str
    error: SendError | None = None


async def store_own(tx: Tx, held: Held, now: int, send: OwnSend) -> None:
    """Store a send of our own, or move the one that is stored as uncertain or failed on."""
    new = _own_message(held, send)
    stored = await _insert(tx, held, now, new)
    if send.status == "sent":
        await _watch_end(tx, held, new)
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


async def said_by_me(tx: Tx, held: Held, send: OwnSend) -> MessageSaid:
    """The payload of `message.from_me` for a send of our own."""
    return await _told(tx, _place(held, send.chat), _own_message(held, send))


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


async def author(tx: Tx, held: Held, report: Arrived) -> Person:
    """Who said what arrived, with both addresses where the store knows the other one."""
    if report.from_me:
        return me(held)
    lid = report.sender if isinstance(report.sender, str) and jid.is_lid(report.sender) else report.sender_lid
    phone = report.sender if isinstance(report.sender, str) and jid.is_phone(report.sender) else UNSET
    if phone and not lid:
        both = await contacts.addresses(tx, held.organization_id, held.id, phone)
        lid = next((address for address in both if jid.is_lid(address)), UNSET)
    return await contacts.completed(tx, held, Person(jid=phone, lid=lid, push_name=report.push_name))


async def get(gw: Gateway, caller: Caller, session_id: str, wire_id: str, *, chat: str | None) -> Message:
    """The newest message with this id, in `chat` if named.

    Raises:
        NotFound: none is stored.
    """
    await sessions.require(gw.db, caller, session_id)
    here = {"organization_id": caller.organization_id, "session_id": session_id}
    # Twice: the two halves of a person may be joined between the reads.
    for _ in range(1 if chat is None else 2):
        where = "" if chat is None else await contacts.resolve(gw.db, caller.organization_id, session_id, chat)
        row = await gw.db.one(_GET, **here, wire_id=wire_id, chat=where)
        if row is not None:
            break
    if row is None:
        raise NotFound("message not found")
    (found,) = await _seen(gw, Place(**here, chat=row[3]), [row])
    return found


async def sessions_with(gw: Gateway, caller: Caller, wire_id: str) -> list[str]:
    """Which of the caller's sessions have stored a message with this id."""
    limits = caller.session_ids
    rows = await gw.db.all(
        _SESSIONS,
        organization_id=caller.organization_id,
        everything=int(isinstance(limits, UnsetType)),
        ids="[]" if isinstance(limits, UnsetType) else msgspec.json.encode(sorted(limits)).decode(),
        wire_id=wire_id,
    )
    return [row[0] for row in rows]


async def page(
    gw: Gateway, caller: Caller, session_id: str, window: Window, *, chat: str
) -> tuple[list[Message], list[Any] | None]:
    """A chat's messages, newest first.

    Raises:
        NotFound: the session has no such chat.
    """
    place = await _chat_of(gw, caller, session_id, chat)
    timestamp, position = window.after or (2**62, 2**62)
    here = {"timestamp": timestamp, "position": position, "limit": window.limit + 1}
    rows = await gw.db.all(_PAGE, **place.params(), **here)
    if not rows and (moved := await _chat_of(gw, caller, session_id, chat)) != place:
        # The chat was joined with its person's other half between the reads.
        place = moved
        rows = await gw.db.all(_PAGE, **place.params(), **here)
    following = [rows[window.limit - 1][6], rows[window.limit - 1][17]] if len(rows) > window.limit else None
    return await _seen(gw, place, rows[: window.limit]), following


async def _chat_of(gw: Gateway, caller: Caller, session_id: str, chat: str) -> Place:
    known = await chats.get(gw, caller, session_id, chat)
    return Place(organization_id=caller.organization_id, session_id=session_id, chat=known.jid)


async def _seen(gw: Gateway, place: Place, rows: Sequence[Row]) -> list[Message]:
    """Rows of one chat as clients see them; however many, one more statement, two when somebody is mentioned."""
    if not rows:
        return []
    reacted = await contexts.reactions(gw.db, place, [row[2] for row in rows])
    contents_of = [contents.decode(row[13]) for row in rows]
    mentioned = await contexts.people(gw.db, place, [m for content in contents_of for m in content.mentions or ()])
    return [
        _message(row, contents.facets(content), _Around(reactions=reacted.get((row[2], row[18])), people=mentioned))
        for row, content in zip(rows, contents_of, strict=True)
    ]


def _place(held: Held, chat: str) -> Place:
    return Place(organization_id=held.organization_id, session_id=held.id, chat=chat)


class _New(msgspec.Struct, frozen=True, kw_only=True):
    """A message about to be stored."""

    chat: str
    wire_id: str
    from_me: bool
    timestamp: int
    content: MessageContent
    sender: Person
    status: str | None
    error: SendError | None = None

    @property
    def author(self) -> str:
        """Who wrote it, as the row names them: a channel speaks for itself."""
        return "" if self.from_me else contacts.canonical(self.sender) or self.chat


def _own_message(held: Held, send: OwnSend) -> _New:
    return _New(
        chat=send.chat,
        wire_id=send.wire_id,
        from_me=True,
        timestamp=send.timestamp,
        content=send.content,
        sender=me(held),
        status=send.status,
        error=send.error,
    )


async def _told(tx: Tx, place: Place, new: _New) -> MessageSaid:
    """The payload of its event."""
    return contents.said(
        new.content,
        wa_message_id=new.wire_id,
        chat_jid=new.chat,
        from_me=new.from_me,
        timestamp=new.timestamp,
        sender=new.sender,
        mentions=await contexts.mentions(tx, place, new.content),
    )


async def _watch_end(tx: Tx, held: Held, new: _New, *, since: int = 0) -> None:
    """Note when a poll ends by itself, if that is later than `since`."""
    if not isinstance(new.content, PollContent) or (new.content.poll_end_time or 0) <= since:
        return
    here = _place(held, new.chat).params()
    await tx.run(_POLL, **here, wire_id=new.wire_id, author=new.author, ends_at=new.content.poll_end_time)


async def _insert(tx: Tx, held: Held, now: int, new: _New) -> bool:
    """Store it unless it is stored already; whether it was not."""
    changed = await tx.run(
        _INSERT,
        id=ids.mint("msg", now),
        organization_id=held.organization_id,
        session_id=held.id,
        chat=new.chat,
        wire_id=new.wire_id,
        author=new.author,
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


class _Around(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows around a message."""

    reactions: list[Reaction] | None
    people: dict[str, Known]


def _message(row: Row, seen: contents.Facets, around: _Around) -> Message:
    mentioned = [around.people[address] for address in seen.mentions or {}]
    names = {each.jid: each.shown for each in mentioned if each.shown}
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
        edited=row[9] > 0,
        has_media=seen.media is not None,
        sender_jid=UNSET if row[10] is None else row[10],
        sender_lid=UNSET if row[11] is None else row[11],
        sender_name=UNSET if row[12] is None else row[12],
        body=seen.body,
        quoted_message_id=seen.quote.message_id if isinstance(seen.quote, Quote) else UNSET,
        media=seen.media or UNSET,
        mentions=[each.jid for each in mentioned] or UNSET,
        mention_names=names or UNSET,
        status=UNSET if row[14] is None else row[14],
        ack_level=UNSET if row[15] is None else row[15],
        error=UNSET if row[16] is None else contents.decode_error(row[16]),
        poll=seen.poll,
        location=seen.location,
        contact=seen.contact,
        reactions=around.reactions or UNSET,
    )
