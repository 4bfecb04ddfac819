"""Group commit over one SQLite connection, and what a statement's failure means.

Works run on the event loop, each behind a savepoint; a thread commits the group. Used by sqlite.py alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from wagate.backends.callers import Caller, Part
from wagate.backends.database import ConstraintViolation, Row, UnstorableValue, Work
from wagate.backends.sqlite_log import LONG, Checkpointer
from wagate.backends.statements import opening, translate
from wagate.errors import StorageUnavailable

T = TypeVar("T")

GROUP = 256
"""The most callers that share a commit."""
_BUSY_SECONDS = 5.0
_AGAIN_SECONDS = 0.002
_COMPANY_SECONDS = 0.005
"""How long those who can wait are kept for others to share their commit."""
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


_Values = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class _Texts(dict[str, tuple[str, _Values]]):
    """Statements by the text that the gateway wrote: SQLite's text, and what puts the parameters in its order.

    By position, because the driver gives the interpreter up for each parameter that it looks up by name.
    """

    def __missing__(self, sql: str) -> tuple[str, _Values]:
        names: dict[str, str] = {}
        text = translate(sql, _FRAGMENTS, lambda name: names.setdefault(name, f"?{len(names) + 1}"))
        self[sql] = text, _picking(list(names))
        return self[sql]


def _picking(names: list[str]) -> _Values:
    if len(names) > 1:
        return cast("_Values", itemgetter(*names))
    return lambda params: tuple(params[name] for name in names)


_texts = _Texts()


def storage_failed(error: BaseException) -> bool:
    """Whether the disk or the file is at fault, not the statement."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _STORAGE


def neutral(error: Exception) -> Exception:
    """The port's error for one of the driver's; a defect such as wrong SQL stays what it is."""
    if storage_failed(error):
        return StorageUnavailable()
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolation(str(error))
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return UnstorableValue(str(error))
    return error


def execute(connection: sqlite3.Connection, sql: str, params: dict[str, Any]) -> sqlite3.Cursor:
    """Run one statement of the gateway's text."""
    text, pick = _texts[sql]
    return connection.execute(text, _storable(pick(params)))


def _storable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        # SQLite would store it and PostgreSQL cannot; what one refuses, both refuse.
        if value.__class__ is str and "\0" in value:
            raise UnstorableValue("text with a NUL cannot be stored")
    return values


class SqliteTx(Part[sqlite3.Connection]):
    """One caller's transaction on the writer's connection."""

    __slots__ = ("ran",)

    fails_group = staticmethod(storage_failed)
    neutral = staticmethod(neutral)

    def __init__(self, connection: sqlite3.Connection, *, trace: str | None = None) -> None:
        super().__init__(connection, trace=trace)
        self.ran = False
        """Whether anything but a query was run, so that there may be something to undo."""

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer."""
        try:
            return execute(self._open(), sql, params).fetchall()
        except Exception as error:
            self._fail(error)

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, or None."""
        try:
            return cast("Row | None", execute(self._open(), sql, params).fetchone())
        except Exception as error:
            self._fail(error)

    async def run(self, sql: str, /, **params: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        self.ran = True
        try:
            connection = self._open()
            cursor = execute(connection, sql, params)
            if cursor.description is not None:
                cursor.fetchall()
            if cursor.rowcount >= 0:
                return cursor.rowcount
            if opening(sql) == "WITH":  # the driver does not count these
                return int(connection.execute("SELECT changes()").fetchone()[0])
            return 0
        except Exception as error:
            self._fail(error)

    async def many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Execute one statement for each set of parameters."""
        self.ran = True
        try:
            text, pick = _texts[sql]
            self._open().executemany(text, [_storable(pick(row)) for row in rows])
        except Exception as error:
            self._fail(error)


class SqliteCaller(Caller):
    """A piece of work on its way through the writer. `patient`: it may be kept for company."""

    __slots__ = ("patient",)

    def __init__(self, work: Work[Any], future: asyncio.Future[Any], *, patient: bool = False) -> None:
        super().__init__(work, future)
        self.patient = patient

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


def connect(path: str, *, cache_kib: int) -> sqlite3.Connection:
    """A connection whose commits are durable."""
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
            f"journal_size_limit={LONG}",
            "temp_store=MEMORY",
            # Left to the checkpointer: inside a commit it would hold up everyone who waits for that commit.
            "wal_autocheckpoint=0",
        ):
            connection.execute("PRAGMA " + pragma).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


class _Committer(threading.Thread):
    """Makes commits durable on a thread, so that the event loop never waits for the disk."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, done: Callable[[Exception | None], None], checkpointer: Checkpointer
    ) -> None:
        super().__init__(name="sqlite-commit", daemon=True)
        self._checkpointer = checkpointer
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
            self._checkpointer.look(connection)
            try:
                self._loop.call_soon_threadsafe(self._done, error)
            except RuntimeError:
                return  # the loop is closed: nobody is left to be told


