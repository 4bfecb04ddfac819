"""Chats as stored: a session's conversations, with what is unread.

What is changed here is the stored copy; the network is not told. Called by messages (touch), groups and channels
(rename, named), workers/inbox (marked) and api/chats.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from wagate.backends.database import Reader, Row, Tx
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, contacts, events, sessions
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import Maybe, Shape
from wagate.model import jid as jids
from wagate.model.chats import Chat, ChatMarked, UpdateChat
from wagate.model.events import ChatUpdate
from wagate.model.organizations import Caller

_COLUMNS = """id, session_id, jid, unread_count, archived, pinned, name, last_message_at, muted_until, aliases,
  (SELECT c.lid FROM contacts c WHERE c.organization_id = chats.organization_id AND c.session_id = chats.session_id
    AND c.jid = chats.jid)"""
_TOUCH = """
INSERT INTO chats (organization_id, session_id, jid, name, unread_count, last_message_at)
VALUES (:organization_id, :session_id, :jid, :name, :unread, :at)
ON CONFLICT (session_id, jid) DO UPDATE SET unread_count = chats.unread_count + excluded.unread_count,
  last_message_at = {greatest}(COALESCE(chats.last_message_at, 0), excluded.last_message_at),
  name = COALESCE(excluded.name, chats.name)
RETURNING (SELECT MAX(c.direct) FROM contacts c WHERE c.organization_id = :organization_id
  AND c.session_id = :session_id AND (c.jid = :jid OR c.lid = :jid))
"""
# A group's chat is called like the group, which was stored before its first message.
_TOUCH_GROUP = _TOUCH.replace(
    ":name",
    """COALESCE(CAST(:name AS TEXT), (SELECT subject FROM groups WHERE organization_id = :organization_id
    AND session_id = :session_id AND group_jid = :jid))""",
)
_NAME = """
UPDATE chats SET name = :name WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :jid
"""
_NAMED = """
INSERT INTO chats (organization_id, session_id, jid, name) VALUES (:organization_id, :session_id, :jid, :name)
ON CONFLICT (session_id, jid) DO UPDATE SET name = COALESCE(excluded.name, chats.name)
"""
_SET = """
UPDATE chats SET archived = :archived, pinned = :pinned, muted_until = :muted_until, unread_count = :unread
WHERE organization_id = :organization_id AND id = :id
"""
_GET = f"""
SELECT {_COLUMNS} FROM chats
WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :jid
"""
_GET_LOCKED = _GET + "{for_update}"
_PAGE = f"""
SELECT {_COLUMNS} FROM chats WHERE organization_id = :organization_id AND session_id = :session_id
  AND last_message_at IS NOT NULL AND (pinned, last_message_at, id) < (:pinned, :at, :id)
