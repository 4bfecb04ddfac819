"""The keys of an identity provider: fetched, read once each time, and kept.

A set is fetched as soon as somebody holds one, then every hour, and at once when a key is asked for that is not in it,
but then at most once a minute. An answer without one usable key counts as no answer, and the last good set stays: a
provider that is down signs nobody out. While there is no set at all it is asked for again and again, after 1, 2, 4 …
60 seconds.

The only file that imports the library of JSON Web Keys. Opened by bootstrap; asked by tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import PyJWTError

from wagate.backends.doors import FetchFailed, TooLarge
from wagate.backends.guard import UrlRefused
from wagate.clock import Clock

MOST_BYTES: Final = 256 * 1024
"""How much of an answer is read."""
FETCH_SECONDS: Final = 10.0
"""How long one answer is waited for."""
KEPT_SECONDS: Final = 3600.0
APART_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 0.005
"""How long a caller whose key is unknown waits for the fetch that is under way."""

_MOST_KEYS = 100
_LEAST_BITS, _MOST_BITS = 2048, 8192

Fetch = Callable[[], Awaitable[bytes]]
"""Gets the set from the provider."""

log = structlog.get_logger(__name__)
_ALGORITHMS: dict[str, Algorithm] = {
    name: each for name, each in get_default_algorithms().items() if name in ("EdDSA", "ES256", "RS256")
}


class PublicKey:
    """One key, made ready. It verifies with its own algorithm and no other."""

    __slots__ = ("_algorithm", "_key", "algorithm", "kid")

    def __init__(self, kid: str, algorithm: str, key: Any) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self._algorithm = _ALGORITHMS[algorithm]
        self._key = key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's on `message`."""
        return self._algorithm.verify(message, self._key, signature)


class KeySet(msgspec.Struct, frozen=True):
    """The usable keys of one answer, by key id and algorithm, and a clause for each one that cannot be used."""

    keys: dict[tuple[str, str], PublicKey]
    unusable: list[str]


class NotUsable(FetchFailed):
    """A key, or a whole answer, that nothing can be verified with."""


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


def read(answer: bytes) -> KeySet:
    """The keys that a provider publishes.

    Raises:
        NotUsable: it is no set of keys, or none of them can be used.
    """
    try:
        found = msgspec.json.decode(answer, type=_Document).keys
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise NotUsable("what it answers is no set of keys") from None
    keys: dict[tuple[str, str], PublicKey] = {}
    unusable: list[str] = []
    for number, each in enumerate(found[:_MOST_KEYS], 1):
        named = str(each["kid"])[:64] if each.get("kid") else f"number {number}"
        try:
            key = _key(each)
            if (key.kid, key.algorithm) in keys:
                raise NotUsable("an earlier one has its id")
        except NotUsable as why:
            unusable.append(f"{named}: {why}")
            continue
        keys[key.kid, key.algorithm] = key
    if not keys:
        raise NotUsable("it answers no key that can be used" + (f" ({'; '.join(unusable[:5])})" if unusable else ""))
    return KeySet(keys, unusable)


def _key(jwk: dict[str, Any]) -> PublicKey:
    kid, algorithm = jwk.get("kid"), _algorithm_of(jwk)
    if not isinstance(kid, str) or not 0 < len(kid) <= 256:
        raise NotUsable("it has no id")
    if jwk.get("alg") not in (None, algorithm):
        raise NotUsable("its algorithm is none of EdDSA, ES256 and RS256, or not one of its type")
    if jwk.get("use") not in (None, "sig"):
        raise NotUsable("it is not for signatures")
    may = jwk.get("key_ops")
    if may is not None and not (isinstance(may, list) and "verify" in may):
        raise NotUsable("it is not for verifying")
    if "d" in jwk:
        raise NotUsable("it is a private key, which nobody may publish")
    try:
        key = _ALGORITHMS[algorithm].from_jwk(jwk)
    except (PyJWTError, ValueError, TypeError, OverflowError, KeyError):
        raise NotUsable("it is damaged") from None
    if isinstance(key, rsa.RSAPublicKey) and not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        raise NotUsable(f"it has {key.key_size} bits; {_LEAST_BITS} to {_MOST_BITS} are taken")
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise NotUsable("it is no public key")
    return PublicKey(kid, algorithm, key)


