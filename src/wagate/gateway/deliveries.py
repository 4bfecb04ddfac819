"""Deliveries: each event on its way to each webhook that wanted it; listed, replayed, tested, removed when old.

A delivery is open until it is delivered or dead. Its id is its event's, with another prefix: it is one of its webhook.
How it is claimed and attempted is in attempts.py. Called by api/webhooks and workers/janitor.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.errors import Gone, NotFound
from wagate.gateway import Gateway, Window, events, webhooks
from wagate.gateway.attempts import attempt, body_of, session_of
from wagate.gateway.webhooks import Receiver
from wagate.model.events import WebhookNotice
from wagate.model.organizations import Caller
from wagate.model.webhooks import Delivery, TestResult
from wagate.telemetry import traces

DEAD_DAYS = 30

_COLUMNS = "event_id, status, attempts, created_at, due_at, holder, last_response_code, last_error"
_HERE = "organization_id = :organization_id AND webhook_id = :webhook_id"
_LIST = f"SELECT {_COLUMNS} FROM deliveries WHERE {_HERE} AND event_id < :before ORDER BY event_id DESC LIMIT :limit"
_LIST_SOME = f"""
SELECT {_COLUMNS} FROM deliveries WHERE {_HERE} AND event_id < :before AND status = :status
ORDER BY event_id DESC LIMIT :limit
"""
_AFTER_ALL = "evt_~"

_READY = """
CASE WHEN lane IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries e WHERE e.webhook_id = deliveries.webhook_id
  AND e.lane = deliveries.lane AND e.open = 1 AND e.event_id < deliveries.event_id) THEN 0 ELSE 1 END
"""
_REPLAY = f"""
UPDATE deliveries SET status = 'pending', open = 1, attempts = 0, due_at = :now, holder = NULL, ready = {_READY},
  payload = COALESCE(payload, (
    SELECT e.payload FROM events e WHERE e.organization_id = :organization_id AND e.id = deliveries.event_id))
WHERE {_HERE} AND event_id = :event_id AND open = 0
"""
_HASTEN = f"UPDATE deliveries SET due_at = :now WHERE {_HERE} AND event_id = :event_id AND open = 1 AND holder IS NULL"
_THERE = f"SELECT open, payload FROM deliveries WHERE {_HERE} AND event_id = :event_id"
_EVENT = "SELECT 1 FROM events WHERE organization_id = :organization_id AND id = :event_id"
_DEAD = f"SELECT event_id FROM deliveries WHERE {_HERE} AND status = 'dead' ORDER BY event_id LIMIT :limit"
_ALL = """
-- any organization: what time alone does
SELECT organization_id, id, deleted_at FROM webhooks
"""
_OLD = f"""
DELETE FROM deliveries WHERE {_HERE} AND event_id IN (
  SELECT d.event_id FROM deliveries d WHERE d.webhook_id = :webhook_id AND d.event_id < :before
    AND (d.status = 'delivered' OR d.event_id < :dead_before) ORDER BY d.event_id LIMIT :limit)
"""
_GONE = "DELETE FROM webhooks WHERE organization_id = :organization_id AND id = :webhook_id AND deleted_at IS NOT NULL"


async def page(
    gw: Gateway, caller: Caller, webhook_id: str, window: Window, *, status: str | None = None
) -> tuple[list[Delivery], list[Any] | None]:
    """A webhook's deliveries, newest first."""
    await webhooks.require(gw.db, caller, webhook_id)
    before = str(window.after[0]) if window.after else _AFTER_ALL
    here = {"organization_id": caller.organization_id, "webhook_id": webhook_id, "limit": window.limit + 1}
    if status is None:
        rows = await gw.db.all(_LIST, **here, before=before)
    else:
        rows = await gw.db.all(_LIST_SOME, **here, before=before, status=status)
    found = [_delivery(row) for row in rows[: window.limit]]
    return found, [found[-1].event_id] if len(rows) > window.limit else None


