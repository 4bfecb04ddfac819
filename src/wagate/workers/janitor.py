"""What time alone does: old events and deliveries, old keys, unsettled sends, what deleted sessions leave behind.

Holds no rule: it calls each noun's own function until that has nothing left to do. Started by bootstrap.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any

import structlog

from wagate.backends.broker import Bell
from wagate.engines import base
from wagate.errors import Unavailable, WagateError
from wagate.gateway import Gateway, deliveries, events, leases, media, outbox, outcomes, polls, purges, tickets

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 30.0


async def run(gw: Gateway, engines: Mapping[str, base.Engine]) -> None:
    """Clean up now and then, and count polls when they end, for ever."""
    await asyncio.gather(_again(lambda: once(gw, engines), lambda: _rest(gw)), count_polls(gw))


async def count_polls(gw: Gateway) -> None:
    """Count each poll when the gateway's clock shows its end, for ever."""
    with Bell(gw.broker, "polls") as bell:

        async def count() -> None:
            bell.rung = False
            while await polls.expire(gw):
                pass

        await _again(count, lambda: _until_next_end(gw, bell))


async def _until_next_end(gw: Gateway, bell: Bell) -> None:
    """Return when the next poll ends, when another one is stored, or after a round: that hint may be lost."""
    ends_at = await polls.next_end(gw)
    if ends_at is None:
        await bell.wait(_EVERY_SECONDS)
        return
    await _first(gw.clock.sleep((ends_at - gw.clock.now()) / 1000), bell.wait(_EVERY_SECONDS))


async def _rest(gw: Gateway) -> None:
    """Return after a round, by the system's time or by the gateway's clock when that is turned."""
    await _first(gw.clock.sleep(_EVERY_SECONDS), asyncio.sleep(_EVERY_SECONDS))


async def _first(*moments: Coroutine[Any, Any, object]) -> None:
    """Wait for one of them, and leave the others."""
    waiting = [asyncio.ensure_future(moment) for moment in moments]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _again(chore: Callable[[], Awaitable[object]], rest: Callable[[], Awaitable[object]]) -> None:
    """Do a chore and rest, for ever."""
    while True:
        try:
            await chore()
            await rest()
        except WagateError as error:
            log.warning("cleaning up later", why=error.message)
            await asyncio.sleep(_EVERY_SECONDS)
        except Exception:
            # One row that cannot be cleaned up must not end the whole gateway.
            log.exception("cleaning up failed")
            await asyncio.sleep(_EVERY_SECONDS)


async def once(gw: Gateway, engines: Mapping[str, base.Engine]) -> None:
    """One round; small pieces, so that writers in between never wait long."""
    chores: tuple[Callable[[Gateway], Awaitable[int]], ...] = (
        events.expire,
        outbox.forget_keys,
        outcomes.expire_uncertain,
        media.expire,
        tickets.expire,
        deliveries.expire,
    )
    for chore in chores:
        with _alone(chore.__module__):
            while await chore(gw):
                pass
    after = ""
    while due := await purges.due(gw, after=after):
        after = due[-1].session_id
        for purge in due:
            with _alone(purge.session_id):
                await _purged(gw, engines.get(purge.engine), purge)
    for name, engine in engines.items():
        with _alone(f"keys of {name}"):
            await _forget_keys(gw, name, engine)


async def _forget_keys(gw: Gateway, name: str, engine: base.Engine) -> None:
    """What a session that was logged out has left: by the phone, or by a process that died in the middle of it."""
    kept = await engine.kept()
    for each in await purges.kept_in_vain(gw, name, kept) if kept else []:
        with contextlib.suppress(Unavailable):
            await engine.forget(base.Account(session_id=each.session_id, organization_id=each.organization_id))


@contextlib.contextmanager
def _alone(what: str) -> Iterator[None]:
    """A file or a row that cannot be cleaned up keeps nothing else from it; a disk that cannot be written does."""
    try:
        yield
    except WagateError:
        raise
    except OSError as error:
        log.warning("cleaning up failed", what=what, error=str(error))
    except Exception:
        log.exception("cleaning up failed", what=what)


async def _purged(gw: Gateway, engine: base.Engine | None, purge: purges.Purge) -> None:
    if await _forgotten(gw, engine, purge):
        while await purges.continue_with(gw, purge):
            pass


async def _forgotten(gw: Gateway, engine: base.Engine | None, purge: purges.Purge) -> bool:
    """Have the engine remove the session's keys; False: not now (its network is not at hand, its host has them still),
    so this is for a later round.
    """
    if engine is None:
        return True
    try:
        await engine.forget(base.Account(session_id=purge.session_id, organization_id=purge.organization_id))
    except Unavailable:
        if (facts := gw.rules.engines.get(purge.engine)) is not None and facts.hosts_networks:
            await leases.need_network(gw, purge.organization_id)
        return False
    return True
