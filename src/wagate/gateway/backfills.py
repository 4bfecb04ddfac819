"""Backfills: a session's contacts and groups read anew from the network.

A job is a row, the newest for each session; the session's runner finishes it with the next snapshot that it stores, at
once when a hint wakes it, and after a restart with the snapshot of the new connection. Called by api/admin (start, get)
and workers (finish, fail, waiting).
"""

from __future__ import annotations

from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.errors import Conflict, NotFound, SessionNotConnected, WagateError
from wagate.gateway import Gateway, leases
from wagate.gateway.leases import Held
from wagate.model import Shape, ids
from wagate.model.backfills import BackfillJob

_COLUMNS = "id, session_id, organization_id, status, contacts, groups, group_members, started_at, finished_at, error"
_SESSION = """
-- any organization: the platform's own question
SELECT organization_id, status FROM sessions WHERE id = :session_id {for_update}
"""
_START = f"""
INSERT INTO backfills (id, organization_id, session_id, status, started_at)
VALUES (:id, :organization_id, :session_id, 'running', :now)
ON CONFLICT (session_id) DO UPDATE SET id = excluded.id, status = 'running', contacts = 0, groups = 0,
  group_members = 0, started_at = excluded.started_at, finished_at = NULL, error = NULL
  WHERE backfills.status <> 'running'
RETURNING {_COLUMNS}
"""
_GET = f"""
-- any organization: the platform's own question
SELECT {_COLUMNS} FROM backfills WHERE session_id = :session_id
  AND EXISTS (SELECT 1 FROM sessions WHERE id = :session_id)
"""
_FINISH = """
UPDATE backfills SET status = :status, contacts = :contacts, groups = :groups, group_members = :group_members,
  finished_at = :now, error = :error
WHERE organization_id = :organization_id AND session_id = :session_id AND status = 'running'
"""
_WAITING = """
-- any organization: a worker serves all of them
SELECT b.session_id FROM backfills b JOIN sessions s ON s.id = b.session_id
WHERE b.status = 'running' AND s.holder = :node AND s.status = 'working'
"""


class Counts(Shape, frozen=True, kw_only=True):
    """What a snapshot held."""

    contacts: int = 0
    groups: int = 0
    group_members: int = 0


async def start(gw: Gateway, session_id: str) -> BackfillJob:
    """Begin to read a session of any organization anew; the job that is running now.

    Raises:
        NotFound: no such session.
        SessionNotConnected: it is not working.
        Conflict: a job runs already.
    """

    async def work(tx: Tx) -> BackfillJob:
        session = await tx.one(_SESSION, session_id=session_id)
        if session is None:
            raise NotFound("session not found")
        if session[1] != "working":
            raise SessionNotConnected
        now = gw.clock.now()
        place = {"organization_id": session[0], "session_id": session_id}
        row = await tx.one(_START, **place, id=ids.mint("bf", now), now=now)
        if row is None:
            raise Conflict("a backfill of this session is running already")
        return _job(row)

    job = await gw.db.write(work)
    gw.broker.publish(f"backfill.{session_id}")
    return job


async def get(gw: Gateway, session_id: str) -> BackfillJob:
    """The newest job of a session of any organization.

    Raises:
        NotFound: no such session, or no job of it.
    """
    row = await gw.db.one(_GET, session_id=session_id)
    if row is None:
        raise NotFound("there is no backfill of this session on record")
    return _job(row)


async def finish(tx: Tx, held: Held, now: int, counts: Counts) -> None:
    """A snapshot was stored in this transaction: the running job, if there is one, has what it wanted."""
    await _settle(tx, held, now, counts)


async def fail(gw: Gateway, held: Held, error: WagateError) -> None:
    """The network gave no snapshot: the running job has failed."""

    async def work(tx: Tx) -> None:
        await leases.fence(tx, held)
        await _settle(tx, held, gw.clock.now(), Counts(), error=error.message)

    await gw.db.write(work)


async def waiting(gw: Gateway) -> list[str]:
    """The sessions held here whose job waits for a snapshot, so that a lost hint costs seconds and no more."""
    return [row[0] for row in await gw.db.all(_WAITING, node=gw.rules.node)]


async def _settle(tx: Tx, held: Held, now: int, counts: Counts, *, error: str | None = None) -> None:
    await tx.run(
        _FINISH,
        organization_id=held.organization_id,
        session_id=held.id,
        status="succeeded" if error is None else "failed",
        contacts=counts.contacts,
        groups=counts.groups,
        group_members=counts.group_members,
        now=now,
        error=error,
    )


def _job(row: Row) -> BackfillJob:
    return BackfillJob(
        id=row[0],
        session_id=row[1],
        organization_id=row[2],
        status=row[3],
        contacts=row[4],
        groups=row[5],
        group_members=row[6],
        started_at=row[7],
        finished_at=UNSET if row[8] is None else row[8],
        error=UNSET if row[9] is None else row[9],
    )
