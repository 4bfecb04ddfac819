"""The SQLite adapter: one process, one writer thread, many callers to a commit.

Writes: callers queue their work; the writer thread takes what is queued, up to 256, opens one transaction, runs each
work behind a savepoint and commits them together, durably (WAL, `synchronous=FULL`). There is no waiting for company:
a lone caller is committed at once. Reads run where they are called, on a second connection in autocommit: a query costs
8 µs, a hop to a thread ten times that, and every query sees the newest commit.

When the storage fails, the whole group is undone, each of its callers is told `StorageUnavailable`, and the next group
starts afresh. Chosen by bootstrap. It never retries: after a failure nothing of the group remains.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, TypeVar, cast

from wagate.backends.database import ConstraintViolation, Row, UnstorableValue, Work
from wagate.backends.ownership import Ownership, own
from wagate.backends.statements import opening, translate
from wagate.errors import StorageUnavailable

T = TypeVar("T")

GROUP = 256
"""The most callers that share a commit."""
_BUSY_SECONDS = 5.0
_TURN_SECONDS = 0.0001
"""How long the event loop may keep the interpreter while the writer waits for it, several times a transaction. Beside a
loop that is never idle, on two cores, a transaction took 380 ms with Python's 5 ms and takes 0.5 ms with this."""
_FRAGMENTS = {
    "skip_locked": "",
    "for_update": "",
    "greatest": "max",
    "each": "SELECT value FROM json_each(:@)",
}
# BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB: the storage fails, not the statement
_STORAGE = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 26})
_FIRM = frozenset({5, 6, 13})
"""After these (BUSY, LOCKED, FULL) a connection is as good as before; after others it is opened anew."""


class _Texts(dict[str, str]):
    """Statements by the text that the gateway wrote."""

    def __missing__(self, sql: str) -> str:
        text = self[sql] = translate(sql, _FRAGMENTS)
        return text


_texts = _Texts()


