"""Chats that are deleted from the store, a piece at a time so that nobody waits for it.

The network is not told. Called by api/chats.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wagate.backends.database import Row, Tx
from wagate.gateway import Gateway, chats, contacts, sessions
from wagate.model import jid as jids
from wagate.model.organizations import Caller

_HERE = "organization_id = :organization_id AND session_id = :session_id AND chat_jid = :chat"
_LAST = f"SELECT COALESCE(MAX(position), 0) FROM messages WHERE {_HERE}"
_MESSAGES = f"""
DELETE FROM messages WHERE organization_id = :organization_id AND position IN (
  SELECT position FROM messages WHERE {_HERE} AND position < :last ORDER BY timestamp, position LIMIT :limit)
RETURNING wire_id, content
"""
_NEWEST = f"DELETE FROM messages WHERE {_HERE} AND position = :last RETURNING wire_id, content"
_ABOUT_THEM = tuple(
    f"DELETE FROM {table} WHERE {_HERE} AND wire_id IN ({{each:wire_ids}})"
    for table in ("receipts", "reactions", "votes", "polls")
)
_MEDIA = """
UPDATE media SET expires_at = :now
WHERE organization_id = :organization_id AND session_id = :session_id AND id IN ({each:media}) AND gone_at IS NULL
"""
_CHAT = """
DELETE FROM chats WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :chat
"""
_REST = f"""
INSERT INTO chats (organization_id, session_id, jid, name, unread_count, last_message_at)
SELECT :organization_id, :session_id, :chat, CAST(:name AS TEXT), SUM(CASE WHEN from_me = 0 THEN 1 ELSE 0 END),
  MAX(timestamp) FROM messages WHERE {_HERE} HAVING COUNT(*) > 0
"""


class _Bytes(msgspec.Struct):
    """Where a file's bytes are."""

    id: str = ""


class _Said(msgspec.Struct):
    """As much of a content as tells of bytes."""

    media: _Bytes | None = None


async def delete(gw: Gateway, caller: Caller, session_id: str, jid: str, *, limit: int = 500) -> None:
    """Delete a stored chat with all that was said in it until now; what comes meanwhile makes it anew.

    Cut short, it leaves the chat with what is not deleted yet, to be deleted again.

    Raises:
        NotFound: the session has no such chat.
    """
    chat = await chats.get(gw, caller, session_id, jid)
    here = {"organization_id": caller.organization_id, "session_id": session_id, "chat": chat.jid}
    # A message of a group has a receipt of each member, up to a thousand: fewer of them are as much work.
    limit = max(1, limit // 10) if jids.is_group(chat.jid) else limit
    last = await gw.db.one(_LAST, **here) or (0,)
    while await gw.db.write(lambda tx: _piece(tx, here, gw.clock.now(), last=last[0], limit=limit)):
        pass

    async def end(tx: Tx) -> None:
        await sessions.require(tx, caller, session_id)
        # The newest goes last: a database may give its place to what comes next.
        await _forget(tx, here, gw.clock.now(), await tx.all(_NEWEST, **here, last=last[0]))
        await tx.run(_CHAT, **here)
        if not await tx.run(_REST, **here, name=chat.name or None):
            await contacts.parted(tx, caller.organization_id, session_id, chat.jid)

    await gw.db.write(end)


async def _piece(tx: Tx, here: dict[str, Any], now: int, *, last: int, limit: int) -> bool:
    """Delete some messages with all that is about them; whether there may be more."""
    gone = await tx.all(_MESSAGES, **here, last=last, limit=limit)
    await _forget(tx, here, now, gone)
    return len(gone) == limit


async def _forget(tx: Tx, here: dict[str, Any], now: int, gone: list[Row]) -> None:
    """What is about these messages goes as well."""
    if gone:
        wire_ids = msgspec.json.encode([row[0] for row in gone]).decode()
        for statement in _ABOUT_THEM:
            await tx.run(statement, **here, wire_ids=wire_ids)
    said = [msgspec.json.decode(row[1], type=_Said) for row in gone]
    media = [each.media.id for each in said if each.media is not None and each.media.id]
    if media:
        place = {name: here[name] for name in ("organization_id", "session_id")}
        # The janitor removes the bytes.
        await tx.run(_MEDIA, **place, now=now, media=msgspec.json.encode(media).decode())
