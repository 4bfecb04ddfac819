"""What one session's spool holds, told to the gateway: in order, a window ahead of what is taken. Used by line.py.

A record is an event as the library gave it, or reports of our own making. What it means is found out when it is told,
where a mistake costs nothing. The library hands over the next event when the last one is written, not when it is
synced: it has acknowledged up to a hundred that wait for us, and these must not queue for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.echoes import Echoes, change_of
from wagate.engines.whatsapp.spool import Spool

log = structlog.get_logger(__name__)

_OURS = 0
"""The code of records that are reports of our own making; the library's events begin above."""

WINDOW, WINDOW_OCTETS = 32, 4 << 20
"""Records that are told and not taken yet, at most, and how long they may be together: the rest waits on disk."""

_DISK_SECONDS = 1.0
_COMMIT_SECONDS = 1.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[wire.Reported]).decode

Tell = Callable[[wire.FromHost], None]
"""Sends a frame to the gateway."""

Read = Callable[[int, bytes], list[base.Report]]
"""From an event of the library's to reports; called on a thread. `ConnectionLost`: the library cannot be asked now."""


class Telling:
    """The records of a line; made on the event loop. Nothing is told before `begin`."""

    def __init__(self, spool: Spool, number: int, tell: Tell, read: Read, is_own: Callable[[str], bool]) -> None:
        self._spool: Spool | None = spool
        # Of its own: a disk that is slow, or a loop that is late, must hold up nobody else.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._number = number
        self._tell = tell
        self._read_event = read
        self._is_own = is_own
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._echoes = Echoes()
        self._comparing = threading.Lock()
        self._committed = asyncio.Event()
        self._told = self._taken = spool.first - 1
        self._open = False
        self._begun = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The library can be asked now, as translating may."""
        self._open = True
        self._begun += 1
        self._wake()

    def pause(self) -> None:
        """It cannot be asked any more."""
        self._open = False

    def release(self) -> None:
        """Whoever waits on the library's threads for a disk that takes nothing waits no longer."""
        self._closing.set()

    async def close(self) -> None:
        """Let the file go; what is in it stays. Idempotent.

        What was told gets a moment to be committed: what is not known to be is told again by the next.
        """
        self.pause()
        self.release()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COMMIT_SECONDS):
                while self._spool is not None and self._taken < self._told:
                    self._committed.clear()
                    await self._committed.wait()
        if (spool := self._spool) is not None:
            self._spool = None
            try:
                await self._loop.run_in_executor(self._disk, spool.close)
            except OSError:
                log.exception("what was heard last may not outlive the machine")
            self._disk.shutdown(wait=False)

    @property
    def last(self) -> int:
        """The last number that was told, or waits to be."""
        return 0 if self._spool is None else self._spool.last

    def taken(self, number: int) -> None:
        """The gateway has committed everything up to this."""
        if self._spool is not None:
            self._taken = max(self._taken, number)
            self._committed.set()
            self._spool.take(number)
            self._wake()

    def keep(self, reports: list[base.Report]) -> None:
        """Tell what an action of our own changed, as if it had come over the line."""
        reports = [each for each in reports if self._once(each, ours=True)]
        if self._spool is not None and reports:
            self._spool.append(bytes([_OURS]) + _encode([wire.report(each) for each in reports]))
            self._disk.submit(self._sync, self._spool)

    def keep_event(self, code: int, body: bytes) -> None:
        """What came over the line outlives this process when this returns, and is on its way to the disk.

        Called on the library's threads. Where the disk takes nothing the library waits, and with it what comes next.
        """
        complained = False
        while (spool := self._spool) is not None:
            try:
                spool.append(bytes([code]) + body)
            except OSError:
                if not complained:
                    log.exception("an event cannot be kept; trying on")
                complained = True
                if self._closing.wait(_DISK_SECONDS):
                    return
            else:
                with contextlib.suppress(RuntimeError):  # it is closed meanwhile, and closing syncs
                    self._disk.submit(self._sync, spool)
                return

    def _sync(self, spool: Spool) -> None:
        """Once for all that came meanwhile: those behind it find nothing left to do."""
        while spool.synced < spool.last:
            try:
                spool.sync()
            except OSError:
                log.exception("what was heard is not on the disk; trying on")
                if self._closing.wait(_DISK_SECONDS):
                    return
            else:
                with contextlib.suppress(RuntimeError):  # the host is ending, and its loop with it
                    self._loop.call_soon_threadsafe(self._wake)
                return

    def _wake(self) -> None:
        """There may be something to tell."""
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        while self._spool is not None and self._open:
            room = WINDOW - (self._told - self._taken)
            records = self._spool.after(self._told, max(room, 0), WINDOW_OCTETS)
            if not records:
                return
            for number, record in records:
                begun = self._begun
                if not self._open:
                    return
                try:
                    reports = await asyncio.to_thread(self._read, record)
                except base.ConnectionLost:
                    # The session went away meanwhile. What this says is found out when it is back, as it may be by now.
                    if begun == self._begun:
                        return self.pause()
                    break
                self._tell_all(number, reports)
                self._told = number

    def _tell_all(self, number: int, reports: list[wire.Reported]) -> None:
        """Tell a record, in several frames where one would be too large; the last of them has its number."""
        try:
            self._tell(wire.Told(line=self._number, number=number, reports=reports))
        except ValueError:
            half = len(reports) // 2
            if half:
                self._tell_all(0, reports[:half])
            else:
                log.error("a report is too large to be told")
            self._tell_all(number, reports[half:] if half else [])

    def _read(self, record: bytes) -> list[wire.Reported]:
        code, body = record[0], record[1:]
        if code == _OURS:
            return _decode(body)
        try:
            return [wire.report(each) for each in self._read_event(code, body) if self._once(each, ours=False)]
        except base.ConnectionLost:
            raise
        except Exception:
            # It would fail for ever and hold up everything behind it. The gateway sets aside what it does not know.
            log.exception("an event could not be read", event_code=code)
            return [wire.Reported(kind=f"Event{code}", body=wire.body(body))]

    def _once(self, report: base.Report, *, ours: bool) -> bool:
        """False for the second telling of what this account did."""
        change = change_of(report, self._is_own)
        return change is None or self.first_of(change, ours=ours)

    def first_of(self, change: Hashable, *, ours: bool) -> bool:
        """Whether a change is to be told; see echoes.py. Called on the event loop, and on threads that read."""
        with self._comparing:
            return self._echoes.tell(change, ours=ours, now=self._loop.time())
