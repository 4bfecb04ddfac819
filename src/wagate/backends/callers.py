"""What both adapters do alike: a caller of a group commit, and a transaction that only fails once it has failed.

PostgreSQL refuses everything after a failed statement; SQLite would go on. Here both refuse, so that work which
swallows an error commits on neither. Used by sqlite_writer and postgres.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Generic, NoReturn, TypeVar

from wagate.backends.database import Work
from wagate.telemetry import traces

C = TypeVar("C")


class Part(ABC, Generic[C]):
    """One caller's transaction on the writer's connection. After a statement failed, it only fails."""

    __slots__ = ("_connection", "error", "failed", "trace")

    def __init__(self, connection: C, *, trace: str | None = None) -> None:
        self._connection: C | None = connection
        self.trace = trace
        self.error: Exception | None = None
        self.failed: Exception | None = None
        """Set when more than this caller's part is lost, whatever the work makes of its error."""

    @staticmethod
    @abstractmethod
    def fails_group(error: Exception) -> bool:
        """Whether the whole group is lost with this error. The adapter says."""

    @staticmethod
    @abstractmethod
    def neutral(error: Exception) -> Exception:
        """The port's error for one of the driver's. The adapter says."""

    def close(self) -> None:
        """The function that received it has ended."""
        self._connection = None

    def _open(self) -> C:
        if self.error is not None:
            raise self.error
        if self._connection is None:
            raise RuntimeError("a transaction is valid only inside the function that received it")
        return self._connection

    def _fail(self, error: Exception) -> NoReturn:
        if self.error is None:
            if self.fails_group(error):
                self.failed = error
            self.error = self.neutral(error)
        if self.error is error:
            raise error
        raise self.error from error


class Caller:
    """A piece of work in the queue, and how it ended."""

    __slots__ = ("error", "future", "result", "trace", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        # The writer runs the work later, in a task of its own.
        self.trace = traces.current.get()
        self.result: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Tell the caller, if it is still there."""
        if not self.future.done():
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)
