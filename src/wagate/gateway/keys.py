"""API keys: made once, stored as a digest, read on each request.

A key is `wa_` and 32 random bytes in base62. Only its SHA-256 is stored: the secret is random enough that a slow hash
would protect nothing and cost every request. The row is read on each request, so a revoked key fails at once, in every
process, also when the command line revoked it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.database import Row, Tx
from wagate.errors import BadRequest, Forbidden, NotFound, StorageUnavailable, Unauthorized
from wagate.gateway import Gateway, Window
from wagate.model import ids
from wagate.model.organizations import Caller, Capability, CreateKey, Key, NewKey

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOUCH_EVERY_MS = 60_000

_BY_DIGEST = """
-- any organization: the key says whose it is
SELECT id, organization_id, permissions, session_ids, expires_at, last_used_at, digest FROM keys WHERE digest = :digest
"""
_TOUCH = """
UPDATE keys SET last_used_at = :now
WHERE organization_id = :organization_id AND id = :id AND (last_used_at IS NULL OR last_used_at < :before)
"""
_INSERT = """
INSERT INTO keys (id, organization_id, name, prefix, digest, permissions, session_ids, created_at, expires_at)
VALUES (:id, :organization_id, :name, :prefix, :digest, :permissions, :session_ids, :now, :expires_at)
"""
_COLUMNS = "id, name, prefix, permissions, created_at, expires_at, last_used_at, session_ids"
_LIST = f"SELECT {_COLUMNS} FROM keys WHERE organization_id = :organization_id ORDER BY id"
_GET = f"SELECT {_COLUMNS} FROM keys WHERE organization_id = :organization_id AND id = :id"
_ROTATE = "UPDATE keys SET prefix = :prefix, digest = :digest WHERE organization_id = :organization_id AND id = :id"
_SESSION = "SELECT 1 FROM sessions WHERE organization_id = :organization_id AND id = :id"
_STANDING = """
-- any organization: whoever holds open connections
SELECT id, digest, expires_at, session_ids FROM keys WHERE id IN ({each:ids})
"""
_REVOKE = "DELETE FROM keys WHERE organization_id = :organization_id AND id = :id"
_REVOKE_ANY = "-- any organization: the operator's command\nDELETE FROM keys WHERE id = :id"


class Standing(msgspec.Struct, frozen=True):
    """What an open connection's key is now: another digest is another secret. `session_ids` None: all."""

    digest: str
    expires_at: int | None
    session_ids: frozenset[str] | None

    def is_over(self, now: int) -> bool:
        """Whether it has expired by `now` (epoch milliseconds)."""
        return self.expires_at is not None and self.expires_at <= now


def mint() -> str:
    """A new secret."""
    number = int.from_bytes(secrets.token_bytes(32), "big")
    digits = ""
    for _ in range(43):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return "wa_" + digits


