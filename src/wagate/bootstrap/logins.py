"""Login tokens: the identity provider that the settings name, and what judges its tokens.

Called by the package itself and by the commands that look at both without a gateway. What they need is loaded only
where a provider is named: the HTTP client costs 0.4 s and 10 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from wagate.backends.doors import FetchFailed, TooLarge
from wagate.backends.guard import UrlRefused
from wagate.backends.tokens import Claims, Expected, Verifier
from wagate.clock import Clock
from wagate.config import Settings

if TYPE_CHECKING:
    from wagate.backends.http import OperatorDoor
    from wagate.backends.jwks import Fetch, Jwks, KeySet, PublicKey

KEYS_MISSING = (UrlRefused, TooLarge, FetchFailed)
"""What `fetch_keys` and `inspected` raise where there are no keys: no usable answer, or one without a usable key."""
START_SECONDS = 1.0
"""How long a start waits for the provider's first answer. It goes on without one."""


def expected(settings: Settings) -> Expected:
    """Whose tokens are good for whom."""
    return Expected(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        user_claim=settings.jwt_user_claim,
        organization_claim=settings.jwt_org_claim,
        organization_role_claim=settings.jwt_org_role_claim,
        role_claim=settings.jwt_role_claim,
    )


async def verifier(
    settings: Settings, stack: contextlib.AsyncExitStack, *, clock: Clock, start: Callable[[Jwks], None]
) -> Verifier | None:
    """What judges login tokens while `stack` lasts; None where no provider is named. `start` runs its keys' `run`.

    Returns when the first set of keys is there, or after `START_SECONDS`: a provider that hangs keeps no gateway from
    starting.
    """
    if not settings.jwks_url:
        return None
    from wagate.backends.jwks import Jwks

    door = await asyncio.to_thread(_door)
    stack.push_async_callback(door.close)
    jwks = Jwks(_fetch(door, settings.jwks_url), clock)
    start(jwks)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(jwks.first.wait(), START_SECONDS)
    return Verifier(jwks, expected(settings), clock=clock, create_organizations=settings.jwt_create_orgs)


async def fetch_keys(settings: Settings) -> KeySet:
    """The provider's keys as they are published now.

    Raises:
        KEYS_MISSING: see there.
    """
    from wagate.backends.jwks import read

    async with _opened() as door:
        return read(await _fetch(door, settings.jwks_url)())


async def inspected(settings: Settings, token: bytes, clock: Clock) -> Claims:
    """What a token says, judged by the provider's keys of this moment.

    Raises:
        TokenRefused: it is not good.
        KEYS_MISSING: there are no keys to judge it by.
    """
    return (await Verifier(_PublishedNow(settings), expected(settings), clock=clock).verify(token)).claims


class _PublishedNow:
    """The provider's keys, fetched when one is asked for: what costs no fetch is judged without one."""

    generation = 0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        """The key with this id for this algorithm."""
        return (await fetch_keys(self._settings)).keys.get((kid, algorithm))


@contextlib.asynccontextmanager
async def _opened() -> AsyncIterator[OperatorDoor]:
    door = _door()
    try:
        yield door
    finally:
        await door.close()


def _door() -> OperatorDoor:
    from wagate.backends.http import OperatorDoor

    return OperatorDoor()


def _fetch(door: OperatorDoor, url: str) -> Fetch:
    from wagate.backends.jwks import FETCH_SECONDS, MOST_BYTES

    return lambda: door.get(url, most_bytes=MOST_BYTES, timeout=FETCH_SECONDS)
