"""Leases: which worker holds a session, and what only the holder may write.

A session that is wanted belongs to one worker, by a lease with an epoch that grows with each holder. Everything that a
holder writes carries the epoch: a worker that lost its lease cannot write. Nobody else may take a session before its
lease ran out, so two connections never share an account's keys. Networks (of engines that host one for each
organization) are held the same way, and a session of such an engine goes to the holder of its network.
Called by workers/supervisor (acquire, extend, release, reap) and workers/runner (the writes of a holder).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.gateway import Gateway, events, sessions
from wagate.model import Shape
from wagate.model.events import AuthCode, AuthQr, SessionStatus
from wagate.model.sessions import Pairing, Reason, Session, Status

HELD = "id, organization_id, engine, epoch, wanted, wa_jid, wa_lid, auto_read"
_FREE = """(holder IS NULL OR (holder <> :node AND (lease_until < :now OR lease_until > :beyond))
    OR (holder = :node AND lease_until < :now AND {key} NOT IN ({{each:running}})))"""
_ACQUIRE = f"""
-- any organization: a worker serves all of them
UPDATE sessions SET holder = :node, gateway_id = :node, epoch = epoch + 1, lease_until = :until,
  wanted = CASE WHEN wanted = 'restart' THEN 'run' ELSE wanted END
WHERE id IN (
  SELECT id FROM sessions WHERE wanted <> 'none' AND engine IN ({{each:engines}}) AND {_FREE.format(key="id")}
    AND (engine NOT IN ({{each:hosting}})
    OR organization_id IN (SELECT organization_id FROM networks WHERE holder = :node AND lease_until >= :now))
  ORDER BY id LIMIT :limit {{skip_locked}})
RETURNING {HELD}
"""
_NETWORKS_NEEDED = """
-- any organization: a worker serves all of them
INSERT INTO networks (organization_id)
SELECT DISTINCT organization_id FROM sessions WHERE wanted <> 'none' AND engine IN ({each:hosting})
ON CONFLICT (organization_id) DO NOTHING
"""
_NETWORK_NEEDED = """
INSERT INTO networks (organization_id) VALUES (:organization_id) ON CONFLICT (organization_id) DO NOTHING
"""
_ACQUIRE_NETWORKS = f"""
-- any organization: a worker serves all of them
UPDATE networks SET holder = :node, epoch = epoch + 1, lease_until = :until
WHERE organization_id IN (
  SELECT organization_id FROM networks WHERE {_FREE.format(key="organization_id")} {{skip_locked}})
RETURNING organization_id
"""
_EXTEND = """
-- any organization: a worker extends all that it holds
UPDATE sessions SET lease_until = :until WHERE holder = :node AND (:everything = 1 OR id IN ({each:running}))
RETURNING id, epoch, wanted
"""
_EXTEND_NETWORKS = """
-- any organization: a worker extends all that it holds
UPDATE networks SET lease_until = :until
WHERE holder = :node AND (:everything = 1 OR organization_id IN ({each:running})) RETURNING organization_id
"""
_LOOK = """
-- any organization: by the id that a hint brought
SELECT id, epoch, wanted FROM sessions WHERE id = :id AND holder = :node
"""
_RELEASE = """
UPDATE sessions SET holder = NULL, lease_until = 0
WHERE organization_id = :organization_id AND id = :id AND epoch = :epoch
"""
_REAP = """
-- any organization: this worker starts anew and holds nothing yet
UPDATE sessions SET holder = NULL, lease_until = 0 WHERE holder = :node OR :everyone = 1
"""
_CUT_OFF = """
-- any organization: what this worker held is connected no more
UPDATE sessions SET status = 'starting', qr_code = NULL, qr_expires_at = NULL, updated_at = :now
WHERE status IN ('working', 'scan_qr_code') AND (holder = :node OR :everyone = 1) RETURNING organization_id, id
"""
_REAP_NETWORKS = """
-- any organization: this worker starts anew and holds nothing yet
UPDATE networks SET holder = NULL, lease_until = 0 WHERE holder = :node OR :everyone = 1
"""
_STATUS = """
UPDATE sessions SET status = :status, status_reason = :reason, wanted = COALESCE(CAST(:wanted AS TEXT), wanted),
  qr_code = NULL, qr_expires_at = NULL, updated_at = :now,
  last_connected_at = CASE WHEN :connected = 1 THEN :now ELSE last_connected_at END
