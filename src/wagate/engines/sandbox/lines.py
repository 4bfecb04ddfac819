"""A session's line to the pretend network: what goes out on it, in order, one batch at a time.

Two sources feed it: reports kept in the store (messages, groups, and whatever came while nobody listened), and receipts
and presence in memory. A task runs only while there is something to deliver. What the sink has taken is told to
`taken`, never before; what it has not taken is delivered again.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from wagate.clock import Clock
from wagate.engines.base import Account, ConnectionLost, PresenceHeard, Report, Sink
from wagate.engines.sandbox.faults import Faults
from wagate.engines.sandbox.settings import Timing
from wagate.model.messages import Receipt

log = logging.getLogger(__name__)

BATCH = 64
Kept = tuple[str, Report]
"""A report in the store: its key, and itself."""


class Told(NamedTuple):
    """A receipt or where somebody is, and the frames whose messages it tells about."""

    receipt: Receipt | PresenceHeard
    frames: tuple[int, ...]


class Line(ABC):
    """The queue behind one sink."""

    __slots__ = (
        "_hanging", "_queue", "_task", "_turn", "_waiters", "account", "clock", "closed", "faults", "number", "online",
        "sink", "timing", "waiting",
    )  # fmt: skip

    def __init__(self, account: Account, sink: Sink, *, clock: Clock, timing: Timing) -> None:
        self.account = account
        self.sink = sink
        self.clock = clock
        self.faults: Faults | None = None
        self.number = ""
        self.online = False
        self.closed = False
        self.waiting = False
        self.timing = timing
        self._queue: deque[Told] = deque()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._waiters: list[tuple[str, asyncio.Future[None]]] = []
        self._hanging: set[asyncio.Future[None]] = set()

    @abstractmethod
    async def fetch(self, limit: int) -> list[Kept]:
        """The oldest reports kept for this session."""

    @abstractmethod
    async def taken(self, kept: Sequence[Kept], receipts: Sequence[Told]) -> None:
        """The sink has committed these."""

    def offer(self, told: Told) -> None:
        """A receipt, or where somebody is, to deliver; the line must be online."""
        self._queue.append(told)
        self.kick()

    def leftover(self) -> list[Told]:
        """Take back what was not delivered from memory."""
        left = list(self._queue)
        self._queue.clear()
        return left

    def kick(self) -> None:
        """Something may be there: deliver it unless that is happening."""
        if self.online and self._task is None and (self.waiting or self._queue):
            self._task = asyncio.ensure_future(self._deliver())

    async def passed(self, ticket: str) -> None:
        """Return when the kept report with this key, and all before it, were taken.

        Raises:
            ConnectionLost: the line broke first.
        """
        if not self.online:
            raise ConnectionLost
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((ticket, future))
        self.waiting = True
        self.kick()
        await future

    async def hang(self) -> None:
        """Wait for an answer that does not come; ends with the line, as `ConnectionLost`."""
        if not self.online:
            raise ConnectionLost
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hanging.add(future)
        try:
            await future
        finally:
            self._hanging.discard(future)

    async def report(self, report: Report) -> None:
        """Hand one report to the sink now, between batches; nothing once the line is closed."""
        async with self._turn:
            if not self.closed:
                await self.sink([report])

    def cut(self) -> None:
        """Go offline; a batch that is with the sink is finished."""
        self.online = False
        for future in [*self._hanging, *(future for _, future in self._waiters)]:
            if not future.done():
                future.set_exception(ConnectionLost())
        self._waiters.clear()

    async def stop(self) -> None:
        """Go offline for good; nothing reaches the sink afterwards."""
        self.closed = True
        self.cut()
        await end(self._task)

    async def _deliver(self) -> None:
        try:
            while self.online and (self._queue or self.waiting):
                try:
                    await self._batch()
                except Exception as error:
                    # The gateway or the store could not commit: the same batch again, later; nothing overtakes it.
                    log.warning("a batch was not taken, trying again: %s", type(error).__name__)
                    await self.clock.sleep(self.timing.retry)
        finally:
            self._task = None
        # What came between the last look and the end of this task.
        self.kick()

    async def _batch(self) -> None:
        receipts, kept = await self._gather()
        if len(receipts) + len(kept) == 1 and self._will_swap():
            # One report alone cannot be swapped: give the next one a moment to come.
            self._back(receipts)
            self.waiting = self.waiting or bool(kept)
            await self.clock.sleep(self.timing.held_back)
            receipts, kept = await self._gather()
        done = False
        try:
            if receipts or kept:
                done = await self._hand(receipts, kept)
        finally:
            if not done:
                self._back(receipts)
                self.waiting = self.waiting or bool(kept)
        if done and kept:
            self._release(kept[-1][0])
        elif not self.waiting:
            self._release(None)

    def _back(self, receipts: list[Told]) -> None:
        self._queue.extendleft(reversed(receipts))

    async def _gather(self) -> tuple[list[Told], list[Kept]]:
        receipts = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
        if not self.waiting or len(receipts) == BATCH:
            return receipts, []
        # Cleared before the look: whatever is kept from here on sets it again.
        self.waiting = False
        limit = BATCH - len(receipts)
        try:
            kept = await self.fetch(limit)
        except BaseException:
            self.waiting = True
            self._back(receipts)
            raise
        self.waiting = self.waiting or len(kept) == limit
        return receipts, kept

    async def _hand(self, receipts: list[Told], kept: list[Kept]) -> bool:
        """Give a batch to the sink, and once it is committed say so; False when the line broke before."""
        reports = self._disturbed([told.receipt for told in receipts] + [report for _, report in kept])
        async with self._turn:
            if not self.online:
                return False
            await self.sink(reports)
        await self.taken(kept, receipts)
        return True

    def _will_swap(self) -> bool:
        return self.faults is not None and self.faults.awaits(
            "reorder_events", self.account.session_id, self.clock.now()
        )

    def _disturbed(self, reports: list[Report]) -> list[Report]:
        """Faults on request: the first report twice, or the first two swapped."""
        faults, session = self.faults, self.account.session_id
        if faults is None:
            return reports
        if len(reports) > 1 and faults.take("reorder_events", session, self.clock.now()):
            reports = [reports[1], reports[0], *reports[2:]]
        if faults.take("duplicate_event", session, self.clock.now()):
            reports = [reports[0], *reports]
        return reports

    def _release(self, ticket: str | None) -> None:
        """Wake those who wait for a key up to this one; None: everything kept was taken."""
        left = []
        for awaited, future in self._waiters:
            if ticket is None or awaited <= ticket:
                if not future.done():
                    future.set_result(None)
            else:
                left.append((awaited, future))
        self._waiters = left


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end, unless it is the one that asks."""
    if task is None or task is asyncio.current_task():
        return
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
