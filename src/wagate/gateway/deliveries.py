"""Deliveries: each event on its way to each webhook that wanted it; listed, replayed, tested, removed when old.

A delivery is open until it is delivered or dead. Its id is its event's, with another prefix: it is one of its webhook.
How it is claimed and attempted is in attempts.py. Called by api/webhooks and workers/janitor.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.backends.broker import Bell
from wagate.backends.database import Row, Tx
from wagate.errors import Conflict, Gone, NotFound
from wagate.gateway import Gateway, Window, events, webhooks
from wagate.gateway.attempts import TIMEOUT, attempt, body_of, session_of
from wagate.gateway.webhooks import Receiver
from wagate.model.events import WebhookNotice
from wagate.model.organizations import Caller
from wagate.model.webhooks import LONGEST_WAIT, Delivery, TestResult
from wagate.telemetry import traces

DEAD_DAYS = 30
MOST_TESTS = 8
"""Of an organization, at a time. They go out beside the turns of deliveries, over the same connections."""

_COLUMNS = "event_id, status, attempts, created_at, due_at, holder, last_response_code, last_error"
_HERE = "organization_id = :organization_id AND webhook_id = :webhook_id"
_LIST = f"SELECT {_COLUMNS} FROM deliveries WHERE {_HERE} AND event_id < :before ORDER BY event_id DESC LIMIT :limit"
_LIST_SOME = f"""
SELECT {_COLUMNS} FROM deliveries
WHERE {_HERE} AND event_id < :before AND event_id >= :low AND status = :status ORDER BY event_id DESC LIMIT :limit
"""
_LIST_DEAD = f"""
SELECT {_COLUMNS} FROM deliveries WHERE {_HERE} AND event_id < :before AND status = 'dead'
ORDER BY event_id DESC LIMIT :limit
"""
_LOW = f"""
SELECT MIN(event_id) FROM (
  SELECT event_id FROM deliveries WHERE {_HERE} AND event_id < :before ORDER BY event_id DESC LIMIT :step) piece
"""
_PIECE = 5000
"""Rows that are searched at a time."""
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
_DEAD = f"""
SELECT event_id FROM deliveries WHERE {_HERE} AND status = 'dead' AND event_id > :after ORDER BY event_id LIMIT :limit
"""
_ALL = """
-- any organization: what time alone does
SELECT organization_id, id, deleted_at FROM webhooks
"""
_OLD = f"""
DELETE FROM deliveries WHERE {_HERE} AND event_id IN (
  SELECT d.event_id FROM deliveries d WHERE d.webhook_id = :webhook_id AND d.event_id < :before
    AND (d.status = 'delivered' OR d.event_id < :dead_before) ORDER BY d.event_id LIMIT :limit)
"""
_TURNED_BACK = f"UPDATE deliveries SET due_at = :now WHERE {_HERE} AND open = 1 AND ready = 1 AND due_at > :latest"
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
    elif status == "dead":
        rows = await gw.db.all(_LIST_DEAD, **here, before=before)
    else:
        rows = await _search(gw, here, before, status)
    found = [_delivery(row) for row in rows[: window.limit]]
    return found, [found[-1].event_id] if len(rows) > window.limit else None


async def _search(gw: Gateway, here: dict[str, Any], before: str, status: str) -> list[Row]:
    """Those of a status among all, which may be millions."""
    found: list[Row] = []
    limit, place = here["limit"], {name: value for name, value in here.items() if name != "limit"}
    while len(found) < limit:
        piece = await gw.db.one(_LOW, **place, before=before, step=_PIECE)
        if piece is None or piece[0] is None:
            break
        asked = {"before": before, "low": piece[0], "status": status, "limit": limit - len(found)}
        found += await gw.db.all(_LIST_SOME, **place, **asked)
        before = piece[0]
        # Reads may run on the event loop itself: a long search must let others in between.
        await asyncio.sleep(0)
    return found


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

    after = ""

    async def work(tx: Tx) -> str:
        await tx.run(webhooks.LOCK, organization_id=caller.organization_id)
        dead = await tx.all(_DEAD, **here, after=after, limit=limit)
        await tx.many(_REPLAY, [{**here, "event_id": row[0], "now": gw.clock.now()} for row in dead])
        return str(dead[-1][0]) if len(dead) == limit else ""

    # Each once: what is dead again meanwhile is not replayed for ever.
    while after := await gw.db.write(work):
        pass
    events.hint(gw, caller.organization_id)


async def test(gw: Gateway, caller: Caller, webhook_id: str) -> TestResult:
    """Record a `webhook.test` and post it to the webhook at once and once, also if it is switched off.

    Raises:
        NotFound: no such webhook.
        Conflict: as many tests of the organization are under way as may be: each holds a connection for its time.
    """
    await webhooks.require(gw.db, caller, webhook_id)
    places = [f"test {caller.organization_id} {number}" for number in range(MOST_TESTS)]
    place = next((each for each in places if each not in gw.underway), None)
    if place is None:
        raise Conflict(f"{MOST_TESTS} tests are under way")
    task = asyncio.ensure_future(_test(gw, caller, webhook_id))
    gw.underway[place] = task
    begun = gw.clock.now()
    with Bell(gw.broker, "closing") as closing:
        ending = asyncio.ensure_future(closing.wait(2 * TIMEOUT))
        try:
            await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            del gw.underway[place]
            for each in (task, ending):
                each.cancel()
            await asyncio.gather(task, ending, return_exceptions=True)
    return TestResult(status="failed", duration_ms=max(gw.clock.now() - begun, 0), last_error="the gateway stops")


async def _test(gw: Gateway, caller: Caller, webhook_id: str) -> TestResult:
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
        duration_ms=max(tried.duration_ms, 0),
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
            # Nothing waits longer: what seems to was put off before the clock was turned back.
            await tx.run(_TURNED_BACK, **here, now=now, latest=now + round(LONGEST_WAIT * 1000))
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