WHERE organization_id = :organization_id AND id = :id AND epoch = :epoch AND wanted NOT IN ('none', 'restart')
RETURNING status
"""
_BEFORE = "SELECT status FROM sessions WHERE organization_id = :organization_id AND id = :id AND epoch = :epoch"
_QR = """
UPDATE sessions SET status = 'scan_qr_code', qr_code = :code, qr_expires_at = :expires_at, updated_at = :now
WHERE organization_id = :organization_id AND id = :id AND epoch = :epoch AND wanted = 'link' RETURNING id
"""
_LINKED = """
UPDATE sessions SET wanted = 'run', wa_jid = :jid, wa_lid = :lid, phone_number = :phone_number
WHERE organization_id = :organization_id AND id = :id AND epoch = :epoch AND wanted = 'link' RETURNING id
"""

_FENCE = """
SELECT auto_read FROM sessions WHERE organization_id = :organization_id AND id = :id AND epoch = :epoch {for_update}
"""


class LeaseLost(Exception):
    """The session is another's now, or is not wanted any more: the holder stops."""


class Held(Shape, frozen=True, kw_only=True):
    """A session that this worker holds, as it was when acquired."""

    id: str
    organization_id: str
    engine: str
    epoch: int
    wanted: str
    wa_jid: str | None
    wa_lid: str | None
    auto_read: bool


class Lease(Shape, frozen=True, kw_only=True):
    """A lease as it stands now."""

    id: str
    epoch: int
    wanted: str


def held(row: Row) -> Held:
    """A row of `HELD`."""
    return Held(
        id=row[0],
        organization_id=row[1],
        engine=row[2],
        epoch=row[3],
        wanted=row[4],
        wa_jid=row[5],
        wa_lid=row[6],
        auto_read=row[7] == 1,
    )


def _terms(gw: Gateway) -> dict[str, Any]:
    now, span = gw.clock.now(), round(gw.rules.lease_seconds * 1000)
    # A lease that ends far beyond its span was given before the clock was turned back: it would never run out.
    return {"node": gw.rules.node, "now": now, "until": now + span, "beyond": now + 2 * span}


def _engines(gw: Gateway, *, hosting: bool = False) -> str:
    return msgspec.json.encode([e.name for e in gw.rules.engines.values() if e.hosts_networks or not hosting]).decode()


class Running(Shape, frozen=True, kw_only=True):
    """What really runs in this process: ids of sessions, and organizations whose networks are loaded."""

    sessions: list[str] = []
    networks: list[str] = []


async def acquire(gw: Gateway, *, limit: int, running: Running | None = None) -> tuple[list[str], list[Held]]:
    """Take what nobody holds: the organizations whose networks are now ours, and sessions that are wanted.

    What runs here is not taken anew, also when its lease ran out because the clock jumped.

    What an engine serves that is switched off here is left alone.
    """
    hosts = any(engine.hosts_networks for engine in gw.rules.engines.values())

    async def work(tx: Tx) -> tuple[list[Row], list[Row]]:
        terms, hosting, networks = _terms(gw), _engines(gw, hosting=True), list[Row]()
        here = running or Running()
        if hosts:
            await tx.run(_NETWORKS_NEEDED, hosting=hosting)
            networks = await tx.all(_ACQUIRE_NETWORKS, **terms, running=_json(here.networks))
        wanted = {"limit": limit, "engines": _engines(gw), "hosting": hosting, "running": _json(here.sessions)}
        return networks, await tx.all(_ACQUIRE, **terms, **wanted)

    networks, rows = await gw.db.write(work)
    return [row[0] for row in networks], [held(row) for row in rows]


async def need_network(gw: Gateway, organization_id: str) -> None:
    """See to it that some worker holds the organization's network."""

    async def work(tx: Tx) -> None:
        await tx.run(_NETWORK_NEEDED, organization_id=organization_id)

    await gw.db.write(work)
    gw.broker.publish("sessions")


async def extend(gw: Gateway, *, running: Running | None = None) -> tuple[list[Lease], list[str]]:
    """Keep what really runs here (None: all that is ours); what is not in the answer is lost.

    What is ours and does not run is left to run out, so that somebody takes it again.
    """

    async def work(tx: Tx) -> tuple[list[Row], list[Row]]:
        terms = {key: value for key, value in _terms(gw).items() if key in ("node", "until")}
        here, everything = running or Running(), int(running is None)
        sessions = await tx.all(_EXTEND, **terms, everything=everything, running=_json(here.sessions))
        return sessions, await tx.all(_EXTEND_NETWORKS, **terms, everything=everything, running=_json(here.networks))

    rows, kept = await gw.db.write(work)
    return [Lease(id=id, epoch=epoch, wanted=wanted) for id, epoch, wanted in rows], [row[0] for row in kept]


def _json(ids: list[str]) -> str:
    return msgspec.json.encode(ids).decode()


async def look(gw: Gateway, id: str) -> Lease | None:
    """How our lease of one session stands, or None when it is not ours (any more)."""
    row = await gw.db.one(_LOOK, id=id, node=gw.rules.node)
    return None if row is None else Lease(id=row[0], epoch=row[1], wanted=row[2])


async def release(gw: Gateway, mine: Held) -> None:
    """Let a session go: its connection is closed, anybody may take it."""

    async def work(tx: Tx) -> None:
        await tx.run(_RELEASE, organization_id=mine.organization_id, id=mine.id, epoch=mine.epoch)

    await gw.db.write(work)
    gw.broker.publish("sessions", mine.id.encode())