def _storage_failed(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _STORAGE


def _neutral(error: Exception) -> Exception:
    """The port's error for one of the driver's; a defect such as wrong SQL stays what it is."""
    if _storage_failed(error):
        return StorageUnavailable()
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolation(str(error))
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return UnstorableValue(str(error))
    return error


def _execute(connection: sqlite3.Connection, sql: str, params: dict[str, Any]) -> sqlite3.Cursor:
    for value in params.values():
        # SQLite would store it and PostgreSQL cannot; what one refuses, both refuse.
        if value.__class__ is str and "\0" in value:
            raise UnstorableValue("text with a NUL cannot be stored")
    return connection.execute(_texts[sql], params)


class SqliteTx:
    """One caller's transaction on the writer's connection. After a statement failed, it only fails."""

    __slots__ = ("_connection", "error", "failed")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self.error: Exception | None = None
        self.failed: sqlite3.Error | None = None
        """Set when the storage failed: the whole group is lost, whatever the work makes of its error."""

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer."""
        try:
            return _execute(self._open(), sql, params).fetchall()
        except Exception as error:
            self._fail(error)

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, or None."""
        try:
            return cast("Row | None", _execute(self._open(), sql, params).fetchone())
        except Exception as error:
            self._fail(error)

    async def run(self, sql: str, /, **params: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        try:
            connection = self._open()
            cursor = _execute(connection, sql, params)
            if cursor.description is not None:
                cursor.fetchall()
            if cursor.rowcount >= 0:
                return cursor.rowcount
            if opening(sql) == "WITH":  # the driver does not count these
                return int(connection.execute("SELECT changes()").fetchone()[0])
            return 0
        except Exception as error:
            self._fail(error)

    def close(self) -> None:
        """The function that received it has ended."""
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self.error is not None:
            raise self.error
        if self._connection is None:
            raise RuntimeError("a transaction is valid only inside the function that received it")
        return self._connection

    def _fail(self, error: Exception) -> NoReturn:
        if self.error is None:
            if _storage_failed(error):
                self.failed = cast("sqlite3.Error", error)
            self.error = _neutral(error)
        if self.error is error:
            raise error
        raise self.error from error


class _Caller:
    """A piece of work on its way through the writer, and how it ended."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def perform(self, tx: SqliteTx) -> None:
        """Run the work to its end. It may not wait: nobody on this thread could wake it."""
        self.error = None
        try:
            steps = self.work(tx).__await__()
            try:
                next(steps)
            except StopIteration as end:
                self.result, self.error = end.value, tx.error
            else:
                cast("Any", steps).close()
                self.error = RuntimeError("work inside a transaction awaited something other than its transaction")
        except BaseException as error:
            self.error = error
        tx.close()

    def resolve(self) -> None:
        """Tell the caller, if it is still there."""
        if not self.future.done():
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)


def _connect(path: str, *, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        # The wait for another process comes first: switching to WAL needs the file for a moment.
        for pragma in (
            f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{cache_kib}",
            "journal_size_limit=67108864",
            "temp_store=MEMORY",
        ):
            connection.execute("PRAGMA " + pragma).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


class _Writer(threading.Thread):
    """The one thread that changes the database."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="sqlite-writer", daemon=True)
        self.queue: SimpleQueue[_Caller | None] = SimpleQueue()
        self._path = path
        self._loop = loop
        self._connection: sqlite3.Connection | None = _connect(path, cache_kib=8192)
        sys.setswitchinterval(min(sys.getswitchinterval(), _TURN_SECONDS))

    def run(self) -> None:
        """Commit group after group until None is queued, then close the connection."""
        last = False
        while not last:
            callers, last = self._take()
            if callers:
                self._commit(callers)
                try:
                    self._loop.call_soon_threadsafe(_resolve, callers)
                except RuntimeError:
                    break  # the loop is closed: nobody is left to be told
            del callers  # or an idle writer would keep the last results alive
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[_Caller], bool]:
        """Wait for one caller, then take those who have queued meanwhile; whether the end was reached."""
        callers: list[_Caller] = []
        caller = self.queue.get()
        try:
            while caller is not None:
                if not caller.future.cancelled():
                    callers.append(caller)
                if len(callers) == GROUP:
                    return callers, False
                caller = self.queue.get_nowait()
        except Empty:
            return callers, False
        return callers, True

    def _commit(self, callers: list[_Caller]) -> None:
        """One transaction for all of them; on a failure of the storage nothing of it, and all are told."""
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = _connect(self._path, cache_kib=8192)
            connection.execute("BEGIN IMMEDIATE")
            if len(callers) == 1:
                self._alone(connection, callers[0])
            else:
                self._together(connection, callers)
        except Exception as error:
            self._undo(error)
            for caller in callers:  # those with an error of their own too: it may rest on rows that are gone
                caller.error = _lost(error)

    @staticmethod
    def _alone(connection: sqlite3.Connection, caller: _Caller) -> None:
        tx = SqliteTx(connection)
        caller.perform(tx)
        if tx.failed is not None:
            raise tx.failed
        connection.execute("COMMIT" if caller.error is None else "ROLLBACK")

    @staticmethod
    def _together(connection: sqlite3.Connection, callers: list[_Caller]) -> None:
        execute = connection.execute
        for caller in callers:
            execute("SAVEPOINT caller")
            tx = SqliteTx(connection)
            caller.perform(tx)
            if tx.failed is not None:
                raise tx.failed
            if caller.error is not None:
                execute("ROLLBACK TO caller")
            execute("RELEASE caller")
        execute("COMMIT")

    def _undo(self, error: Exception) -> None:
        """Back to a connection without a transaction, or to none: the next group opens another."""
        connection = self._connection
        if connection is None:
            return
        firm = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _FIRM
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            firm = False
        if not firm and self._path != ":memory:":
            with contextlib.suppress(sqlite3.Error):
                connection.close()
            self._connection = None


def _lost(error: Exception) -> BaseException:
    """What a caller of a lost group is told. Each gets an error of its own: they are raised in many tasks."""
    lost = StorageUnavailable() if isinstance(error, sqlite3.Error | OSError) else RuntimeError("the group was lost")
    lost.__cause__ = error
    return lost


def _resolve(callers: list[_Caller]) -> None:
    for caller in callers:
        caller.resolve()


class SqliteDatabase:
    """A SQLite database in a file, or in memory for tests. Belongs to the event loop that opened it."""

    def __init__(self, path: str, ownership: Ownership | None) -> None:
        self._ownership = ownership
        self._loop = asyncio.get_running_loop()
        self._writer = _Writer(path, self._loop)
        self._path = path
        self._reader = self._open_reader()
        self._closed = False
        self._writer.start()

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
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
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
            return _execute(self._readable(), sql, params).fetchall()
        except Exception as error:
            self._unread(error)

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, as committed, or None."""
        if self._path == ":memory:":
            return await self.write(lambda tx: tx.one(sql, **params))
        try:
            return cast("Row | None", _execute(self._readable(), sql, params).fetchone())
        except Exception as error:
            self._unread(error)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction on the writer thread; it is durable when this returns."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._writer.queue.put(_Caller(work, future))
        return await future

    async def script(self, statements: list[str]) -> None:
        """Run statements without parameters in one transaction: the tables of a database in memory."""

        async def work(tx: Any) -> None:
            for statement in statements:
                await tx.run(statement)

        await self.write(work)

    async def close(self) -> None:
        """Commit what is queued, close the connections, give the file up. Idempotent."""
        if not self._closed:
            self._closed = True
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            self._writer.queue.put(None)
        await self._loop.run_in_executor(None, self._writer.join)
        if self._ownership is not None:
            self._ownership.release()

    def _open_reader(self) -> sqlite3.Connection | None:
        if self._path == ":memory:":
            return None
        reader = _connect(self._path, cache_kib=4096)
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
        if _storage_failed(error) and self._reader is not None:
            with contextlib.suppress(sqlite3.Error):
                self._reader.close()
            self._reader = None
        neutral = _neutral(error)
        if neutral is error:
            raise error
        raise neutral from error
