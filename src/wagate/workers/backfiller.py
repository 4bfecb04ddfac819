"""A session's contacts and groups read anew while it works, beside its other work.

What a lost line or a full disk cuts short is not lost: the job stays, and the next connection or the next look finishes
it. Held by a runner.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import structlog

from wagate.engines import base
from wagate.errors import Internal, StorageUnavailable, WagateError
from wagate.gateway import Gateway, backfills
from wagate.gateway.leases import Held, LeaseLost
from wagate.workers import inbox

log = structlog.get_logger(__name__)

_FIRST_REST, _MOST_REST = 60.0, 3600.0


class Backfiller:
    """At most one reading at a time."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._task: asyncio.Task[bool] | None = None
        self._later: asyncio.Task[None] | None = None

    def begin(self, held: Held, line: base.Connection) -> None:
        """Read anew, unless that is under way. Returns at once."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._read(held, line))

    def begin_later(self, held: Held, line: base.Connection) -> None:
        """The network does not tell now: read in a while, and again until it does or the line is lost."""
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.ensure_future(self._wait_and_read(held, line))

    async def close(self) -> None:
        """Read no more."""
        under_way = [task for task in (self._task, self._later) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _wait_and_read(self, held: Held, line: base.Connection) -> None:
        rest = _FIRST_REST
        await self._gw.clock.sleep(rest * random.uniform(0.5, 1))
        while not await self._read(held, line):
            rest = min(rest * 2, _MOST_REST)
            await self._gw.clock.sleep(rest * random.uniform(0.5, 1))

    async def _read(self, held: Held, line: base.Connection) -> bool:
        """Read and store; false: it may be of use to try again on this line."""
        try:
            try:
                snapshot = await line.snapshot()
            except WagateError as error:
                await backfills.fail(self._gw, held, error)
                return False
            await inbox.keep(self._gw, held, snapshot)
        except (base.ConnectionLost, LeaseLost):
            pass
        except StorageUnavailable:
            log.warning("backfill cannot be written yet", session=held.id)
            return False
        except Exception:
            log.exception("backfill failed", session=held.id)
            with contextlib.suppress(LeaseLost, StorageUnavailable):
                await backfills.fail(self._gw, held, Internal())
        return True
