"""The time: the system's, or one that tests and the sandbox turn by hand.

Everything that waits or stamps takes a `Clock`, so that a test turns a day in a millisecond. Times are integers, epoch
milliseconds. `SystemClock` may jump (an administrator, NTP): nothing may rest its order on it.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is, and waiting for a later one."""

    def now(self) -> int:
        """Epoch milliseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` of this clock have passed; 0 or less yields once."""
        ...


class SystemClock:
    """The machine's clock; waiting is measured by the monotonic one, so a jump never stretches a wait."""

    def now(self) -> int:
        """Epoch milliseconds."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(seconds, 0))


class ManualClock:
    """A clock that moves only by `advance`; sleepers wake in the order of their times. Used on one event loop."""

    def __init__(self, start: int | None = None) -> None:
        self._now = SystemClock().now() if start is None else start
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> int:
        """Epoch milliseconds, as turned."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been turned so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + round(seconds * 1000), self._count, waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Turn the clock; each sleeper wakes at its own time and runs before the next does."""
        target = self._now + round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not waiter.done():
                waiter.set_result(None)
            # Woken tasks may put new sleepers before `target`: let them run first.
            for _ in range(5):
                await asyncio.sleep(0)
        self._now = max(self._now, target)
