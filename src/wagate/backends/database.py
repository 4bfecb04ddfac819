"""The port to the database: transactions, group commit, named parameters; one SQL for both databases.

Statements are plain SQL text with `:name` parameters, written so that SQLite and PostgreSQL both take them: time is
passed in, flags are 0 or 1, JSON is text. Four fragments stand for what the two say differently:

    {skip_locked}   `FOR UPDATE SKIP LOCKED` on PostgreSQL, nothing on SQLite (one writer needs no row locks)
    {for_update}    `FOR UPDATE` on PostgreSQL, nothing on SQLite
    {greatest}      the scalar maximum: `GREATEST` / `max`
    {each:ids}      a subquery with one text row for each element of the JSON array in parameter `ids`

Adapters: sqlite.py, postgres.py. Called by gateway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = Sequence[Any]
"""One row: its columns by position, in the order of the SELECT."""


class ConstraintViolation(Exception):
    """A statement broke a rule of the schema (unique, not null, foreign key, check); its transaction is undone.

    A defect or a race, never a thing to say to clients: what is expected to clash says `ON CONFLICT`.
    """


class UnstorableValue(ValueError):
    """A parameter that no column can hold: text with a NUL or half a surrogate pair, an integer beyond 64 bits."""


class Reader(Protocol):
    """Something that answers queries with committed rows, or with the transaction's own."""

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer."""
        ...

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, or None."""
        ...


class Tx(Reader, Protocol):
    """One caller's transaction. It is valid only inside the function that received it."""

    trace: str | None
    """The place in a trace that the caller worked at when it asked for this transaction, as `traceparent`."""

    async def run(self, sql: str, /, **params: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        ...

    async def many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Execute one statement for each set of parameters, in this order."""
        ...


Work = Callable[[Tx], Awaitable[T]]
"""What a transaction does. It may be run a second time after a rollback, so it touches nothing but its `tx`, awaits
nothing but its `tx`, and returns what the caller needs."""


class Database(Reader, Protocol):
    """A database: reads see what is committed, `write` commits durably before it returns."""

    async def write(self, work: Work[T], *, patient: bool = False) -> T:
        """Run `work` in a transaction and commit.

        Many callers' transactions are committed together, each behind a savepoint of its own: an error of one undoes
        that one alone and is raised to its caller. Returns only after the commit is durable. `patient`: nobody waits
        for this, so it may be kept some milliseconds for company; what was queued before it is still done before it.

        Raises:
            StorageUnavailable: the disk is full, read-only or gone; nothing of `work` remains.
        """
        ...

    async def hurry(self) -> None:
        """The process ends: from now on nobody waits for a database that does not answer. One that does is used on."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then let go. Idempotent."""
        ...
