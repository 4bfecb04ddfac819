"""What time alone does: old events, old keys, unsettled sends, what deleted sessions leave behind.

Holds no rule: it calls each noun's own function until that has nothing left to do. Started by bootstrap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from wagate.engines import base
from wagate.errors import StorageUnavailable
from wagate.gateway import Gateway, events, outbox, outcomes, purges

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 30.0


async def run(gw: Gateway, engines: Mapping[str, base.Engine]) -> None:
    """Clean up now and then, for ever."""
    while True:
        try:
            await once(gw, engines)
        except StorageUnavailable:
            log.warning("database cannot be written; cleaning up later")
        # The system's time, whatever clock the gateway shows: a turned clock is followed within one round.
        await asyncio.sleep(_EVERY_SECONDS)


async def once(gw: Gateway, engines: Mapping[str, base.Engine]) -> None:
    """One round; small pieces, so that writers in between never wait long."""
    chores: tuple[Callable[[Gateway], Awaitable[int]], ...] = (
        events.expire,
        outbox.forget_keys,
        outcomes.expire_uncertain,
    )
    for chore in chores:
        while await chore(gw):
            pass
    for purge in await purges.due(gw):
        engine = engines.get(purge.engine)
        if engine is not None:
            account = base.Account(session_id=purge.session_id, organization_id=purge.organization_id)
            await engine.forget(account)
        while await purges.continue_with(gw, purge):
            pass
