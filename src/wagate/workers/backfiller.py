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
from wagate.workers.lasting import lasting

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

    async def read(self, held: Held, line: base.Connection) -> None:
        """Read on a new line. What the network does not tell now is read later: the session is online all the same, and
        to begin anew would only ask more of the network.

        Raises:
            ConnectionLost: the line is gone already.
            LeaseLost: the session is another's.
        """
        try:
            snapshot = await lasting(held.id, line.snapshot)
            await lasting(held.id, inbox.keep, self._gw, held, snapshot)
        except (base.ConnectionLost, base.LinkEnded, LeaseLost):
            raise
        except WagateError as error:
            log.warning("contacts and groups cannot be read now", session=held.id, error=error.code)
            self._begin_later(held, line)
        except Exception:
            await self._failed(held)

    async def close(self) -> None:
        """Read no more."""
        under_way = [task for task in (self._task, self._later) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _begin_later(self, held: Held, line: base.Connection) -> None:
        """Read in a while, and again until the network tells or the line is lost."""
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.ensure_future(self._wait_and_read(held, line))

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
            await self._failed(held)
        return True

    async def _failed(self, held: Held) -> None:
        """A defect: whoever asked for it is told."""
        log.exception("backfill failed", session=held.id)
        with contextlib.suppress(LeaseLost, StorageUnavailable):
            await backfills.fail(self._gw, held, Internal())
