"""The SQLite adapter: one process, one connection that writes, many callers to a commit.

Writes: callers queue their work; what is queued, up to 256, runs on the event loop in one transaction, an error of one
undoing that one alone, and a thread commits them together, durably (WAL, `synchronous=FULL`). Meanwhile the next
callers queue. There is no waiting for company but by those who said that they can wait. The statements stay on the loop
because each of them gives the interpreter up for some microseconds: on a thread of their own they had to win it back
from a busy loop every time, which cost more than what they do. Reads run where they are called, on a second connection
in autocommit: a query costs 8 µs, a hop to a thread ten times that, and every query sees the newest commit.

When the storage fails, the whole group is undone, each of its callers is told `StorageUnavailable`, and the next group
starts afresh. Chosen by bootstrap. It never retries: after a failure nothing of the group remains.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from wagate.backends.database import Row, Work
from wagate.backends.ownership import Ownership, create, own
from wagate.backends.sqlite_writer import SqliteCaller, Writer, connect, execute, neutral, storage_failed
from wagate.errors import StorageUnavailable

T = TypeVar("T")


class SqliteDatabase:
    """A SQLite database in a file, or in memory for tests. Belongs to the event loop that opened it."""

    def __init__(self, path: str, ownership: Ownership | None) -> None:
        self._ownership = ownership
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(path, self._loop)
        self._path = path
        self._reader = self._open_reader()
        self._closed = False

    @classmethod
    async def open(cls, path: str | Path, *, exclusive: bool = False) -> SqliteDatabase:
        """Open the file, or `:memory:`; a new one is readable by its owner alone.

        `exclusive` claims the file for this process, as `serve` does; without it, as short commands do, this process
        writes beside whoever serves.

        Raises:
            AlreadyServed: `exclusive`, and another process holds the file.
            StorageUnavailable: the file cannot be opened or is not a database.
        """
        memory = str(path) == ":memory:"
        ownership = own(Path(path)) if exclusive and not memory else None
        try:
            if not memory:
                create(Path(path))
            return cls(str(path), ownership)
        except (OSError, sqlite3.Error) as error:
            if ownership is not None:
                ownership.release()
            raise StorageUnavailable(f"cannot open {path}: {error}") from error

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer, as committed."""
        if self._path == ":memory:":
            return await self.write(lambda tx: tx.all(sql, **params))
        try:
            return execute(self._readable(), sql, params).fetchall()
        except Exception as error:
            self._unread(error)

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, as committed, or None."""
        if self._path == ":memory:":
            return await self.write(lambda tx: tx.one(sql, **params))
        try:
            return cast("Row | None", execute(self._readable(), sql, params).fetchone())
        except Exception as error:
            self._unread(error)

    async def write(self, work: Work[T], *, patient: bool = False) -> T:
        """Run `work` in a transaction; it is durable when this returns."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._writer.add(SqliteCaller(work, future, patient=patient))
        return await future

    async def script(self, statements: list[str]) -> None:
        """Run statements without parameters in one transaction: the tables of a database in memory."""

        async def work(tx: Any) -> None:
            for statement in statements:
                await tx.run(statement)

        await self.write(work)

    async def hurry(self) -> None:
        """This process ends: from now on nobody waits for another process that holds the file."""
        self._writer.patience = 0

    async def close(self) -> None:
        """Commit what is queued, close the connections, give the file up. Idempotent."""
        if not self._closed:
            self._closed = True
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            await self._writer.close()
        if self._ownership is not None:
            self._ownership.release()

    def _open_reader(self) -> sqlite3.Connection | None:
        if self._path == ":memory:":
            return None
        reader = connect(self._path, cache_kib=4096)
        reader.execute("PRAGMA query_only=ON")
        return reader

    def _readable(self) -> sqlite3.Connection:
        if self._closed:
            raise StorageUnavailable("the database is closed")
        if self._reader is None:
            self._reader = self._open_reader()
        return cast("sqlite3.Connection", self._reader)

    def _unread(self, error: Exception) -> NoReturn:
        """Raise the port's error, and have another connection for the next query if this one's storage failed."""
        if storage_failed(error) and self._reader is not None:
            with contextlib.suppress(sqlite3.Error):
                self._reader.close()
            self._reader = None
        told = neutral(error)
        if told is error:
            raise error
        raise told from error
