"""The PostgreSQL adapter: many processes, one writer connection in each, a small pool for reads.

Writes: a task takes what is queued, up to 128 callers, and runs one transaction (READ COMMITTED) with a savepoint for
each, one after the other. When the group as a whole fails before its commit (a deadlock with another process, a lost
connection), nothing of it remains and each caller is run again, once, in a transaction of its own. When the connection
is lost while the commit is on its way the outcome is unknown: callers are told `StorageUnavailable` with
`certain: false` and nothing is repeated. Connections are opened again by the next need. A server that takes a statement
and does not answer within `patience` counts as lost, and who is cancelled meanwhile waits for nothing. Chosen by
bootstrap.

Values come back as on SQLite: rows are tuples, truth is 0 or 1, sums are integers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import asyncpg

from wagate.backends.callers import Caller, Part
from wagate.backends.database import ConstraintViolation, Row, UnstorableValue, Work
from wagate.backends.statements import translate
from wagate.errors import StorageUnavailable

T = TypeVar("T")

GROUP = 128
"""The most callers that share a commit."""
APPLICATION = "wagate"
"""How our connections are named in `pg_stat_activity`."""
_PATIENCE_SECONDS = 30.0
"""No statement of ours takes a tenth of this."""
_FRAGMENTS = {
    "skip_locked": "FOR UPDATE SKIP LOCKED",
    "for_update": "FOR UPDATE",
    "greatest": "GREATEST",
    "each": "SELECT json_array_elements_text(CAST(:@ AS json))",
}
_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InternalClientError, OSError)
_FAILED = (
    *_LOST,
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.InsufficientResourcesError,  # disk full, memory, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or an operator who closed the door
    asyncpg.PostgresSystemError,  # the server's own I/O
    asyncpg.LockNotAvailableError,
)
"""What fails a group, not a caller."""
_COUNTED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is given back to the pool as it is: reads leave nothing behind."""

    def get_reset_query(self) -> str:
        """Nothing: it would cost a round trip for each read."""
        return ""


class _Texts(dict[str, tuple[str, tuple[str, ...]]]):
    """Statements by the text that the gateway wrote: PostgreSQL's text and its parameters' names in order."""

    def __missing__(self, sql: str) -> tuple[str, tuple[str, ...]]:
        names: dict[str, str] = {}
        text = translate(sql, _FRAGMENTS, lambda name: names.setdefault(name, f"${len(names) + 1}"))
        self[sql] = text, tuple(names)
        return self[sql]


_texts = _Texts()


def _bound(sql: str, params: dict[str, Any]) -> tuple[str, list[Any]]:
    text, names = _texts[sql]
    return text, [params[name] for name in names]


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more; the driver says so in several ways."""
    if isinstance(error, asyncpg.DataError):
        return False
    return isinstance(error, _LOST) or (isinstance(error, asyncpg.InterfaceError) and "clos" in str(error))


def _group_failed(error: BaseException) -> bool:
    return isinstance(error, _FAILED) or _is_lost(error)


def _neutral(error: Exception) -> Exception:
    """The port's error for one of the driver's; a defect such as wrong SQL stays what it is."""
    if _group_failed(error):
        return StorageUnavailable()
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return ConstraintViolation(str(error))
    unstorable = (asyncpg.DataError, asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
    if isinstance(error, (*unstorable, UnicodeEncodeError, OverflowError)):
        return UnstorableValue(str(error))
    return error


async def _prepare(connection: asyncpg.Connection) -> None:
    """Values as SQLite gives them."""
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=str, decoder=lambda text: float(text) if "." in text else int(text)
    )
    await connection.set_type_codec(
        "bool",
        schema="pg_catalog",
        encoder=lambda value: "t" if value else "f",
        decoder=lambda text: 1 if text == "t" else 0,
    )


class PostgresTx(Part[asyncpg.Connection]):
    """One caller's transaction on the writer's connection."""

    __slots__ = ()

    fails_group = staticmethod(_group_failed)
    neutral = staticmethod(_neutral)

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer."""
        try:
            text, values = _bound(sql, params)
            return [tuple(row) for row in await self._open().fetch(text, *values)]
        except Exception as error:
            self._fail(error)

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, or None."""
        rows = await self.all(sql, **params)
        return rows[0] if rows else None

    async def run(self, sql: str, /, **params: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        try:
            text, values = _bound(sql, params)
            tag = (await self._open().execute(text, *values)).split()
            return int(tag[-1]) if tag[0] in _COUNTED else 0
        except Exception as error:
            self._fail(error)

    async def many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Execute one statement for each set of parameters, in one round trip."""
        try:
            text, names = _texts[sql]
            await self._open().executemany(text, [[row[name] for name in names] for row in rows])
        except Exception as error:
            self._fail(error)


