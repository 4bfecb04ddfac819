"""What happens a fixed time later, in the order in which it was asked for.

One task runs while anything is on the lane; all that is due, and what would be in a moment, goes to `act` in one batch,
so that a busy network commits many receipts at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from wagate.clock import Clock
from wagate.engines.sandbox.lines import end

log = logging.getLogger(__name__)

T = TypeVar("T")
BATCH = 256
COMPANY_MS = 8
"""How much too early something may be done, so that it need not be done alone; never more than half of its delay."""


class Lane(Generic[T]):
    """Things to do `delay` seconds after they were put here."""

    __slots__ = ("_act", "_clock", "_delay", "_items", "_retry", "_task")

    def __init__(self, delay: float, act: Callable[[list[T]], Awaitable[None]], *, clock: Clock, retry: float) -> None:
        self._delay = round(delay * 1000)
        self._act = act
        self._clock = clock
        self._retry = retry
        self._items: deque[tuple[int, T]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, item: T) -> None:
        """Later, this."""
        self._items.append((self._clock.now() + self._delay, item))
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Forget what is not done yet."""
        await end(self._task)
        self._items.clear()

    async def _run(self) -> None:
        try:
            while self._items:
                # The clock may have been turned back: nothing waits longer than its delay.
                wait = min(self._items[0][0] - self._clock.now(), self._delay)
                if wait > 0:
                    await self._clock.sleep(wait / 1000)
                await self._batch()
        finally:
            self._task = None

    async def _batch(self) -> None:
        soon = self._clock.now() + min(COMPANY_MS, self._delay // 2)
        batch = [self._items.popleft()]
        while self._items and self._items[0][0] <= soon and len(batch) < BATCH:
            batch.append(self._items.popleft())
        try:
            await self._act([item for _, item in batch])
        except Exception as error:
            log.warning("the network could not commit, trying again: %s", type(error).__name__)
            self._items.extendleft(reversed(batch))
            await self._clock.sleep(self._retry)
