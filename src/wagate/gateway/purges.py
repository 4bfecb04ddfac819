"""What deleted sessions leave behind, removed a piece at a time so that nobody waits for it.

Called by workers/janitor.
"""

from __future__ import annotations

from wagate.backends.database import Tx
from wagate.gateway import Gateway, media
from wagate.model import Shape

_DUE = """
-- any organization: what time alone does
SELECT session_id, organization_id, engine FROM purges ORDER BY session_id LIMIT 10
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


async def due(gw: Gateway) -> list[Purge]:
    """Some deleted sessions whose data still stands."""
    return [Purge(session_id=s, organization_id=o, engine=e) for s, o, e in await gw.db.all(_DUE)]


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
