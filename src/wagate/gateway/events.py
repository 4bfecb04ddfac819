"""The event log: one for each organization, totally ordered, without holes.

An id is a ULID whose time never runs backwards and whose random part is the event's number in its log. Both are taken
under the organization's row in the very transaction that records the event, so ids appear in the order of commits: a
reader never sees one appear behind its cursor, also when the clock was turned back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UnsetType
from ulid import ULID

from wagate.backends.broker import Bell
from wagate.backends.database import Tx
from wagate.errors import BadRequest, CursorExpired, NotFound, Unauthorized
from wagate.gateway import Gateway, keys, webhooks
from wagate.model import Shape, ids
from wagate.model.events import Event
from wagate.model.organizations import Caller
from wagate.telemetry import traces

Fact = tuple[str, Shape] | tuple[str, Shape, str | None]
"""An event's name and its payload; and the trace that it is part of, where that is not its transaction's."""

_HEAD = """
UPDATE organizations SET log_seq = log_seq + :count, log_ms = {greatest}(log_ms, :now)
WHERE id = :organization_id RETURNING log_ms, log_seq, webhooks
"""
_INSERT = """
INSERT INTO events (organization_id, id, session_id, event, timestamp, payload)
VALUES (:organization_id, :id, :session_id, :event, :timestamp, :payload)
"""
_READ = """
SELECT id, session_id, event, timestamp, payload FROM events
WHERE organization_id = :organization_id AND id > :after ORDER BY id LIMIT :limit
"""
_OLDEST = "SELECT id FROM events WHERE organization_id = :organization_id ORDER BY id LIMIT 1"
_LOG = "SELECT log_ms, log_seq FROM organizations WHERE id = :organization_id"
_EXPIRE = """
DELETE FROM events WHERE organization_id = :organization_id AND id IN (
  SELECT id FROM events WHERE organization_id = :organization_id AND id < :before ORDER BY id LIMIT :limit)
