"""What engines keep, over the database: the adapter of the engine port's small store.

Each `put` is a transaction of its own, never the gateway's: what the network acknowledged stays acknowledged when the
gateway's transaction fails. Filled in by bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping

from wagate.backends.database import Database, Tx

_PUT = """
INSERT INTO engine_records (engine, scope, key, value) VALUES (:engine, :scope, :key, :value)
ON CONFLICT (engine, scope, key) DO UPDATE SET value = excluded.value
"""
_REMOVE = "DELETE FROM engine_records WHERE engine = :engine AND scope = :scope AND key = :key"
_GET = "SELECT value FROM engine_records WHERE engine = :engine AND scope = :scope AND key = :key"
_PAGE = """
SELECT key, value FROM engine_records
WHERE engine = :engine AND scope = :scope AND key >= :prefix AND key > :after AND key < :end
ORDER BY key LIMIT :limit
"""


class DatabaseStore:
    """One scope's records of one engine. Keys are plain ASCII."""

    __slots__ = ("_db", "_engine", "_scope")

    def __init__(self, db: Database, *, engine: str, scope: str) -> None:
        self._db = db
        self._engine = engine
        self._scope = scope

    async def put(self, changes: Mapping[str, str | None]) -> None:
        """Write all (None removes); durable and all at once when it returns."""
        here = {"engine": self._engine, "scope": self._scope}
        put = [{**here, "key": key, "value": value} for key, value in changes.items() if value is not None]
        removed = [{**here, "key": key} for key, value in changes.items() if value is None]

        async def work(tx: Tx) -> None:
            if put:
                await tx.many(_PUT, put)
            if removed:
                await tx.many(_REMOVE, removed)

        await self._db.write(work)

    async def get(self, key: str) -> str | None:
        """The value, or None."""
        row = await self._db.one(_GET, engine=self._engine, scope=self._scope, key=key)
        return None if row is None else row[0]

    async def page(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, str]]:
        """Pairs whose key starts with `prefix` and is greater than `after`, in the order of their keys."""
        rows = await self._db.all(
            _PAGE,
            engine=self._engine,
            scope=self._scope,
            prefix=prefix,
            after=after,
            end=prefix + "\x7f",
            limit=limit,
        )
        return [(key, value) for key, value in rows]
