"""What time alone does: old events, old keys, unsettled sends, what deleted sessions leave behind.

Holds no rule: it calls each noun's own function until that has nothing left to do. Started by bootstrap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from wagate.engines import base
from wagate.errors import Unavailable, WagateError
from wagate.gateway import Gateway, events, leases, outbox, outcomes, purges

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 30.0


async def run(gw: Gateway, engines: Mapping[str, base.Engine]) -> None:
    """Clean up now and then, for ever."""
    while True:
        try:
            await once(gw, engines)
        except WagateError as error:
            log.warning("cleaning up later", why=error.message)
        except Exception:
            # One row that cannot be cleaned up must not end the whole gateway.
            log.exception("cleaning up failed")
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
        if not await _forgotten(gw, engines.get(purge.engine), purge):
            continue
        while await purges.continue_with(gw, purge):
            pass


async def _forgotten(gw: Gateway, engine: base.Engine | None, purge: purges.Purge) -> bool:
    """Have the engine remove the session's keys; False: its network is not at hand, so this is for a later round."""
    if engine is None:
        return True
    try:
        await engine.forget(base.Account(session_id=purge.session_id, organization_id=purge.organization_id))
    except Unavailable:
        await leases.need_network(gw, purge.organization_id)
        return False
    return True