async def reap(gw: Gateway, *, everyone: bool) -> None:
    """At a worker's start and end: its leases are void, and what they connected is told to be starting again.

    `everyone`: the database serves one worker only.
    """

    async def work(tx: Tx) -> None:
        now, starting = gw.clock.now(), ("session.status", _status_payload("starting", None))
        for organization_id, id in await tx.all(_CUT_OFF, node=gw.rules.node, everyone=int(everyone), now=now):
            await events.record(tx, now, organization_id, session_id=id, facts=[starting])
        await tx.run(_REAP, node=gw.rules.node, everyone=int(everyone))
        await tx.run(_REAP_NETWORKS, node=gw.rules.node, everyone=int(everyone))

    await gw.db.write(work)


async def fence(tx: Tx, held: Held) -> bool:
    """Go on only while the lease is this holder's; whether the session reads by itself what arrives.

    Raises:
        LeaseLost: the session is another's, or gone.
    """
    row = await tx.one(_FENCE, organization_id=held.organization_id, id=held.id, epoch=held.epoch)
    if row is None:
        raise LeaseLost
    return bool(row[0] == 1)


async def set_status(
    gw: Gateway, held: Held, status: Status, *, reason: Reason | None = None, wanted: str | None = None
) -> None:
    """How the session stands now; an event when it changed. `wanted`: what is wanted from now on.

    Raises:
        LeaseLost: the session is another's, or is not wanted any more.
    """

    async def work(tx: Tx) -> None:
        mine = {"organization_id": held.organization_id, "id": held.id, "epoch": held.epoch}
        before = await tx.one(_BEFORE, **mine)
        after = await tx.one(
            _STATUS,
            **mine,
            status=status,
            reason=reason,
            wanted=wanted,
            now=gw.clock.now(),
            connected=int(status == "working"),
        )
        if before is None or after is None:
            raise LeaseLost
        if before[0] != status:
            payload = _status_payload(status, reason)
            await events.record(
                tx, gw.clock.now(), held.organization_id, session_id=held.id, facts=[("session.status", payload)]
            )

    await gw.db.write(work)
    tell(gw, held)


async def show_qr(gw: Gateway, held: Held, code: str, expires_at: int) -> None:
    """A code to scan; replaces the one before.

    Raises:
        LeaseLost: linking is not wanted any more.
    """

    async def work(tx: Tx) -> None:
        mine = {"organization_id": held.organization_id, "id": held.id, "epoch": held.epoch}
        before = await tx.one(_BEFORE, **mine)
        now = gw.clock.now()
        if before is None or await tx.one(_QR, **mine, code=code, expires_at=expires_at, now=now) is None:
            raise LeaseLost
        facts: list[events.Fact] = [("auth.qr", AuthQr(code=code))]
        if before[0] != "scan_qr_code":
            facts.insert(0, ("session.status", _status_payload("scan_qr_code", None)))
        await events.record(tx, now, held.organization_id, session_id=held.id, facts=facts)

    await gw.db.write(work)
    tell(gw, held)


async def linked(gw: Gateway, held: Held, pairing: Pairing, *, phone_number: str) -> None:
    """A phone accepted: the session is this account from now on.

    Raises:
        LeaseLost: linking is not wanted any more.
    """

    async def work(tx: Tx) -> None:
        mine = {"organization_id": held.organization_id, "id": held.id, "epoch": held.epoch}
        lid = pairing.lid if isinstance(pairing.lid, str) else None
        if await tx.one(_LINKED, **mine, jid=pairing.jid, lid=lid, phone_number=phone_number) is None:
            raise LeaseLost
        payload = AuthCode(jid=pairing.jid, lid=pairing.lid, platform=pairing.platform)
        await events.record(
            tx, gw.clock.now(), held.organization_id, session_id=held.id, facts=[("auth.code", payload)]
        )

    await gw.db.write(work)
    await set_status(gw, held, "starting")


async def unlinked(gw: Gateway, held: Held, *, reason: Reason | None) -> None:
    """The link is gone, by our own logout or by the phone's."""

    async def work(tx: Tx) -> Session | None:
        mine = {"organization_id": held.organization_id, "id": held.id, "epoch": held.epoch}
        if await tx.one(_BEFORE, **mine) is None:
            raise LeaseLost
        return await sessions.forget(tx, held.organization_id, held.id, now=gw.clock.now(), reason=reason)

    await gw.db.write(work)
    tell(gw, held)


def _status_payload(status: Status, reason: Reason | None) -> Shape:
    """The payload of `session.status`."""
    return SessionStatus(status=status, reason=UNSET if reason is None else reason)


def tell(gw: Gateway, held: Held) -> None:
    """Wake whoever waits for the session, and readers of events."""
    gw.broker.publish(f"sessions.{held.id}")
    events.hint(gw, held.organization_id)
