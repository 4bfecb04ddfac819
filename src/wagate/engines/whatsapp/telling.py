"""What one session's spool holds, told to the gateway: in order, a window ahead of what is taken. Used by line.py.

A record is an event as the library gave it, or reports of our own making. What it means is found out when it is told,
where a mistake costs nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.echoes import Echoes, change_of
from wagate.engines.whatsapp.spool import Spool

log = structlog.get_logger(__name__)

_OURS = 0
"""The code of records that are reports of our own making; the library's events begin above."""

WINDOW = 32
"""Records that are told and not taken yet, at most: the rest waits on disk."""

_DISK_SECONDS = 1.0
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
        self._number = number
        self._tell = tell
        self._read_event = read
        self._is_own = is_own
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._echoes = Echoes()
        self._told = self._taken = spool.first - 1
        self._open = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The library can be asked now, as translating may."""
        self._open = True
        self._wake()

    def pause(self) -> None:
        """It cannot be asked any more."""
        self._open = False

    def release(self) -> None:
        """Whoever waits on the library's threads for a disk that takes nothing waits no longer."""
        self._closing.set()

    async def close(self) -> None:
        """Let the file go; what is in it stays. Idempotent."""
        self.pause()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    @property
    def last(self) -> int:
        """The last number that was told, or waits to be."""
        return 0 if self._spool is None else self._spool.last

    def taken(self, number: int) -> None:
        """The gateway has committed everything up to this."""
        if self._spool is not None:
            self._taken = max(self._taken, number)
            self._spool.take(number)
            self._wake()

    def keep(self, reports: list[base.Report]) -> None:
        """Tell what an action of our own changed, as if it had come over the line."""
        reports = [each for each in reports if self._once(each, ours=True)]
        if self._spool is not None and reports:
            self._spool.append(bytes([_OURS]) + _encode([wire.report(each) for each in reports]))
            self._wake()

    def keep_event(self, code: int, body: bytes) -> None:
        """What came over the line is on disk when this returns: WhatsApp has its acknowledgement already.

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
                self._loop.call_soon_threadsafe(self._wake)
                return

    def _wake(self) -> None:
        """There may be something to tell."""
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        while self._spool is not None and self._open:
            room = WINDOW - (self._told - self._taken)
            records = self._spool.after(self._told, max(room, 0))
            if not records:
                return
            for number, record in records:
                if not self._open:
                    return
                try:
                    reports = await asyncio.to_thread(self._read, record)
                except base.ConnectionLost:
                    # The session went away meanwhile: what this says is found out when it is back.
                    return self.pause()
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
        """Whether a change is to be told; see echoes.py."""
        return self._echoes.tell(change, ours=ours, now=self._loop.time())
