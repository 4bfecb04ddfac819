"""What deleted sessions leave behind, removed a piece at a time so that nobody waits for it; and keys of no use.

Called by workers/janitor.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wagate.backends.database import Tx
from wagate.gateway import Gateway, media
from wagate.model import Shape

_DUE = """
-- any organization: what time alone does
SELECT session_id, organization_id, engine FROM purges WHERE session_id > :after ORDER BY session_id LIMIT 10
"""
_IN_VAIN = """
-- any organization: what lies on this machine
SELECT id, organization_id, engine FROM sessions
WHERE id IN ({each:kept}) AND engine = :engine AND status = 'logged_out' AND wanted = 'none' AND holder IS NULL
"""
_UNKNOWN = """
-- any organization: what lies on this machine
SELECT id FROM sessions WHERE id IN ({each:kept}) UNION SELECT session_id FROM purges WHERE session_id IN ({each:kept})
"""
_DONE = "DELETE FROM purges WHERE organization_id = :organization_id AND session_id = :session_id"
_PIECES = tuple(
    f"""
DELETE FROM {table} WHERE organization_id = :organization_id AND session_id = :session_id AND ({key}) IN (
  SELECT {key} FROM {table} WHERE organization_id = :organization_id AND session_id = :session_id LIMIT :limit)
"""
    # The whole key: a part of it is shared by many rows, and they would be looked for through all of the session's.
    for table, key in (
        ("outbox", "position"),
        ("messages", "position"),
        ("receipts", "chat_jid, wire_id, person"),
        ("chats", "id"),
        ("contacts", "id"),
        ("groups", "id"),
        ("members", "id"),
        ("reactions", "chat_jid, wire_id, author, person"),
        ("votes", "chat_jid, wire_id, author, person"),
        ("polls", "chat_jid, wire_id, author"),
        ("backfills", "id"),
    )
)


class Purge(Shape, frozen=True, kw_only=True):
    """A deleted session."""

    session_id: str
    organization_id: str
    engine: str


async def due(gw: Gateway, *, after: str = "") -> list[Purge]:
    """Some deleted sessions whose data still stands, by their ids, behind `after`."""
    return [Purge(session_id=s, organization_id=o, engine=e) for s, o, e in await gw.db.all(_DUE, after=after)]


async def kept_in_vain(gw: Gateway, engine: str, kept: Sequence[str]) -> list[Purge]:
    """Of the sessions of which an engine keeps something on this machine, those that are logged out and stay so."""
    rows = await gw.db.all(_IN_VAIN, engine=engine, kept=msgspec.json.encode(list(kept)).decode())
    return [Purge(session_id=id, organization_id=organization_id, engine=name) for id, organization_id, name in rows]


async def unknown(gw: Gateway, kept: Sequence[str]) -> list[str]:
    """Of these sessions, those that the database has never heard of, or has forgotten. Called by bootstrap."""
    known = {row[0] for row in await gw.db.all(_UNKNOWN, kept=msgspec.json.encode(list(kept)).decode())}
    return [id for id in kept if id not in known]


async def continue_with(gw: Gateway, purge: Purge, *, limit: int = 500) -> bool:
    """Remove one piece; whether more is left."""
    if await media.purge(gw, purge.organization_id, purge.session_id):
        return True

    async def work(tx: Tx) -> bool:
        here = {"organization_id": purge.organization_id, "session_id": purge.session_id}
        for piece in _PIECES:
            if await tx.run(piece, **here, limit=limit):
                return True
        await tx.run(_DONE, **here)
        return False

    return await gw.db.write(work)
