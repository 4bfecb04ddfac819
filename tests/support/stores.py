"""A small store in memory: a real one for as long as the test lasts, and it outlives the engine that uses it."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Mapping

from wagate.errors import StorageUnavailable


class DictStore:
    """The port's store over a dict. `full` makes every put fail, as a full disk does.

    `dies_at`: the put with this number is the last thing that happens, `written` or not; its process never hears of it.
    """

    def __init__(self, rows: Mapping[str, str] | None = None) -> None:
        self.rows: dict[str, str] = dict(rows or {})
        self.keys: list[str] = sorted(self.rows)
        self.puts = 0
        self.full = False
        self.dies_at: int | None = None
        self.written = True
        self.dead = asyncio.Event()

    async def put(self, changes: Mapping[str, str | None]) -> None:
        if self.full:
            raise StorageUnavailable
        self.puts += 1
        dying = self.dies_at is not None and self.puts >= self.dies_at
        if dying and (self.puts != self.dies_at or not self.written):
            self.dead.set()
            await asyncio.Event().wait()
        for key, value in changes.items():
            if value is None:
                if self.rows.pop(key, None) is not None:
                    del self.keys[bisect.bisect_left(self.keys, key)]
            else:
                if key not in self.rows:
                    bisect.insort(self.keys, key)
                self.rows[key] = value
        if dying:
            self.dead.set()
            await asyncio.Event().wait()
        # The commit is done; its caller hears of it a little later, as from a database.
        await asyncio.sleep(0)

    async def get(self, key: str) -> str | None:
        await asyncio.sleep(0)
        return self.rows.get(key)

    async def page(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, str]]:
        await asyncio.sleep(0)
        place = max(bisect.bisect_right(self.keys, after), bisect.bisect_left(self.keys, prefix))
        found = []
        for key in self.keys[place : place + limit]:
            if not key.startswith(prefix):
                break
            found.append((key, self.rows[key]))
        return found


class Stores:
    """A store for each scope."""

    def __init__(self) -> None:
        self.scopes: dict[str, DictStore] = {}

    def __call__(self, scope: str) -> DictStore:
        return self.scopes.setdefault(scope, DictStore())