def _algorithm_of(jwk: dict[str, Any]) -> str:
    """The one algorithm that a key of this type is taken for."""
    match jwk.get("kty"), jwk.get("crv"):
        case "OKP", "Ed25519":
            return "EdDSA"
        case "EC", "P-256":
            return "ES256"
        case "RSA", _:
            return "RS256"
        case "oct", _:
            raise NotUsable("it is a shared secret")
    raise NotUsable("its type or its curve is not taken")


class Jwks:
    """A provider's keys as they are known now. `run` keeps them; `generation` changes whenever they do."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self.generation = 0
        self.kept: KeySet | None = None
        self._fetch = fetch
        self._clock = clock
        self._answer = b""
        self._begun: int | None = None
        self._attempt: asyncio.Task[bool] | None = None
        self.first = asyncio.Event()
        """Set when the first attempt has ended, whatever came of it."""

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        """The key with this id for this algorithm; None: there is none, as far as can be known within milliseconds.

        A key that is known never waits. An unknown id begins a fetch, at most once a minute, and waits for it, or for
        one under way, no longer than `PATIENCE_SECONDS`; the fetch goes on without the caller.
        """
        key = self._known(kid, algorithm)
        if key is None and not self._has(kid):
            if self._running() or self._due():
                await asyncio.wait([self._attempted()], timeout=PATIENCE_SECONDS)
            key = self._known(kid, algorithm)
        return key

    async def run(self) -> None:
        """Fetch now and every hour; after a failure each minute, or sooner while there is nothing at all."""
        failures = 0
        try:
            while True:
                attempt = self._attempted()
                await asyncio.wait([attempt])
                good = attempt.result()
                failures = 0 if good else failures + 1
                pause = KEPT_SECONDS if good else APART_SECONDS
                if self.kept is None:
                    pause = min(2.0 ** (failures - 1), APART_SECONDS)
                await self._clock.sleep(pause)
        finally:
            if self._attempt is not None:
                self._attempt.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._attempt

    def _known(self, kid: str, algorithm: str) -> PublicKey | None:
        return None if self.kept is None else self.kept.keys.get((kid, algorithm))

    def _has(self, kid: str) -> bool:
        return self.kept is not None and any(kid == known for known, _ in self.kept.keys)

    def _running(self) -> bool:
        return self._attempt is not None and not self._attempt.done()

    def _due(self) -> bool:
        # A clock that was turned back must not keep us from asking.
        return self._begun is None or not 0 <= self._clock.now() - self._begun < APART_SECONDS * 1000

    def _attempted(self) -> asyncio.Task[bool]:
        """The fetch that is under way, or a new one."""
        if self._attempt is None or self._attempt.done():
            self._begun = self._clock.now()
            self._attempt = asyncio.create_task(self._refresh())
        return self._attempt

    async def _refresh(self) -> bool:
        try:
            answer = await self._fetch()
            found = read(answer)
        except (UrlRefused, TooLarge, FetchFailed) as error:
            kept = len(self.kept.keys) if self.kept else 0
            log.warning("the identity provider's keys cannot be had", reason=str(error), kept=kept)
            return False
        except Exception:
            log.exception("the identity provider's keys cannot be had")
            return False
        finally:
            self.first.set()
        if answer != self._answer:
            # Whatever was verified with a key that is gone is verified anew.
            self.generation += 1
            self._answer, self.kept = answer, found
            names = [f"{kid} ({algorithm})" for kid, algorithm in found.keys]
            log.info("the identity provider's keys", keys=names, unusable=found.unusable)
        return True
