"""Media fetched as they arrive, where the operator wants that: beside the session's other work, a few at a time.

What is not fetched, because there is too much of it or the process ends, is fetched when somebody asks for it.
Held by a runner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from wagate.engines import base
from wagate.errors import WagateError
from wagate.gateway import Gateway, downloads, media
from wagate.gateway.leases import Held
from wagate.model.contents import EditContent, ReactionContent, RevokeContent, VoteContent
from wagate.model.organizations import Caller

log = structlog.get_logger(__name__)

_AT_ONCE = 2
_MOST = 1000
"""How many files of a session may wait to be fetched."""


class Fetcher:
    """What one session still has to fetch."""

    def __init__(self, gw: Gateway, held: Held) -> None:
        self._gw = gw
        self._session_id = held.id
        self._caller = Caller(organization_id=held.organization_id, capabilities=frozenset())
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, reports: Sequence[base.Report]) -> None:
        """These were stored: fetch the files among them, later. Returns at once."""
        if self._gw.rules.media_fetch != "on_arrival":
            return
        for report in reports:
            if isinstance(report, base.Arrived) and not report.history and len(self._tasks) < _MOST and _has(report):
                where = downloads.Where(session_id=self._session_id, wire_id=report.wire_id, chat=report.chat)
                task = asyncio.ensure_future(self._fetch(where))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Fetch no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fetch(self, where: downloads.Where) -> None:
        async with self._room:
            try:
                await downloads.fetch(self._gw, self._caller, where)
            except WagateError as error:
                log.info("media not fetched yet", session=where.session_id, why=error.message)
            except Exception:
                log.exception("media not fetched", session=where.session_id)


def _has(report: base.Arrived) -> bool:
    match report.content:
        case EditContent() | RevokeContent() | ReactionContent() | VoteContent():
            return False
        case said:
            return bool(media.files_of(said))
