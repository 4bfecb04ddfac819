"""What a host tells of one line, handed to the sink: in order, one call at a time, again until it is committed.

A report that the sink refuses for good is set aside in the session's folder, for whoever looks into it: it must not
hold up what comes behind it. Where the sink is closed nothing is handed on any more, and the host keeps what it has for
who holds the session next. Used by connection.py, one for each place that the session has in a host.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.errors import NoAnswer

log = structlog.get_logger(__name__)

_AT_ONCE = 64
_REPORTS_AT_ONCE = 256
_TRIES_TOGETHER, _TRIES_ALONE = 3, 8
"""A batch is tried so often as a whole, then each report of it so often alone: a quarter of a minute."""
_FIRST_REST, _MOST_REST = 0.1, 5.0
_ASIDE_MOST = 4 << 20


class Passing:
    """The queue behind a sink. `taken` is called with the number of the last record that is committed."""

    def __init__(self, sink: base.Sink, folder: Path, taken: Callable[[int], None]) -> None:
        self._sink = sink
        self._folder = folder
        self._taken = taken
        self._queue: asyncio.Queue[wire.Told] = asyncio.Queue()
        self._number = 0
        self._moved = asyncio.Condition()
        self._over = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_ended)

    def put(self, told: wire.Told) -> None:
        """Take what was told; never waits."""
        self._queue.put_nowait(told)

    async def passed(self, number: int) -> None:
        """Return when everything up to this record is committed.

        Raises:
            NoAnswer: this has ended before.
        """
        async with self._moved:
            await self._moved.wait_for(lambda: self._number >= number or self._over)
        if self._number < number:
            raise NoAnswer

    async def close(self) -> None:
        """Hand on nothing more; a call to the sink that waits is ended. Idempotent."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._task, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        async with self._moved:
            self._over = True
            self._moved.notify_all()

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < _AT_ONCE:
                batch.append(self._queue.get_nowait())
            try:
                await self._pass(batch)
            except base.SinkClosed:
                return await self._end()
            number = max(told.number for told in batch)
            if number:
                self._taken(number)
                async with self._moved:
                    self._number = number
                    self._moved.notify_all()

    async def _pass(self, batch: list[wire.Told]) -> None:
        reports = []
        for each in (each for told in batch for each in told.reports):
            try:
                reports.append(wire.reported(each))
            except msgspec.MsgspecError as error:
                await self._set_aside(each, error)
        # A piece of history is thousands of reports: nobody else could write for as long as one transaction takes them.
        for start in range(0, len(reports), _REPORTS_AT_ONCE):
            await self._pass_together(reports[start : start + _REPORTS_AT_ONCE])

    async def _pass_together(self, reports: list[base.Report]) -> None:
        if await self._try(reports, _TRIES_TOGETHER) is None:
            return
        for report in reports:
            if (refused := await self._try([report], _TRIES_ALONE)) is not None:
                await self._set_aside(wire.report(report), refused)

    async def _try(self, reports: list[base.Report], tries: int) -> Exception | None:
        """Hand over, several times if need be; why not, if not."""
        rest = _FIRST_REST
        while True:
            try:
                await self._sink(reports)
            except base.SinkClosed:
                raise
            except Exception as error:
                tries -= 1
                log.warning("reports were not taken", count=len(reports), tries_left=tries, error=type(error).__name__)
                if not tries:
                    return error
                await asyncio.sleep(rest)
                rest = min(rest * 2, _MOST_REST)
            else:
                return None

    async def _set_aside(self, told: wire.Reported, why: Exception) -> None:
        # Never what it says: the log is not the place for messages.
        log.error("a report is set aside", kind=told.kind, folder=str(self._folder), exc_info=why)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_append, self._folder / "aside", wire.framed(wire.told_alone(told)))


def _ended(task: asyncio.Task[None]) -> None:
    """A defect here would leave a session that hears nothing, not even that its line is lost."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("what a host tells is not handed on any more", exc_info=error)


def _append(file: Path, record: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < _ASIDE_MOST:
            os.write(descriptor, record)
    finally:
        os.close(descriptor)
