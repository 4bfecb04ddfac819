"""Attempts: deliveries claimed, posted, and settled by what came of it.

A claim is a lease: what a process had claimed when it died is claimed again when the lease ends, or at once when that
process comes back, so a delivery may repeat, always with the same id. Between attempts it waits as its webhook's retry
policy says. A webhook that has only failed for five days is switched off. In a webhook with strict order a session's
next delivery becomes ready when the one before is settled. Called by workers/deliverer and gateway/deliveries.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from wagate.backends.database import Row, Tx
from wagate.backends.doors import FetchFailed
from wagate.backends.guard import Refused
from wagate.backends.sealing import CannotOpen
from wagate.gateway import Gateway, events, webhooks
from wagate.gateway.webhooks import Receiver
from wagate.model import Millis, Shape
from wagate.model.events import Event, WebhookNotice
from wagate.model.signatures import headers_of
from wagate.model.webhooks import wait_before
from wagate.telemetry import traces

TIMEOUT = 10.0
"""Seconds that a receiver has for its answer."""
LEASE_MS = 60_000
GIVE_UP_MS = 5 * 86_400_000
"""A webhook that has failed for so long without one success is switched off."""

_HERE = "organization_id = :organization_id AND webhook_id = :webhook_id"
_HUNGRY = """
-- any organization: the deliverer's look at all of them
SELECT w.organization_id, w.id FROM webhooks w WHERE w.active = 1 AND EXISTS (
  SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id AND d.open = 1 AND d.ready = 1 AND d.due_at <= :now)
"""
_HUNGRY_OF = """
SELECT w.organization_id, w.id FROM webhooks w
WHERE w.organization_id IN ({each:organizations}) AND w.active = 1 AND EXISTS (
  SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id AND d.open = 1 AND d.ready = 1 AND d.due_at <= :now)
"""
_CLAIM = f"""
UPDATE deliveries SET due_at = :until, holder = :node WHERE {_HERE} AND event_id IN (
  SELECT d.event_id FROM deliveries d
  WHERE d.webhook_id = :webhook_id AND d.open = 1 AND d.ready = 1 AND d.due_at <= :now
  ORDER BY d.due_at, d.event_id LIMIT :limit {{skip_locked}})
RETURNING event_id, session_id, event, timestamp, payload, attempts, traceparent
"""
_PAYLOADS = "SELECT id, payload FROM events WHERE organization_id = :organization_id AND id IN ({each:ids})"
_REAP = """
-- any organization: what an earlier life of this process, or any life, had claimed
UPDATE deliveries SET holder = NULL, due_at = :now
WHERE open = 1 AND ready = 1 AND holder IS NOT NULL AND (:everyone = 1 OR holder = :node)
"""
_RELEASE = f"""
UPDATE deliveries SET holder = NULL, due_at = :now
WHERE {_HERE} AND event_id = :event_id AND open = 1 AND holder = :node
"""
_ORDERED = """
SELECT id FROM webhooks WHERE organization_id = :organization_id AND ordered = 1 AND id IN ({each:ids})
"""
_SETTLE = f"""
UPDATE deliveries SET status = :status, open = :open, attempts = :attempts, due_at = :due_at, holder = NULL,
  last_response_code = :code, last_error = :error,
  payload = CASE WHEN :status = 'delivered' THEN NULL ELSE COALESCE(payload, (
    SELECT e.payload FROM events e WHERE e.organization_id = :organization_id AND e.id = deliveries.event_id)) END
WHERE {_HERE} AND event_id = :event_id AND open = 1
"""
_DELIVERED = f"""
UPDATE deliveries SET status = 'delivered', open = 0, attempts = :attempts, holder = NULL, payload = NULL,
  last_response_code = :code, last_error = NULL
WHERE {_HERE} AND event_id = :event_id AND open = 1
"""
_NEXT = f"""
UPDATE deliveries SET ready = 1 WHERE {_HERE} AND event_id = (
  SELECT MIN(d.event_id) FROM deliveries d WHERE d.webhook_id = :webhook_id AND d.lane = :lane AND d.open = 1)