"""
_ORGANIZATIONS = "SELECT id FROM organizations"
_BATCH = 1000
_MOST_BATCHES = 50


def event_id(ms: int, number: int) -> str:
    """The id of the event with this number at this time (epoch milliseconds)."""
    return f"evt_{ids.ulid(ms, number)}"


def number_of(id: str, *, field: str = "after") -> int:
    """An event's number in its log.

    Raises:
        BadRequest: not an event id; `field` is where the client wrote it.
    """
    try:
        if not id.startswith("evt_") or len(id) != 30:
            raise ValueError
        number = int.from_bytes(ULID.from_str(id[4:]).bytes[6:], "big")
        # The library reads small letters too, but they sort behind all others: after such an id nothing would come.
        if id != "evt_" + id[4:].upper():
            raise ValueError
        return number
    except ValueError:
        raise BadRequest.field(field, "is not an event id") from None


async def record(tx: Tx, now: int, organization_id: str, *, session_id: str, facts: Sequence[Fact]) -> None:
    """Write facts to the organization's log, in this order, and a delivery of each for every webhook that wants it.

    The caller calls `hint` after its commit.
    """
    if facts:
        await record_all(tx, now, organization_id, session_id=session_id, facts=facts)


async def record_all(tx: Tx, now: int, organization_id: str, *, session_id: str, facts: Sequence[Fact]) -> list[str]:
    """As `record`, of at least one fact; the ids of the events."""
    head = await tx.one(_HEAD, organization_id=organization_id, count=len(facts), now=now)
    if head is None:
        raise NotFound("organization not found")
    ms, last, webhooks_there = head
    rows: list[dict[str, Any]] = [
        {
            "organization_id": organization_id,
            "id": event_id(ms, number),
            "session_id": session_id,
            "event": fact[0],
            "timestamp": now,
            "payload": msgspec.json.encode(fact[1]).decode(),
        }
        for number, fact in enumerate(facts, last - len(facts) + 1)
    ]
    await tx.many(_INSERT, rows)
    if webhooks_there:
        otherwise = tx.trace or traces.begin()
        for row, fact in zip(rows, facts, strict=True):
            row["trace"] = (fact[2] if len(fact) == 3 else None) or otherwise
        await webhooks.enlist(tx, organization_id, session_id, rows)
    return [str(row["id"]) for row in rows]


def along(facts: Sequence[Fact], trace: str | None) -> list[Fact]:
    """These facts as parts of a trace; those that name their own keep it."""
    return [fact if len(fact) == 3 else (fact[0], fact[1], trace) for fact in facts]


def hint(gw: Gateway, organization_id: str) -> None:
    """Tell readers and the deliverer that the log has grown. Only after the commit."""
    gw.broker.publish(f"events.{organization_id}")
    gw.broker.publish("deliveries", organization_id.encode())


class Wish(Shape, frozen=True, kw_only=True):
    """What a reader wants: events after an id, of some names, of one session."""

    after: str | None = None
    limit: int = 50
    names: frozenset[str] | None = None
    session_id: str | None = None


async def read(gw: Gateway, caller: Caller, wish: Wish) -> tuple[list[Event], str]:
    """Events in order, and the last id that was read (also of one that was filtered out).

    Raises:
        CursorExpired: `after` has left the log; `details.oldest` is where it begins now.
    """
    if wish.after is not None:
        number_of(wish.after)
    cursor, found = wish.after or "", list[Event]()
    plain = wish.names is None and wish.session_id is None and isinstance(caller.session_ids, UnsetType)
    for _ in range(_MOST_BATCHES):
        if len(found) >= wish.limit:
            break
        size = min(wish.limit, _BATCH) if plain else _BATCH
        rows = await gw.db.all(_READ, organization_id=caller.organization_id, after=cursor, limit=size)
        if cursor:
            # Behind the reading: what leaves the log in between is told, not skipped.
            await check_kept(gw, caller.organization_id, cursor)
        for id, session_id, name, timestamp, payload in rows:
            cursor = id
            if _wanted(caller, wish, session_id, name):
                found.append(
                    Event(
                        id=id,
                        event=name,
                        session=session_id,
                        organization=caller.organization_id,
                        timestamp=timestamp,
                        payload=msgspec.Raw(payload),
                    )
                )
                if len(found) == wish.limit:
                    break
        if len(rows) < size:
            break
        # Reads may run on the event loop itself: a long search must let others in between.
        await asyncio.sleep(0)
    return found, cursor


async def head(gw: Gateway, organization_id: str) -> str:
    """The id of the last event that was recorded; empty where none ever was."""
    row = await gw.db.one(_LOG, organization_id=organization_id)
    return event_id(row[0], row[1]) if row is not None and row[1] else ""


async def following(gw: Gateway, organization_id: str, after: str, *, limit: int) -> list[Event]:
    """The next events of a log, in order, unfiltered: for those who share what they read."""
    rows = await gw.db.all(_READ, organization_id=organization_id, after=after, limit=limit)
    return [
        Event(
            id=id, event=name, session=session_id, organization=organization_id, timestamp=at,
            payload=msgspec.Raw(payload),
        )
        for id, session_id, name, at, payload in rows
    ]  # fmt: skip


async def read_or_wait(gw: Gateway, caller: Caller, wish: Wish, *, wait: float) -> tuple[list[Event], str]:
    """As `read`; while there is nothing, wait up to `wait` seconds for something, or until the process stops.

    Raises what `read` does, and:
        Unauthorized: the caller's key ended meanwhile.
    """
    loop = asyncio.get_running_loop()
    deadline, waited = loop.time() + wait, False
    subject = f"events.{caller.organization_id}"
    with Bell(gw.broker, subject, "keys", "closing") as bell, Bell(gw.broker, "closing") as closing:
        standing = await _standing(gw, caller) if wait else None
        while True:
            bell.rung = False
            found, cursor = await read(gw, caller, wish)
            left = deadline - loop.time()
            if found or left <= 0 or closing.rung:
                # Who did not wait reads what was there: how old that is says nothing.
                if found and waited:
                    tell_lag(gw, found[0].timestamp)
                return found, cursor
            if cursor:
                wish = msgspec.structs.replace(wish, after=cursor)
            # The hint may be lost: look again every second all the same.
            waited = True
            await bell.wait(min(left, 1.0))
            if await _standing(gw, caller) != standing:
                raise Unauthorized


async def expire(gw: Gateway, *, limit: int = 1000) -> int:
    """Remove a piece of what has left the log's days; the number removed. Called by the janitor until 0."""
    before = event_id(max(gw.clock.now() - gw.rules.event_days * 86_400_000, 0), 0)

    removed = 0
    for (organization_id,) in await gw.db.all(_ORGANIZATIONS):

        async def work(tx: Tx, organization_id: str = organization_id) -> int:
            await webhooks.keep(tx, organization_id, before)
            return await tx.run(_EXPIRE, organization_id=organization_id, before=before, limit=limit)

        removed += await gw.db.write(work)
    return removed


def _wanted(caller: Caller, wish: Wish, session_id: str, name: str) -> bool:
    if not isinstance(caller.session_ids, UnsetType) and session_id not in caller.session_ids:
        return False
    if wish.session_id is not None and session_id != wish.session_id:
        return False
    return wish.names is None or name in wish.names


async def check_kept(gw: Gateway, organization_id: str, after: str) -> None:
    """Refuse a position that the log no longer leads on from.

    Raises:
        CursorExpired: `details.oldest` is where the log begins now.
    """
    number = number_of(after)
    oldest = await gw.db.one(_OLDEST, organization_id=organization_id)
    if oldest is not None:
        if after < oldest[0] and number + 1 < number_of(oldest[0]):
            raise CursorExpired(oldest=oldest[0])
        return
    head = await gw.db.one(_LOG, organization_id=organization_id)
    if head is not None and number < head[1]:
        raise CursorExpired(oldest=event_id(head[0], head[1]))


async def _standing(gw: Gateway, caller: Caller) -> str:
    """What the caller's key is now, empty for a person; another text is another secret.

    Raises:
        Unauthorized: the key was revoked, or has expired.
    """
    if isinstance(caller.key_id, UnsetType):
        return ""
    found = (await keys.standing(gw, [caller.key_id])).get(caller.key_id)
    if found is None or found.is_over(gw.clock.now()):
        raise Unauthorized
    return found.digest


def tell_lag(gw: Gateway, recorded_at: int) -> None:
    """An event of that time reaches only now somebody who was waiting for it. For the operator's metrics."""
    gw.broker.publish("events.lag", str(max(gw.clock.now() - recorded_at, 0)).encode())
