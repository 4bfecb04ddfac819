"""Tickets: what opens a realtime connection, once and within seconds, without a key in a URL.

Only a ticket's SHA-256 is stored. Redeeming removes the row, so of two who come with one ticket one gets in, whichever
process they come to. A ticket is worth no more than what it was made with: a key that is revoked, rotated or expired
meanwhile opens nothing, nor does a login token that is over; and what it opens ends with the key or the login token.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.database import Row, Tx
from wagate.errors import BadRequest, Forbidden, Unauthorized
from wagate.gateway import Gateway, events, keys, sessions
from wagate.model.organizations import Caller
from wagate.model.realtime import TICKET_SECONDS, AskTicket, Scope

_PREFIX = "rt_"
_REFUSAL = "the ticket is missing, malformed, used or expired"
_INSERT = """
INSERT INTO tickets (digest, organization_id, key_id, key_digest, user_id, scope, session_id, events, since, expires_at,
                     login_until)
VALUES (:digest, :organization_id, :key_id, :key_digest, :user_id, :scope, :session_id, :events, :since, :expires_at,
        :login_until)
"""
_REDEEM = """
-- any organization: the ticket says whose it is
DELETE FROM tickets WHERE digest = :digest
RETURNING organization_id, key_id, key_digest, user_id, scope, session_id, events, since, expires_at, login_until
"""
_KNOWN = "-- any organization: the ticket says whose it is\nSELECT 1 FROM tickets WHERE digest = :digest"
_EXPIRE = "-- any organization: their time is over\nDELETE FROM tickets WHERE expires_at <= :now"


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """What a ticket was made for, and on whose behalf. `names` None: all events."""

    caller: Caller
    scope: Scope
    session_id: str | None
    names: frozenset[str] | None
    since: str | None


async def issue(gw: Gateway, caller: Caller, wish: AskTicket) -> str:
    """A new ticket; only its holder ever sees it.

    Raises:
        Forbidden: the firehose is the platform's; everything else is for who acts for an organization.
        BadRequest: a session scope without a session, a `since` that is no event id or goes with the firehose.
        NotFound: no such session that the caller sees.
    """
    since = wish.since or None
    session_id = (wish.session or None) if wish.scope == "session" else None
    if wish.scope == "firehose":
        if "super_admin" not in caller.capabilities:
            raise Forbidden("the firehose is the platform's")
        if since is not None:
            raise BadRequest.field("since", "does not go with the firehose, which is live only")
    elif "events" not in caller.capabilities:
        raise Forbidden("this needs the capability events")
    if wish.scope == "session":
        if session_id is None:
            raise BadRequest.field("session", "is missing")
        await sessions.get(gw, caller, session_id)
    if since is not None:
        events.number_of(since, field="since")
    key_id = None if isinstance(caller.key_id, UnsetType) else caller.key_id
    standing = await keys.standing(gw, [key_id]) if key_id else {}
    if key_id and key_id not in standing:
        raise Unauthorized
    secret = _PREFIX + keys.mint().removeprefix("wa_")
    names = None if wish.events is None or "*" in wish.events else sorted(set(wish.events))

    async def work(tx: Tx) -> None:
        await tx.run(
            _INSERT,
            digest=keys.digest(secret),
            organization_id=caller.organization_id,
            key_id=key_id,
            key_digest=standing[key_id].digest if key_id else None,
            user_id=None if isinstance(caller.user_id, UnsetType) else caller.user_id,
            scope=wish.scope,
            session_id=session_id,
            events=None if names is None else msgspec.json.encode(names).decode(),
            since=since,
            expires_at=gw.clock.now() + TICKET_SECONDS * 1000,
            login_until=None if isinstance(caller.login_until, UnsetType) else caller.login_until,
        )

    await gw.db.write(work)
    return secret


async def redeem(gw: Gateway, secret: str) -> Redeemed:
    """What the ticket was made for; it is worth nothing from now on.

    Raises:
        Unauthorized: unknown, used, too old, or its key or login is no longer what it was; which is not told.
    """

    async def work(tx: Tx) -> Row | None:
        return await tx.one(_REDEEM, digest=keys.digest(secret))

    row = await gw.db.write(work)
    if row is None:
        raise Unauthorized(_REFUSAL)
    organization_id, key_id, key_digest, user_id, scope, session_id, names, since, expires_at, login_until = row
    if min(expires_at, login_until or expires_at) <= gw.clock.now():
        raise Unauthorized(_REFUSAL)
    limit = None
    if key_id is not None:
        standing = (await keys.standing(gw, [key_id])).get(key_id)
        if standing is None or standing.digest != key_digest or standing.is_over(gw.clock.now()):
            raise Unauthorized(_REFUSAL)
        limit = standing.session_ids
    caller = Caller(
        organization_id=organization_id,
        capabilities=frozenset({"events"}),
        key_id=UNSET if key_id is None else key_id,
        user_id=UNSET if user_id is None else user_id,
        session_ids=UNSET if limit is None else limit,
        login_until=UNSET if login_until is None else login_until,
    )
    wanted = None if names is None else frozenset(msgspec.json.decode(names, type=list[str]))
    return Redeemed(caller=caller, scope=scope, session_id=session_id, names=wanted, since=since)


async def must_be_known(gw: Gateway, secret: str) -> None:
    """Look at a ticket without using it.

    Raises:
        Unauthorized: there is none like it.
    """
    if await gw.db.one(_KNOWN, digest=keys.digest(secret)) is None:
        raise Unauthorized(_REFUSAL)


async def expire(gw: Gateway) -> int:
    """Remove tickets that nobody used in time; their number. Called by the janitor."""

    async def work(tx: Tx) -> int:
        return await tx.run(_EXPIRE, now=gw.clock.now())

    return await gw.db.write(work)
