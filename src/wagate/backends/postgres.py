"""The PostgreSQL adapter: many processes, one writer connection in each, a small pool for reads.

Writes: a task takes what is queued, up to 128 callers, and runs one transaction (READ COMMITTED) with a savepoint for
each, one after the other. When the group as a whole fails before its commit (a deadlock with another process, a lost
connection), nothing of it remains and each caller is run again, once, in a transaction of its own. When the connection
is lost while the commit is on its way the outcome is unknown: callers are told `StorageUnavailable` with
`certain: false` and nothing is repeated. Connections are opened again by the next need. A server that takes a statement
and does not answer within `patience` counts as lost, whoever waits is told within two of these, and who is cancelled
meanwhile waits for nothing. A caller that another process keeps from a row fails alone. Chosen by bootstrap.

Values come back as on SQLite: rows are tuples, truth is 0 or 1, sums are integers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import asyncpg
import structlog

from wagate.backends.callers import Caller, Part
from wagate.backends.database import Row, Tx, Work
from wagate.backends.postgres_server import claim, group_failed, has_name, is_lost, neutral, open_one, open_pool
from wagate.backends.statements import translate
from wagate.errors import StorageUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

GROUP = 128
"""The most callers that share a commit."""
_PATIENCE_SECONDS = 15.0
"""No statement of ours takes a fifth of this."""
_LEAVING_SECONDS = 2.0
"""How long a process that ends waits for a server that does not answer."""
_FRAGMENTS = {
    "skip_locked": "FOR UPDATE SKIP LOCKED",
    "for_update": "FOR UPDATE",
    "greatest": "GREATEST",
    "each": "SELECT json_array_elements_text(CAST(:@ AS json))",
}
_COUNTED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


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


class PostgresTx(Part[asyncpg.Connection]):
    """One caller's transaction on the writer's connection."""

    __slots__ = ()

    fails_group = staticmethod(group_failed)
    neutral = staticmethod(neutral)

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
    """A piece of work on its way through the writer. `until`: when it has waited for its turn for too long."""

    __slots__ = ("until",)

    def __init__(self, work: Work[Any], future: asyncio.Future[Any], *, until: float) -> None:
        super().__init__(work, future)
        self.until = until

    @property
    def blocked(self) -> bool:
        """Whether another process kept it from a row."""
        return self.error is not None and isinstance(self.error.__cause__, asyncpg.LockNotAvailableError)

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


class _NobodyThere(Exception):
    """No connection could be opened."""


class PostgresDatabase:
    """A PostgreSQL database. Belongs to the event loop that opened it."""

    def __init__(
        self, dsn: str, pool: asyncpg.Pool, connection: asyncpg.Connection, *, name: str = "", patience: float
    ) -> None:
        self._dsn = dsn
        self._name = name
        self._patience = patience
        self._pool = pool
        self._readers = pool.get_max_size()
        self._connection: asyncpg.Connection | None = connection
        self._queue: asyncio.Queue[_Caller | None] = asyncio.Queue()
        self._closed = False
        self._writer = asyncio.create_task(self._write_groups(), name="postgres-writer")

    @classmethod
    async def open(
        cls, dsn: str, *, name: str = "", readers: int = 4, patience: float = _PATIENCE_SECONDS
    ) -> PostgresDatabase:
        """Connect; `dsn` is a `postgresql://` address, `name` what no other process may be called that serves this
        database, `readers` the most connections for reads, `patience` the seconds after which a statement without an
        answer has failed.

        Raises:
            AlreadyServed: another process has the name, also after a while.
            StorageUnavailable: the server does not let us in.
        """
        try:
            connection = await open_one(dsn, patience=patience)
            try:
                if name:
                    await claim(connection, name, patience=2 * patience)
                pool = await open_pool(dsn, readers=readers, patience=patience)
            except BaseException:
                connection.terminate()
                raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StorageUnavailable(f"cannot connect to PostgreSQL: {error}") from error
        return cls(dsn, pool, connection, name=name, patience=patience)

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer, as committed."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        try:
            text, values = _bound(sql, params)
            # Waiting for one of the pool's connections included.
            async with asyncio.timeout(self._patience):
                return [tuple(row) for row in await self._fetch(text, values)]
        except Exception as error:
            told = neutral(error)
            if told is error:
                raise
            raise told from error

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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put_nowait(_Caller(work, future, until=loop.time() + self._patience))
        return await future

    async def hurry(self) -> None:
        """This process ends: from now on nobody waits for a server that does not answer."""
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                await self.write(_nothing)
        except (TimeoutError, StorageUnavailable):
            log.warning("the database does not answer; what it is still to be told is left to the next life")
            self._give_up()

    async def close(self) -> None:
        """Commit what is queued, then disconnect. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        await asyncio.wait([self._writer])
        connection, self._connection = self._connection, None
        # Nothing is lost with connections that are cut, only the server's log says so.
        with suppress(Exception):
            async with asyncio.timeout(min(_LEAVING_SECONDS, self._patience)):
                if connection is not None:
                    await connection.close()
                await self._pool.close()
        if connection is not None:
            connection.terminate()
        self._pool.terminate()

    def _give_up(self) -> None:
        """Cut every connection, and tell whoever waits."""
        self._closed = True
        if self._connection is not None:
            self._connection.terminate()
        self._pool.terminate()
        self._writer.cancel()
        waiting = self._queued()
        _fail(waiting, _NobodyThere())
        for caller in waiting:
            caller.resolve()

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
                        if not isinstance(error, Exception) or is_lost(error):
                            with suppress(asyncpg.InterfaceError):  # the pool may have noticed by itself
                                connection.terminate()
                        raise
            except Exception as error:
                if dead == self._readers or isinstance(error, TimeoutError) or not is_lost(error):
                    raise
        raise AssertionError("the last try returns or raises")

    async def _write_groups(self) -> None:
        """Commit group after group until None is queued."""
        last = False
        while not last:
            callers, last = await self._next_group()
            try:
                if callers:
                    await self._settle(callers)
            except asyncio.CancelledError as error:  # given up: nobody knows what became of them
                _fail(callers, error, certain=False)
                raise
            finally:
                for caller in callers:
                    caller.resolve()

    async def _next_group(self) -> tuple[list[_Caller], bool]:
        """Who is queued, and whether nobody comes behind them."""
        callers: list[_Caller] = []
        now = asyncio.get_running_loop().time
        caller = await self._queue.get()
        while caller is not None:
            if caller.until < now():
                _fail([caller], TimeoutError())
                caller.resolve()
            elif not caller.future.cancelled():
                callers.append(caller)
            if len(callers) == GROUP or self._queue.empty():
                break
            caller = self._queue.get_nowait()
        return callers, caller is None

    def _queued(self) -> list[_Caller]:
        """Take everybody who waits."""
        callers: list[_Caller] = []
        while not self._queue.empty():
            caller = self._queue.get_nowait()
            if caller is None:
                self._queue.put_nowait(None)
                break
            callers.append(caller)
        return callers

    async def _settle(self, callers: list[_Caller]) -> None:
        """Commit them together; if that fails, each once more alone."""
        try:
            await self._commit(callers)
        except _InDoubt as doubt:
            _fail(callers, doubt, certain=False)
        except _NobodyThere as nobody:
            self._turn_away(callers, nobody)
        except Exception:
            await self._settle_singly(callers)

    async def _settle_singly(self, callers: list[_Caller]) -> None:
        now = asyncio.get_running_loop().time
        end = now() + self._patience
        for position, caller in enumerate(callers):
            try:
                if now() > end:
                    raise TimeoutError
                await self._commit([caller])
            except _InDoubt as doubt:
                _fail([caller], doubt, certain=False)
            except _NobodyThere as nobody:
                return self._turn_away(callers[position:], nobody)
            except Exception as error:
                _fail([caller], error)

    def _turn_away(self, callers: list[_Caller], nobody: _NobodyThere) -> None:
        """Nobody is there: once is enough to find out for all, also for those who wait for their turn."""
        _fail(callers, nobody)
        waiting = self._queued()
        _fail(waiting, nobody)
        for caller in waiting:
            caller.resolve()

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await open_one(self._dsn, patience=self._patience)
                if self._name and not await has_name(self._connection, self._name):
                    # The server may not have noticed yet that the connection before this one is no more.
                    log.warning("another connection has this process's name", node=self._name)
            except Exception as error:
                raise _NobodyThere from error
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
            if is_lost(error) and end == "COMMIT":
                raise _InDoubt from error
            raise

    async def _undo(self, error: BaseException) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if is_lost(error):
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
            # Whoever holds one row for long may hold more: the group waits for that once.
            blocked = "; SET LOCAL lock_timeout = 100" if caller.blocked else ""
            await connection.execute("ROLLBACK TO caller" + blocked)


async def _nothing(tx: Tx) -> None:
    """Change nothing."""


def _fail(callers: list[_Caller], error: BaseException, *, certain: bool = True) -> None:
    """Every caller gets an error of its own: they are raised in many tasks."""
    ours = (_InDoubt, _NobodyThere, TimeoutError, asyncio.CancelledError)
    for caller in callers:
        if group_failed(error) or isinstance(error, ours):
            caller.error = StorageUnavailable() if certain else StorageUnavailable(certain=False)
        else:
            caller.error = RuntimeError("the transaction was lost")
        caller.error.__cause__ = error