class Writer:
    """The one connection that changes the database. While a commit is under way, callers queue for the next group."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._queue: deque[SqliteCaller] = deque()
        self._path = path
        self._loop = loop
        self.patience = _BUSY_SECONDS
        """How long another process is waited for, in seconds."""
        self._connection: sqlite3.Connection | None = self._open()
        self._group: list[SqliteCaller] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._company: asyncio.TimerHandle | None = None
        self._blocked_since: float | None = None
        self._checkpointer = Checkpointer(path)
        self._committer = _Committer(loop, self._committed, self._checkpointer)
        self._committer.start()
        sys.setswitchinterval(min(sys.getswitchinterval(), _TURN_SECONDS))

    def add(self, caller: SqliteCaller) -> None:
        """Queue a caller; unless it is patient, a group begins in this turn of the loop if none is under way."""
        self._queue.append(caller)
        if self._idle.is_set():
            if not caller.patient:
                self._start()
            elif self._company is None:
                self._company = self._loop.call_later(_COMPANY_SECONDS, self._start)

    def _start(self) -> None:
        """Begin a group of all that is queued, if none is under way."""
        if self._company is not None:
            self._company.cancel()
            self._company = None
        if self._queue and self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._begin)

    async def close(self) -> None:
        """Commit what is queued, then close the connection."""
        while self._queue or not self._idle.is_set():
            self._start()
            await self._idle.wait()
        self._committer.queue.put(None)
        await self._loop.run_in_executor(None, self._committer.join)
        await self._loop.run_in_executor(None, self._checkpointer.close)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        connection = connect(self._path, cache_kib=8192)
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
        unchanged = connection.total_changes == before or not connection.in_transaction
        if unchanged or self._path == ":memory:":
            self._commit_here(connection)
        else:
            self._committer.queue.put(connection)

    def _take(self) -> list[SqliteCaller]:
        callers: list[SqliteCaller] = []
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
        if now - self._blocked_since > self.patience:
            self._blocked_since = None
            return False
        self._queue.extendleft(reversed(self._group))
        self._loop.call_later(_AGAIN_SECONDS, self._begin)
        return True

    @staticmethod
    def _alone(connection: sqlite3.Connection, callers: list[SqliteCaller]) -> None:
        tx = SqliteTx(connection, trace=callers[0].trace)
        callers[0].perform(tx)
        if tx.failed is not None:
            raise tx.failed
        if callers[0].error is not None:
            connection.execute("ROLLBACK")

    def _together(self, connection: sqlite3.Connection, callers: list[SqliteCaller]) -> None:
        """One after the other; a savepoint for each only when somebody fails who has written, which is rare.

        A refusal that comes before the first write leaves nothing to undo. Otherwise the group begins again.
        """
        connection.execute("SAVEPOINT group_of_callers")
        for caller in callers:
            before = connection.total_changes
            tx = SqliteTx(connection, trace=caller.trace)
            caller.perform(tx)
            if tx.failed is not None:
                raise tx.failed
            if caller.error is not None and (tx.ran or connection.total_changes != before):
                connection.execute("ROLLBACK TO group_of_callers")
                self._apart(connection, callers)
                return

    @staticmethod
    def _apart(connection: sqlite3.Connection, callers: list[SqliteCaller]) -> None:
        execute = connection.execute
        for caller in callers:
            execute("SAVEPOINT caller")
            tx = SqliteTx(connection, trace=caller.trace)
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
        if all(caller.patient for caller in self._queue):
            self._idle.set()
            if self._queue and self._company is None:
                self._company = self._loop.call_later(_COMPANY_SECONDS, self._start)
        else:
            self._loop.call_soon(self._begin)

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
