"""Chats as stored: a session's conversations, with what is unread.

Called by messages (touch), groups (name) and api/chats.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, contacts, sessions
from wagate.gateway.leases import Held
from wagate.model import Maybe, Shape
from wagate.model import jid as jids
from wagate.model.chats import Chat
from wagate.model.organizations import Caller

_COLUMNS = "id, session_id, jid, unread_count, archived, pinned, name, last_message_at, muted_until, aliases"
_TOUCH = """
INSERT INTO chats (organization_id, session_id, jid, name, unread_count, last_message_at)
VALUES (:organization_id, :session_id, :jid, :name, :unread, :at)
ON CONFLICT (session_id, jid) DO UPDATE SET unread_count = chats.unread_count + excluded.unread_count,
  last_message_at = {greatest}(COALESCE(chats.last_message_at, 0), excluded.last_message_at),
  name = COALESCE(excluded.name, chats.name)
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
_GET = f"""
SELECT {_COLUMNS} FROM chats
WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :jid
"""
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
    """A message came to this chat."""
    await tx.run(
        _TOUCH_GROUP if jids.is_group(jid) else _TOUCH,
        organization_id=held.organization_id,
        session_id=held.id,
        jid=jid,
        name=came.name or None,
        unread=int(came.unread),
        at=came.at,
    )


async def rename(tx: Tx, held: Held, jid: str, name: str) -> None:
    """The chat is called so from now on, if it is stored."""
    await tx.run(_NAME, organization_id=held.organization_id, session_id=held.id, jid=jid, name=name)


async def get(gw: Gateway, caller: Caller, session_id: str, jid: str) -> Chat:
    """One chat, found by either address of its person.

    Raises:
        NotFound: the session has no such chat.
    """
    await sessions.require(gw.db, caller, session_id)
    for address in await contacts.addresses(gw.db, caller.organization_id, session_id, jid):
        row = await gw.db.one(_GET, organization_id=caller.organization_id, session_id=session_id, jid=address)
        if row is not None:
            return _chat(row)
    raise NotFound("chat not found")


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
        aliases=UNSET if row[9] is None else msgspec.json.decode(row[9], type=list[str]),
    )