def digest(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def authenticate(gw: Gateway, secret: str) -> Caller:
    """Whose key this is, and what it may do.

    Raises:
        Unauthorized: unknown, revoked or expired; which of them is not told.
    """
    mine = digest(secret)
    row = await gw.db.one(_BY_DIGEST, digest=mine)
    if row is None or not hmac.compare_digest(row[6], mine):
        raise Unauthorized
    id, organization_id, permissions, session_ids, expires_at, last_used_at, _ = row
    now = gw.clock.now()
    if expires_at is not None and expires_at <= now:
        raise Unauthorized
    if last_used_at is None or last_used_at < now - _TOUCH_EVERY_MS:
        # A disk that is full must not keep anyone from reading.
        with contextlib.suppress(StorageUnavailable):
            await _touch(gw, organization_id, id, now)
    return Caller(
        organization_id=organization_id,
        capabilities=_capabilities(permissions),
        key_id=id,
        session_ids=UNSET if session_ids is None else _session_ids(session_ids),
        expires_at=UNSET if expires_at is None else expires_at,
    )


async def standing(gw: Gateway, key_ids: Sequence[str]) -> dict[str, Standing]:
    """How keys stand now, by id; one that was revoked is not there. Asked for many at once by those who watch them."""
    rows = await gw.db.all(_STANDING, ids=_text(list(key_ids)))
    return {
        id: Standing(digest, expires_at, None if session_ids is None else _session_ids(session_ids))
        for id, digest, expires_at, session_ids in rows
    }


async def create(gw: Gateway, organization_id: str, wish: CreateKey, *, by: Caller | None = None) -> NewKey:
    """A new key; the only time its secret is shown.

    Raises:
        BadRequest: it would have expired already, or names sessions that are not the organization's.
        Forbidden: `by` may grant only what it holds.
    """
    if by is not None:
        _must_hold(by, wish.permissions, wish.session_ids, wish.expires_at)
        await _check(gw, organization_id, wish)
    secret = mint()
    key = NewKey(
        id=ids.mint("key", gw.clock.now()),
        name=wish.name,
        prefix=secret[:8],
        permissions=list(dict.fromkeys(wish.permissions)),
        created_at=gw.clock.now(),
        expires_at=UNSET if wish.expires_at is None else wish.expires_at,
        session_ids=UNSET if wish.session_ids is None else wish.session_ids,
        secret=secret,
    )

    async def work(tx: Tx) -> None:
        await tx.run(
            _INSERT,
            id=key.id,
            organization_id=organization_id,
            name=key.name,
            prefix=key.prefix,
            digest=digest(secret),
            permissions=_text(key.permissions),
            session_ids=None if wish.session_ids is None else _text(wish.session_ids),
            now=key.created_at,
            expires_at=wish.expires_at,
        )

    await gw.db.write(work)
    return key


async def rotate(gw: Gateway, caller: Caller, key_id: str) -> NewKey:
    """A new secret for a key; the old one fails from the next request on.

    Raises:
        NotFound: no such key that the caller sees.
        Forbidden: it may more than the caller: whoever got its secret would have been granted that.
    """
    secret = mint()

    async def work(tx: Tx) -> Key:
        row = await tx.one(_GET, organization_id=caller.organization_id, id=key_id)
        if row is None or not _sees(caller, key := _key(row)):
            raise NotFound("key not found")
        _must_hold(caller, key.permissions, key.session_ids or None, key.expires_at or None)
        await tx.run(
            _ROTATE, organization_id=caller.organization_id, id=key_id, prefix=secret[:8], digest=digest(secret)
        )
        return key

    kept = msgspec.structs.asdict(await gw.db.write(work))
    gw.broker.publish("keys")
    return NewKey(**kept | {"prefix": secret[:8], "secret": secret})


async def page(gw: Gateway, caller: Caller, window: Window) -> tuple[list[Key], list[str] | None]:
    """The organization's keys, oldest first, without secrets. A limited key sees those within its own sessions."""
    after = window.after[0] if window.after else ""
    seen = [key for key in await of(gw, caller.organization_id) if key.id > after and _sees(caller, key)]
    return seen[: window.limit], [seen[window.limit - 1].id] if len(seen) > window.limit else None


async def of(gw: Gateway, organization_id: str) -> list[Key]:
    """Every key of an organization, oldest first, without secrets."""
    return [_key(row) for row in await gw.db.all(_LIST, organization_id=organization_id)]


async def revoke(gw: Gateway, key_id: str, *, organization_id: str | None = None) -> None:
    """Remove a key; the next request with it fails, its open connections are closed within a second.

    `organization_id` None: whichever organization's (the operator's command).

    Raises:
        NotFound: no such key.
    """

    async def work(tx: Tx) -> int:
        if organization_id is None:
            return await tx.run(_REVOKE_ANY, id=key_id)
        return await tx.run(_REVOKE, organization_id=organization_id, id=key_id)

    if not await gw.db.write(work):
        raise NotFound("key not found")
    gw.broker.publish("keys")


async def revoke_by(gw: Gateway, caller: Caller, key_id: str) -> None:
    """As `revoke`, by a caller of the organization.

    Raises:
        NotFound: no such key that the caller sees.
    """
    row = await gw.db.one(_GET, organization_id=caller.organization_id, id=key_id)
    if row is None or not _sees(caller, _key(row)):
        raise NotFound("key not found")
    await revoke(gw, key_id, organization_id=caller.organization_id)


def _must_hold(
    by: Caller, permissions: Sequence[Capability], sessions: Sequence[str] | None, until: int | None
) -> None:
    """Refuse to grant more than `by` holds: what may be done, in which sessions (None: in all), until when."""
    within = isinstance(by.session_ids, UnsetType) or (sessions is not None and by.session_ids.issuperset(sessions))
    in_time = isinstance(by.expires_at, UnsetType) or (until is not None and until <= by.expires_at)
    if not (set(permissions) <= by.capabilities and within and in_time):
        raise Forbidden("a key may grant only what it holds")


def _sees(caller: Caller, key: Key) -> bool:
    if isinstance(caller.session_ids, UnsetType):
        return True
    return not isinstance(key.session_ids, UnsetType) and caller.session_ids.issuperset(key.session_ids)


async def _check(gw: Gateway, organization_id: str, wish: CreateKey) -> None:
    if len(set(wish.permissions)) < len(wish.permissions):
        raise BadRequest.field("permissions", "holds the same permission twice")
    if wish.expires_at is not None and wish.expires_at <= gw.clock.now():
        raise BadRequest.field("expiresAt", "is in the past")
    for position, session_id in enumerate(wish.session_ids or []):
        if await gw.db.one(_SESSION, organization_id=organization_id, id=session_id) is None:
            raise BadRequest.field(f"sessionIds[{position}]", "is not a session of the organization")


async def _touch(gw: Gateway, organization_id: str, id: str, now: int) -> None:
    async def work(tx: Tx) -> None:
        await tx.run(_TOUCH, organization_id=organization_id, id=id, now=now, before=now - _TOUCH_EVERY_MS)

    await gw.db.write(work)


@lru_cache(maxsize=64)
def _capabilities(permissions: str) -> frozenset[Capability]:
    return frozenset(msgspec.json.decode(permissions, type=list[Capability]))


@lru_cache(maxsize=256)
def _session_ids(session_ids: str) -> frozenset[str]:
    return frozenset(msgspec.json.decode(session_ids, type=list[str]))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _key(row: Row) -> Key:
    id, name, prefix, permissions, created_at, expires_at, last_used_at, session_ids = row
    return Key(
        id=id,
        name=name,
        prefix=prefix,
        permissions=msgspec.json.decode(permissions, type=list[Capability]),
        created_at=created_at,
        expires_at=UNSET if expires_at is None else expires_at,
        last_used_at=UNSET if last_used_at is None else last_used_at,
        session_ids=UNSET if session_ids is None else msgspec.json.decode(session_ids, type=list[str]),
    )