"""
_WELL = """
UPDATE webhooks SET failing_since = NULL
WHERE organization_id = :organization_id AND id = :webhook_id AND failing_since IS NOT NULL
"""
_FAILING = """
UPDATE webhooks SET failing_since = COALESCE(failing_since, :now)
WHERE organization_id = :organization_id AND id = :webhook_id AND active = 1 RETURNING failing_since
"""
_SWITCH_OFF = "UPDATE webhooks SET active = 0, updated_at = :now WHERE organization_id = :organization_id AND id = :id"

_LONGEST_DUE = """
-- any organization: a number for the operator's metrics
SELECT MIN(due_at) FROM (
  SELECT (SELECT MIN(d.due_at) FROM deliveries d WHERE d.webhook_id = w.id AND d.open = 1 AND d.ready = 1) AS due_at
  FROM webhooks w WHERE w.active = 1) longest
"""

Failure = Literal[
    "http_1xx", "http_3xx", "http_4xx", "http_5xx", "timed_out", "unreachable", "broken", "guarded", "not_posted"
]
"""Why an attempt failed, as metrics and spans tell it."""
_ANSWERED: dict[int, Failure] = {1: "http_1xx", 3: "http_3xx", 4: "http_4xx"}

Place = tuple[str, str]
"""A webhook: its organization and its id."""


class Due(Shape, frozen=True, kw_only=True):
    """A claimed delivery. `body` is the whole body of the post; `attempts` were made before."""

    receiver: Receiver
    event_id: str
    session_id: str
    body: bytes
    attempts: int
    timestamp: Millis
    traceparent: str | None = None


class Attempt(Shape, frozen=True, kw_only=True):
    """What came of one try. Without an `error` the receiver took it. `asked`: its `Retry-After`, in seconds."""

    code: int | None = None
    error: str | None = None
    failure: Failure | None = None
    asked: float | None = None
    duration_ms: int = 0


async def hungry(gw: Gateway, organizations: Sequence[str] | None = None) -> list[Place]:
    """Active webhooks that something is due for, of these organizations, or of all."""
    now = gw.clock.now()
    if organizations is None:
        rows = await gw.db.all(_HUNGRY, now=now)
    else:
        rows = await gw.db.all(_HUNGRY_OF, now=now, organizations=msgspec.json.encode(organizations).decode())
    return [(row[0], row[1]) for row in rows]


async def claim(gw: Gateway, wants: Sequence[tuple[Place, int]]) -> list[Due]:
    """Lease what is due for these webhooks, the longest due first, at most so many of each."""
    now = gw.clock.now()

    async def work(tx: Tx) -> list[tuple[Receiver, list[Row]]]:
        claimed = []
        for (organization_id, webhook_id), room in wants:
            receiver = await webhooks.receiver(tx, organization_id, webhook_id, now)
            if receiver is not None and receiver.webhook.active:
                rows = await tx.all(
                    _CLAIM,
                    organization_id=organization_id,
                    webhook_id=webhook_id,
                    now=now,
                    until=now + LEASE_MS,
                    node=gw.rules.node,
                    limit=room,
                )
                claimed.append((receiver, rows))
        return claimed

    claimed = await gw.db.write(work)
    payloads = await _payloads(gw, claimed)
    found = []
    for receiver, rows in claimed:
        for event_id, session_id, name, timestamp, kept, attempts, trace in sorted(rows, key=lambda row: str(row[0])):
            payload = kept or payloads.get((receiver.webhook.organization_id, event_id))
            if payload is None:
                # Its event leaves the log in this moment: its payload is kept, and found by the next claim.
                continue
            body = body_of(receiver.webhook.organization_id, event_id, session_id, (name, timestamp, payload))
            found.append(
                Due(
                    receiver=receiver, event_id=event_id, session_id=session_id, body=body, attempts=attempts,
                    timestamp=timestamp, traceparent=trace,
                )
            )  # fmt: skip
    return found


async def attempt(
    gw: Gateway, receiver: Receiver, event_id: str, body: bytes, *, traceparent: str | None = None
) -> Attempt:
    """Post once, signed as of now, as a part of this trace. Never raises for what the receiver does."""
    with traces.span("POST", traceparent, kind="client") as here:
        tried = await _post(gw, receiver, event_id, body, traceparent=here.traceparent)
        if here.recorded:
            here.error = tried.failure
            here.tell(_told(receiver, event_id, tried))
        return tried


async def _post(gw: Gateway, receiver: Receiver, event_id: str, body: bytes, *, traceparent: str) -> Attempt:
    begun = gw.clock.now()
    try:
        custom, secrets = webhooks.opened(gw, receiver)
        headers = custom | headers_of(event_id, body, begun, secrets)
        headers["traceparent"] = traceparent
        answer = await gw.http.post(receiver.webhook.url, body, headers, timeout=TIMEOUT)
    except FetchFailed as failure:
        return Attempt(error=failure.reason, failure=failure.kind, duration_ms=gw.clock.now() - begun)
    except Refused as refusal:
        return Attempt(error=refusal.reason, failure="guarded", duration_ms=gw.clock.now() - begun)
    except CannotOpen as sealed:
        return Attempt(error=str(sealed), failure="not_posted", duration_ms=gw.clock.now() - begun)
    duration = max(gw.clock.now() - begun, 0)
    if 200 <= answer.status <= 299:
        return Attempt(code=answer.status, duration_ms=duration)
    said = f"it answered {answer.status}" + (", and redirects are not followed" if 300 <= answer.status <= 399 else "")
    asked = _asked(answer.headers.get("Retry-After"), gw.clock.now())
    why = _ANSWERED.get(answer.status // 100, "http_5xx")
    return Attempt(code=answer.status, error=said, failure=why, asked=asked, duration_ms=duration)


async def settle(gw: Gateway, tried: Sequence[tuple[Due, Attempt]]) -> None:
    """Write down what came of attempts, of many at once; switch off a webhook that has failed for too long."""
    now = gw.clock.now()
    by_organization = sorted(tried, key=lambda each: each[0].receiver.webhook.organization_id)

    async def work(tx: Tx) -> list[tuple[str, str]]:
        off = []
        for organization_id, group in groupby(
            by_organization, key=lambda each: each[0].receiver.webhook.organization_id
        ):
            mine = list(group)
            await _settle_deliveries(tx, organization_id, mine, now)
            off += [(organization_id, id) for id in await _judge_webhooks(tx, organization_id, mine, now)]
        return off

    for organization_id, id in await gw.db.write(work):
        webhooks.tell_changed(gw, id)
        events.hint(gw, organization_id)
    gw.broker.publish("attempts", msgspec.json.encode([_counted(due, result, now) for due, result in tried]))


async def release(gw: Gateway, claimed: Sequence[Due]) -> None:
    """Give back what was claimed and not tried: it is due again at once."""
    rows = [
        {
            "organization_id": due.receiver.webhook.organization_id,
            "webhook_id": due.receiver.webhook.id,
            "event_id": due.event_id,
            "now": gw.clock.now(),
            "node": gw.rules.node,
        }
        for due in claimed
    ]

    async def work(tx: Tx) -> None:
        await tx.many(_RELEASE, rows)

    await gw.db.write(work)


async def reap(gw: Gateway, *, everyone: bool) -> None:
    """Free what an earlier life of this process had claimed; `everyone`: what anybody had, as no other lives."""

    async def work(tx: Tx) -> None:
        await tx.run(_REAP, now=gw.clock.now(), everyone=int(everyone), node=gw.rules.node)

    await gw.db.write(work)


async def overdue(gw: Gateway) -> float:
    """For how many seconds the delivery that waits longest has been due without being claimed. For metrics."""
    row = await gw.db.one(_LONGEST_DUE)
    return 0.0 if row is None or row[0] is None else max(gw.clock.now() - row[0], 0) / 1000


def _is_dead(due: Due, result: Attempt) -> bool:
    return result.error is not None and due.attempts + 1 >= due.receiver.webhook.retry_policy.attempts


def _counted(due: Due, result: Attempt, now: int) -> tuple[str, float, bool]:
    """An attempt as `telemetry.metrics` counts it."""
    outcome = "delivered" if result.error is None else result.failure or "not_posted"
    return outcome, max(now - due.timestamp, 0) / 1000, _is_dead(due, result)


def _told(receiver: Receiver, event_id: str, tried: Attempt) -> dict[str, str | int | bool]:
    """An attempt as its span tells of it: of the URL the server alone, for the rest of it may be a secret."""
    place = urlsplit(receiver.webhook.url)
    told: dict[str, str | int | bool] = {
        "http.request.method": "POST",
        "server.address": place.hostname or "",
        "server.port": place.port or (443 if place.scheme == "https" else 80),
        "wagate.organization.id": receiver.webhook.organization_id,
        "wagate.webhook.id": receiver.webhook.id,
        "wagate.event.id": event_id,
    }
    return told if tried.code is None else told | {"http.response.status_code": tried.code}


async def _settle_deliveries(tx: Tx, organization_id: str, tried: list[tuple[Due, Attempt]], now: int) -> None:
    # Before any webhook's row, as everywhere; and no event may join a queue whose head is being settled.
    await tx.run(webhooks.LOCK, organization_id=organization_id)
    # As they are now: the order may have been switched on while these were under way.
    ids = msgspec.json.encode(sorted({due.receiver.webhook.id for due, _ in tried})).decode()
    ordered = {row[0] for row in await tx.all(_ORDERED, organization_id=organization_id, ids=ids)}
    delivered, failed = [], []
    for due, result in tried:
        row = {
            "organization_id": organization_id,
            "webhook_id": due.receiver.webhook.id,
            "event_id": due.event_id,
            "attempts": due.attempts + 1,
            "code": result.code,
        }
        if result.error is None:
            delivered.append(row)
        else:
            policy = due.receiver.webhook.retry_policy
            dead = _is_dead(due, result)
            wait = 0.0 if dead else wait_before(policy, due.attempts + 1, asked=result.asked)
            more = {"open": int(not dead), "due_at": now + round(wait * 1000), "error": result.error}
            failed.append(row | more | {"status": "dead" if dead else "failed"})
    await tx.many(_DELIVERED, delivered)
    await tx.many(_SETTLE, failed)
    lanes = {(due.receiver.webhook.id, due.session_id) for due, _ in tried if due.receiver.webhook.id in ordered}
    rows = [{"organization_id": organization_id, "webhook_id": id, "lane": lane} for id, lane in sorted(lanes)]
    await tx.many(_NEXT, rows)


async def _judge_webhooks(tx: Tx, organization_id: str, tried: list[tuple[Due, Attempt]], now: int) -> list[str]:
    """Note which webhooks are well and which fail; those that were switched off, and an event says so of each."""
    well = {due.receiver.webhook.id for due, result in tried if result.error is None}
    failing = {
        due.receiver.webhook.id: (due.receiver, result.error) for due, result in tried if result.error is not None
    }
    await tx.many(_WELL, [{"organization_id": organization_id, "webhook_id": id} for id in sorted(well)])
    off = []
    for id, (receiver, error) in sorted(failing.items()):
        if id in well:
            continue
        row = await tx.one(_FAILING, organization_id=organization_id, webhook_id=id, now=now)
        if row is not None and now - row[0] >= GIVE_UP_MS:
            await tx.run(_SWITCH_OFF, organization_id=organization_id, id=id, now=now)
            await webhooks.recount(tx, organization_id)
            notice = WebhookNotice(webhook_id=id, reason="failing", last_error=error)
            facts: list[events.Fact] = [("webhook.disabled", notice)]
            await events.record(tx, now, organization_id, session_id=session_of(receiver), facts=facts)
            off.append(id)
    return off


async def _payloads(gw: Gateway, claimed: list[tuple[Receiver, list[Row]]]) -> dict[tuple[str, str], str]:
    wanted: dict[str, set[str]] = {}
    for receiver, rows in claimed:
        wanted.setdefault(receiver.webhook.organization_id, set()).update(row[0] for row in rows if row[4] is None)
    found = {}
    for organization_id, ids in wanted.items():
        if ids:
            asked = msgspec.json.encode(sorted(ids)).decode()
            for id, payload in await gw.db.all(_PAYLOADS, organization_id=organization_id, ids=asked):
                found[organization_id, id] = payload
    return found


def body_of(organization_id: str, id: str, session_id: str, fact: tuple[str, int, str]) -> bytes:
    """The body of a post: the envelope of an event, of its name, its time and its encoded payload."""
    name, timestamp, payload = fact
    event = Event(
        id=id,
        event=name,
        session=session_id,
        organization=organization_id,
        timestamp=timestamp,
        payload=msgspec.Raw(payload.encode()),
    )
    return msgspec.json.encode(event)


def session_of(receiver: Receiver) -> str:
    """The session that an event about this webhook is of; empty for one of all sessions."""
    return receiver.webhook.session_id if isinstance(receiver.webhook.session_id, str) else ""


def _asked(header: str | None, now: int) -> float | None:
    """Seconds from a `Retry-After`: a number, or a date."""
    if not header:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        return max(parsedate_to_datetime(header).timestamp() - now / 1000, 0.0)
    except (TypeError, ValueError):
        return None