ORDER BY pinned DESC, last_message_at DESC, id DESC LIMIT :limit
"""


class Came(Shape, frozen=True, kw_only=True):
    """What a message does to its chat: when it came (epoch milliseconds), whether it is unread, and the chat's name,
    which replaces the old one where it is known.
    """

    at: int
    unread: bool = False
    name: Maybe[str] = UNSET


async def touch(tx: Tx, held: Held, jid: str, came: Came) -> None:
    """A message came to this chat; whoever is talked to for the first time becomes a contact."""
    known = await tx.one(
        _TOUCH_GROUP if jids.is_group(jid) else _TOUCH,
        organization_id=held.organization_id,
        session_id=held.id,
        jid=jid,
        name=came.name or None,
        unread=int(came.unread),
        at=came.at,
    )
    if (known is None or known[0] != 1) and (jids.is_phone(jid) or jids.is_lid(jid)):
        await contacts.talked(tx, held, came.at, jid)


async def rename(tx: Tx, held: Held, jid: str, name: str) -> None:
    """The chat is called so from now on, if it is stored."""
    await tx.run(_NAME, organization_id=held.organization_id, session_id=held.id, jid=jid, name=name)


async def named(tx: Tx, held: Held, jid: str, name: Maybe[str]) -> None:
    """The chat is there from now on, with or without a message, and called so."""
    await tx.run(_NAMED, organization_id=held.organization_id, session_id=held.id, jid=jid, name=name or None)


async def get(gw: Gateway, caller: Caller, session_id: str, jid: str) -> Chat:
    """One chat, found by either address of its person.

    Raises:
        NotFound: the session has no such chat.
    """
    await sessions.require(gw.db, caller, session_id)
    try:
        return await find(gw.db, caller.organization_id, session_id, jid)
    except NotFound:
        # The two halves of a person may have been joined between its reads; that happens once.
        return await find(gw.db, caller.organization_id, session_id, jid)


async def find(reader: Reader, organization_id: str, session_id: str, jid: str, *, lock: bool = False) -> Chat:
    """As `get`, without looking at the session, also inside a transaction, where `lock` keeps others off the row."""
    here = {"organization_id": organization_id, "session_id": session_id}
    for address in await contacts.addresses(reader, organization_id, session_id, jid):
        row = await reader.one(_GET_LOCKED if lock else _GET, **here, jid=address)
        if row is not None:
            return _chat(row)
    raise NotFound("chat not found")


async def update(gw: Gateway, caller: Caller, session_id: str, jid: str, wish: UpdateChat) -> Chat:
    """Archive, pin or mute the stored copy; an event for each change. `unmute` wins over `muted_until`."""
    muted = 0 if wish.unmute else wish.muted_until
    marks = ChatMarked(
        chat=jid,
        archived=UNSET if wish.archived is None else wish.archived,
        pinned=UNSET if wish.pinned is None else wish.pinned,
        muted_until=UNSET if muted is None else muted,
    )
    return await _mark(gw, caller, session_id, marks)


async def read(gw: Gateway, caller: Caller, session_id: str, jid: str) -> Chat:
    """Nothing is unread here any more; no receipt is sent."""
    return await _mark(gw, caller, session_id, ChatMarked(chat=jid, read=True))


async def _mark(gw: Gateway, caller: Caller, session_id: str, marks: ChatMarked) -> Chat:
    async def work(tx: Tx) -> Chat:
        await sessions.require(tx, caller, session_id)
        chat = await find(tx, caller.organization_id, session_id, marks.chat, lock=True)
        after, facts = _marked(chat, marks)
        await _set(tx, caller.organization_id, chat, after)
        await events.record(tx, gw.clock.now(), caller.organization_id, session_id=session_id, facts=facts)
        return after

    after = await gw.db.write(work)
    events.hint(gw, caller.organization_id)
    return after


async def marked(tx: Tx, held: Held, now: int, report: ChatMarked) -> list[Fact]:
    """The account's own phone changed a chat, or its picture changed; a fact for each thing that is new, but for what
    history tells.
    """
    jid = await contacts.resolve(tx, held.organization_id, held.id, report.chat)
    facts: list[Fact] = []
    if any(mark is not UNSET for mark in (report.archived, report.pinned, report.muted_until, report.read)):
        # What is marked before its first message is marked all the same.
        await named(tx, held, jid, UNSET)
        chat = await find(tx, held.organization_id, held.id, jid, lock=True)
        after, facts = _marked(chat, report)
        await _set(tx, held.organization_id, chat, after)
    if report.picture_id is not UNSET or report.picture_removed is not UNSET:
        picture = ChatUpdate(
            chat_jid=jid, change="picture", picture_id=report.picture_id, removed=report.picture_removed or UNSET
        )
        facts.append(("chat.update", picture))
    return [] if report.history else facts


def _marked(chat: Chat, marks: ChatMarked) -> tuple[Chat, list[Fact]]:
    """The chat as it is marked, and a fact for each thing that is new."""
    after, facts = chat, list[Fact]()
    if isinstance(marks.archived, bool) and marks.archived != chat.archived:
        after = replace(after, archived=marks.archived)
        facts.append(("chat.update", ChatUpdate(chat_jid=chat.jid, change="archived", archived=marks.archived)))
    if isinstance(marks.pinned, bool) and marks.pinned != chat.pinned:
        after = replace(after, pinned=marks.pinned)
        facts.append(("chat.update", ChatUpdate(chat_jid=chat.jid, change="pinned", pinned=marks.pinned)))
    if isinstance(marks.muted_until, int) and marks.muted_until != (chat.muted_until or 0):
        # Muted until the beginning of time is not muted.
        after = replace(after, muted_until=marks.muted_until or UNSET)
        facts.append(("chat.update", ChatUpdate(chat_jid=chat.jid, change="muted", muted_until=marks.muted_until)))
    if isinstance(marks.read, bool) and marks.read != (chat.unread_count == 0):
        after = replace(after, unread_count=0 if marks.read else 1)
        facts.append(("chat.update", ChatUpdate(chat_jid=chat.jid, change="read", unread_count=after.unread_count)))
    return after, facts


async def _set(tx: Tx, organization_id: str, before: Chat, after: Chat) -> None:
    if after != before:
        await tx.run(
            _SET,
            organization_id=organization_id,
            id=after.id,
            archived=int(after.archived),
            pinned=int(after.pinned),
            muted_until=after.muted_until or None,
            unread=after.unread_count,
        )


async def page(gw: Gateway, caller: Caller, session_id: str, window: Window) -> tuple[list[Chat], list[Any] | None]:
    """The session's chats that hold a message: pinned ones first, then the newest."""
    await sessions.require(gw.db, caller, session_id)
    pinned, at, id = window.after or (2, 2**62, 2**62)
    rows = await gw.db.all(
        _PAGE,
        organization_id=caller.organization_id,
        session_id=session_id,
        pinned=pinned,
        at=at,
        id=id,
        limit=window.limit + 1,
    )
    found = [_chat(row) for row in rows[: window.limit]]
    last = rows[window.limit - 1] if len(rows) > window.limit else None
    return found, None if last is None else [last[5], last[7], last[0]]


def _chat(row: Row) -> Chat:
    return Chat(
        id=row[0],
        session_id=row[1],
        jid=row[2],
        type=jids.chat_type(row[2]),
        unread_count=row[3],
        archived=row[4] == 1,
        pinned=row[5] == 1,
        name=UNSET if row[6] is None else row[6],
        last_message_at=UNSET if row[7] is None else row[7],
        muted_until=UNSET if row[8] is None else row[8],
        aliases=_aliases(row) or UNSET,
    )


def _aliases(row: Row) -> list[str]:
    """The other address of the chat's person, and those that it went by before."""
    stored = [] if row[9] is None else msgspec.json.decode(row[9], type=list[str])
    return list(dict.fromkeys([*stored, *([] if row[10] is None else [row[10]])]))
