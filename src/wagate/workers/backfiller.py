"""A session's contacts and groups read anew while it works, beside its other work.

What a lost line or a full disk cuts short is not lost: the job stays, and the next connection or the next look finishes
it. Held by a runner.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from wagate.engines import base
from wagate.errors import Internal, StorageUnavailable, WagateError
from wagate.gateway import Gateway, backfills
from wagate.gateway.leases import Held, LeaseLost
from wagate.workers import inbox

log = structlog.get_logger(__name__)


class Backfiller:
    """At most one reading at a time."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._task: asyncio.Task[None] | None = None

    def begin(self, held: Held, line: base.Connection) -> None:
        """Read anew, unless that is under way. Returns at once."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._read(held, line))

    async def close(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self, held: Held, line: base.Connection) -> None:
        try:
            try:
                snapshot = await line.snapshot()
            except WagateError as error:
                await backfills.fail(self._gw, held, error)
                return
            await inbox.keep(self._gw, held, snapshot)
        except (base.ConnectionLost, LeaseLost):
            pass
        except StorageUnavailable:
            log.warning("backfill cannot be written yet", session=held.id)
        except Exception:
            log.exception("backfill failed", session=held.id)
            with contextlib.suppress(LeaseLost, StorageUnavailable):
                await backfills.fail(self._gw, held, Internal())