class _Caller(Caller):
    """A piece of work on its way through the writer."""

    __slots__ = ()

    async def perform(self, connection: asyncpg.Connection) -> None:
        """Run the work; raises only what fails the whole group."""
        self.result, self.error = None, None
        tx = PostgresTx(connection, trace=self.trace)
        try:
            self.result = await self.work(tx)
            self.error = tx.error
        except Exception as error:
            self.error = error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the writer itself is being stopped
            self.error = error
        finally:
            tx.close()
        if tx.failed is not None:
            raise tx.failed


class _InDoubt(Exception):
    """The commit was sent and its answer never came."""


class PostgresDatabase:
    """A PostgreSQL database. Belongs to the event loop that opened it."""

    def __init__(
        self, dsn: str, pool: asyncpg.Pool, connection: asyncpg.Connection, *, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._dsn = dsn
        self._patience = patience
        self._pool = pool
        self._readers = pool.get_max_size()
        self._connection: asyncpg.Connection | None = connection
        self._queue: asyncio.Queue[_Caller | None] = asyncio.Queue()
        self._closed = False
        self._writer = asyncio.create_task(self._write_groups(), name="postgres-writer")

    @classmethod
    async def open(cls, dsn: str, *, readers: int = 4, patience: float = _PATIENCE_SECONDS) -> PostgresDatabase:
        """Connect; `dsn` is a `postgresql://` address, `readers` the most connections for reads, `patience` the
        seconds after which a statement without an answer has failed.

        Raises:
            StorageUnavailable: the server does not let us in.
        """
        try:
            connection = await _open(dsn, patience)
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=readers,
                timeout=10,
                init=_prepare,
                connection_class=_Connection,
                statement_cache_size=512,
                command_timeout=patience,
                server_settings={"application_name": APPLICATION, "default_transaction_read_only": "on"},
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StorageUnavailable(f"cannot connect to PostgreSQL: {error}") from error
        return cls(dsn, pool, connection, patience=patience)

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer, as committed."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        try:
            text, values = _bound(sql, params)
            return [tuple(row) for row in await self._fetch(text, values)]
        except Exception as error:
            neutral = _neutral(error)
            if neutral is error:
                raise
            raise neutral from error

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, as committed, or None."""
        rows = await self.all(sql, **params)
        return rows[0] if rows else None

    async def write(self, work: Work[T], *, patient: bool = False) -> T:
        """Run `work` in a transaction; it is durable when this returns. `patient` ones go with the next group, too.

        Raises:
            StorageUnavailable: nothing of `work` remains, unless the error's details say `certain: false`.
        """
        if self._closed:
            raise StorageUnavailable("the database is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Caller(work, future))
        return await future

    async def close(self) -> None:
        """Commit what is queued, then disconnect. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        await asyncio.wait([self._writer])
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        await self._pool.close()

    async def _fetch(self, text: str, values: list[Any]) -> list[Any]:
        """Ask one of the pool's connections. Those that died while idle are dropped, until one answers."""
        for dead in range(self._readers + 1):
            try:
                async with self._pool.acquire() as connection:
                    try:
                        return cast("list[Any]", await connection.fetch(text, *values))
                    except BaseException as error:
                        # Given back as it is, one whose reader was cancelled would be waited for until the server
                        # has confirmed that, which one that hangs never does.
                        if not isinstance(error, Exception) or _is_lost(error):
                            with suppress(asyncpg.InterfaceError):  # the pool may have noticed by itself
                                connection.terminate()
                        raise
            except Exception as error:
                if dead == self._readers or isinstance(error, TimeoutError) or not _is_lost(error):
                    raise
        raise AssertionError("the last try returns or raises")

    async def _write_groups(self) -> None:
        """Commit group after group until None is queued."""
        last = False
        while not last:
            callers: list[_Caller] = []
            caller = await self._queue.get()
            while caller is not None:
                if not caller.future.cancelled():
                    callers.append(caller)
                if len(callers) == GROUP or self._queue.empty():
                    break
                caller = self._queue.get_nowait()
            last = caller is None
            if callers:
                await self._settle(callers)

    async def _settle(self, callers: list[_Caller]) -> None:
        """Commit them together; if that fails, each once more alone; then tell all."""
        try:
            await self._commit(callers)
        except _InDoubt as doubt:
            _fail(callers, doubt, certain=False)
        except Exception:
            await self._settle_singly(callers)
        for caller in callers:
            caller.resolve()

    async def _settle_singly(self, callers: list[_Caller]) -> None:
        try:
            await self._connected()
        except Exception as error:
            _fail(callers, error)  # nobody is there: once is enough to find out for all
            return
        for caller in callers:
            try:
                await self._commit([caller])
            except _InDoubt as doubt:
                _fail([caller], doubt, certain=False)
            except Exception as error:
                _fail([caller], error)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await _open(self._dsn, self._patience)
        return self._connection

    async def _commit(self, callers: list[_Caller]) -> None:
        """One transaction for all of them; raises when nothing of it remains."""
        try:
            connection = await self._connected()
            if len(callers) == 1:
                await connection.execute("BEGIN")
                await callers[0].perform(connection)
                end = "COMMIT" if callers[0].error is None else "ROLLBACK"
            else:
                await _together(connection, callers)
                end = "COMMIT"
        except BaseException as error:
            await self._undo(error)
            raise
        try:
            await connection.execute(end)
        except BaseException as error:
            await self._undo(error)
            if _is_lost(error) and end == "COMMIT":
                raise _InDoubt from error
            raise

    async def _undo(self, error: BaseException) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if _is_lost(error):
                raise error
            await connection.execute("ROLLBACK")
        except BaseException:
            connection.terminate()
            self._connection = None


async def _together(connection: asyncpg.Connection, callers: list[_Caller]) -> None:
    """Every caller behind a savepoint; one round trip between two of them."""
    await connection.execute("BEGIN; SAVEPOINT caller")
    for caller in callers:
        await caller.perform(connection)
        if caller.error is None:
            await connection.execute("RELEASE caller; SAVEPOINT caller")
        else:
            await connection.execute("ROLLBACK TO caller")


async def _open(dsn: str, patience: float) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        dsn,
        timeout=10,
        statement_cache_size=512,
        command_timeout=patience,
        server_settings={"application_name": APPLICATION},
    )
    await _prepare(connection)
    return connection


def _fail(callers: list[_Caller], error: BaseException, *, certain: bool = True) -> None:
    """Every caller gets an error of its own: they are raised in many tasks."""
    for caller in callers:
        if _group_failed(error) or isinstance(error, _InDoubt | TimeoutError):
            caller.error = StorageUnavailable() if certain else StorageUnavailable(certain=False)
        else:
            caller.error = RuntimeError("the transaction was lost")
        caller.error.__cause__ = error
