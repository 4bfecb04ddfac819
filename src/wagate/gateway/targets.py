"""Targets: the message that a caller, or a change, means: found in the store, or as the network must be told of it.

A wire id is unique only within session, chat and author. Called by changes and forwards.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from wagate.backends.database import Reader
from wagate.gateway import Gateway, contacts, contents, sessions, waits
from wagate.model.contents import Content, Target
from wagate.model.events import EventType
from wagate.model.organizations import Caller

_FIND = """
SELECT position, author, type, content, deleted, edited, timestamp FROM messages
  WHERE organization_id = :organization_id
  AND session_id = :session_id AND wire_id = :wire_id AND chat_jid = :chat
  AND (:anybody = 1 OR author IN ({each:authors})) ORDER BY position DESC LIMIT 1
"""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """A message by chat, wire id and author, canonical JIDs: `sender` empty is the account itself, None is anybody."""

    chat: str
    message_id: str
    sender: str | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message. `author` is empty for the account itself, `edited` when that was last done, 0 for never.

    `timestamp`: when it was said.
    """

    position: int
    chat: str
    author: str
    type: EventType
    content: Content
    deleted: bool
    edited: int
    timestamp: int


class Pointed(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller means: as stored, and as the network is told."""

    found: Found | None
    target: Target


async def point(gw: Gateway, caller: Caller, session_id: str, pointer: Pointer) -> Pointed:
    """The newest message that is meant, at a session that works; one that is not stored is taken for the account's own
    unless a sender is named.

    Raises:
        NotFound: not the caller's session.
        SessionNotConnected: it is not working.
    """
    session = await sessions.require(gw.db, caller, session_id)
    if session.status != "working":
        raise await waits.offline(gw.db, session, gw.clock.now())
    if pointer.sender and pointer.sender in (session.wa_jid, session.wa_lid):
        pointer = msgspec.structs.replace(pointer, sender="")
    found = await find(gw.db, caller.organization_id, session_id, pointer)
    author = pointer.sender or ""
    if found is not None:
        author = found.author
    elif author:
        author = await contacts.resolve(gw.db, caller.organization_id, session_id, author)
    return Pointed(
        found=found, target=Target(message_id=pointer.message_id, from_me=author == "", sender=author or UNSET)
    )


async def find(reader: Reader, organization_id: str, session_id: str, pointer: Pointer) -> Found | None:
    """The newest stored message that a pointer fits, by either address of its chat and author."""
    chat = await contacts.resolve(reader, organization_id, session_id, pointer.chat)
    authors: list[str] = [""]
    if pointer.sender:
        authors = await contacts.addresses(reader, organization_id, session_id, pointer.sender)
    row = await reader.one(
        _FIND,
        organization_id=organization_id,
        session_id=session_id,
        chat=chat,
        wire_id=pointer.message_id,
        anybody=int(pointer.sender is None),
        authors=msgspec.json.encode(authors).decode(),
    )
    if row is None:
        return None
    return Found(
        position=row[0],
        chat=chat,
        author=row[1],
        type=row[2],
        content=contents.decode(row[3]),
        deleted=row[4] == 1,
        edited=row[5],
        timestamp=row[6],
    )