async def replay(gw: Gateway, caller: Caller, webhook_id: str, id: str) -> None:
    """Deliver once more, at once and with all attempts; one that is still under way is only hastened.

    Raises:
        NotFound: no such webhook or delivery.
        Gone: it was delivered, and its event has left the log.
    """
    event_id = f"evt_{id.removeprefix('dlv_')}"
    here = {"organization_id": caller.organization_id, "webhook_id": webhook_id, "event_id": event_id}

    async def work(tx: Tx) -> None:
        await tx.run(webhooks.LOCK, organization_id=caller.organization_id)
        await webhooks.require(tx, caller, webhook_id)
        row = await tx.one(_THERE, **here) if id.startswith("dlv_") else None
        if row is None:
            raise NotFound("delivery not found")
        if row[1] is None and await tx.one(_EVENT, organization_id=caller.organization_id, event_id=event_id) is None:
            raise Gone("the event has left the log")
        await tx.run(_HASTEN if row[0] else _REPLAY, **here, now=gw.clock.now())

    await gw.db.write(work)
    events.hint(gw, caller.organization_id)


async def replay_dead(gw: Gateway, caller: Caller, webhook_id: str, *, limit: int = 500) -> None:
    """Replay everything of the webhook that is dead, a piece at a time.

    Raises:
        NotFound: no such webhook.
    """
    await webhooks.require(gw.db, caller, webhook_id)
    here = {"organization_id": caller.organization_id, "webhook_id": webhook_id}

    async def work(tx: Tx) -> int:
        await tx.run(webhooks.LOCK, organization_id=caller.organization_id)
        dead = await tx.all(_DEAD, **here, limit=limit)
        await tx.many(_REPLAY, [{**here, "event_id": row[0], "now": gw.clock.now()} for row in dead])
        return len(dead)

    while await gw.db.write(work) == limit:
        pass
    events.hint(gw, caller.organization_id)


async def test(gw: Gateway, caller: Caller, webhook_id: str) -> TestResult:
    """Record a `webhook.test` and post it to the webhook at once and once, also if it is switched off.

    Raises:
        NotFound: no such webhook.
    """
    now = gw.clock.now()
    notice = WebhookNotice(webhook_id=webhook_id)

    async def work(tx: Tx) -> tuple[Receiver, str]:
        receiver = webhooks.receiver_of(await webhooks.require(tx, caller, webhook_id), now)
        (id,) = await events.record_all(
            tx, now, caller.organization_id, session_id=session_of(receiver), facts=[("webhook.test", notice)]
        )
        return receiver, id

    receiver, id = await gw.db.write(work)
    events.hint(gw, caller.organization_id)
    fact = ("webhook.test", now, msgspec.json.encode(notice).decode())
    body = body_of(caller.organization_id, id, session_of(receiver), fact)
    tried = await attempt(gw, receiver, id, body, traceparent=traces.current.get())
    return TestResult(
        status="failed" if tried.error else "delivered",
        duration_ms=tried.duration_ms,
        response_code=UNSET if tried.code is None else tried.code,
        last_error=tried.error or UNSET,
    )


async def expire(gw: Gateway, *, limit: int = 500) -> int:
    """Remove a piece of what is too old, or of a deleted webhook; the number removed. The janitor's, until 0.

    What was delivered is listed as long as its event is in the log, all else for 30 days.
    """
    now, removed = gw.clock.now(), 0
    for organization_id, webhook_id, deleted_at in await gw.db.all(_ALL):
        days = [0, 0] if deleted_at is not None else [gw.rules.event_days, DEAD_DAYS]
        before, dead_before = (
            events.event_id(max(now - each * 86_400_000, 0), 0) if each else _AFTER_ALL for each in days
        )
        here = {"organization_id": organization_id, "webhook_id": webhook_id}

        async def work(
            tx: Tx,
            here: dict[str, Any] = here,
            before: str = before,
            dead_before: str = dead_before,
            gone: bool = deleted_at is not None,
        ) -> int:
            # With few days for the log, dead ones outlast it; with many, both go together.
            latest = max(before, dead_before)
            count = await tx.run(_OLD, **here, before=latest, dead_before=dead_before, limit=limit)
            if gone and count < limit:
                await tx.run(_GONE, **here)
            return count

        removed += await gw.db.write(work)
    return removed


def _delivery(row: Row) -> Delivery:
    event_id, status, attempts, created_at, due_at, holder, code, error = row
    waits = status in ("pending", "failed") and holder is None
    return Delivery(
        id=f"dlv_{event_id.removeprefix('evt_')}",
        event_id=event_id,
        status=status,
        attempts=attempts,
        created_at=created_at,
        next_attempt_at=due_at if waits else UNSET,
        last_response_code=UNSET if code is None else code,
        last_error=UNSET if error is None else error,
    )
