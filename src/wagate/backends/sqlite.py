"""The SQLite adapter: one process, one connection that writes, many callers to a commit.

Writes: callers queue their work; what is queued, up to 256, runs on the event loop in one transaction, each work behind
a savepoint, and a thread commits them together, durably (WAL, `synchronous=FULL`). Meanwhile the next callers queue.
There is no waiting for company: a lone caller is committed at once. The statements stay on the loop because each of
them gives the interpreter up for some microseconds: on a thread of their own they had to win it back from a busy loop
every time, which cost more than what they do. Reads run where they are called, on a second connection in autocommit: a
query costs 8 µs, a hop to a thread ten times that, and every query sees the newest commit.

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
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar, cast

from wagate.backends.database import ConstraintViolation, Row, UnstorableValue, Work
from wagate.backends.ownership import Ownership, own
from wagate.backends.statements import opening, translate
from wagate.errors import StorageUnavailable

T = TypeVar("T")

GROUP = 256
"""The most callers that share a commit."""
_BUSY_SECONDS = 5.0
_AGAIN_SECONDS = 0.002
_TURN_SECONDS = 0.0005
"""How long the event loop may keep the interpreter while the committing thread waits for it."""
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


class _Committer(threading.Thread):
    """Makes commits durable on a thread, so that the event loop never waits for the disk."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: Callable[[Exception | None], None]) -> None:
        super().__init__(name="sqlite-commit", daemon=True)
        self.queue: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        self._loop = loop
        self._done = done

    def run(self) -> None:
        """Commit what is queued, one after the other, until None is."""
        while (connection := self.queue.get()) is not None:
            error: Exception | None = None
            try:
                connection.execute("COMMIT")
            except Exception as failed:
                error = failed
            try:
                self._loop.call_soon_threadsafe(self._done, error)
            except RuntimeError:
                return  # the loop is closed: nobody is left to be told


class _Writer:
    """The one connection that changes the database. While a commit is under way, callers queue for the next group."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._queue: deque[_Caller] = deque()
        self._path = path
        self._loop = loop
        self._connection: sqlite3.Connection | None = self._open()
        self._group: list[_Caller] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._blocked_since: float | None = None
        self._committer = _Committer(loop, self._committed)
        self._committer.start()
        sys.setswitchinterval(min(sys.getswitchinterval(), _TURN_SECONDS))

    def add(self, caller: _Caller) -> None:
        """Queue a caller; a group begins in this turn of the loop if none is under way."""
        self._queue.append(caller)
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._begin)

    async def close(self) -> None:
        """Commit what is queued, then close the connection."""
        await self._idle.wait()
        self._committer.queue.put(None)
        await self._loop.run_in_executor(None, self._committer.join)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        connection = _connect(self._path, cache_kib=8192)
        # Statements run on the event loop: they may not wait there for another process.
        connection.execute("PRAGMA busy_timeout=0").fetchall()
        return connection

    def _begin(self) -> None:
        """Run a group's works, and have them committed."""
        callers = self._group = self._take()
        if not callers:
            self._idle.set()
            return
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
        except Exception as error:
            if not self._wait_for_other_process(error):
                self._committed(error)
            return
        self._blocked_since = None
        before = connection.total_changes
        try:
            (self._alone if len(callers) == 1 else self._together)(connection, callers)
        except Exception as error:
            self._committed(error)
            return
        if connection.total_changes == before or self._path == ":memory:":
            self._commit_here(connection)
        else:
            self._committer.queue.put(connection)

    def _take(self) -> list[_Caller]:
        callers: list[_Caller] = []
        while self._queue and len(callers) < GROUP:
            caller = self._queue.popleft()
            if not caller.future.cancelled():
                callers.append(caller)
        return callers

    def _wait_for_other_process(self, error: Exception) -> bool:
        """Whether the group is to be tried again soon, because a short command writes just now."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            return False
        now = self._loop.time()
        self._blocked_since = self._blocked_since or now
        if now - self._blocked_since > _BUSY_SECONDS:
            self._blocked_since = None
            return False
        self._queue.extendleft(reversed(self._group))
        self._loop.call_later(_AGAIN_SECONDS, self._begin)
        return True

    @staticmethod
    def _alone(connection: sqlite3.Connection, callers: list[_Caller]) -> None:
        tx = SqliteTx(connection)
        callers[0].perform(tx)
        if tx.failed is not None:
            raise tx.failed
        if callers[0].error is not None:
            connection.execute("ROLLBACK")

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

    def _commit_here(self, connection: sqlite3.Connection) -> None:
        """Nothing was changed, or there is no disk: a thread would only cost time."""
        error: Exception | None = None
        try:
            if connection.in_transaction:
                connection.execute("COMMIT")
        except Exception as failed:
            error = failed
        self._committed(error)

    def _committed(self, error: Exception | None) -> None:
        """The group is durable, or (with an error) nothing of it remains: tell its callers, and go on."""
        callers, self._group = self._group, []
        if error is not None:
            self._undo(error)
            for caller in callers:  # those with an error of their own too: it may rest on rows that are gone
                caller.error = _lost(error)
        for caller in callers:
            caller.resolve()
        if self._queue:
            self._loop.call_soon(self._begin)
        else:
            self._idle.set()

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


class SqliteDatabase:
    """A SQLite database in a file, or in memory for tests. Belongs to the event loop that opened it."""

    def __init__(self, path: str, ownership: Ownership | None) -> None:
        self._ownership = ownership
        self._loop = asyncio.get_running_loop()
        self._writer = _Writer(path, self._loop)
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
        """Run `work` in a transaction; it is durable when this returns."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._writer.add(_Caller(work, future))
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
            await self._writer.close()
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
