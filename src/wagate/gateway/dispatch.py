"""The way out of the outbox: claim → settle.

Only the worker that holds a session's lease claims and settles; each statement carries the epoch. What settles an entry
writes its message, its events and the next entry's turn in one transaction.
Called by workers/runner (claim, take up, settle, requeue), receipts (prove) and outcomes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.errors import NoAnswer, WagateError
from wagate.gateway import (
    Gateway,
    budgets,
    changes,
    contacts,
    contents,
    events,
    leases,
    messages,
    outbox,
    polls,
    sessions,
)
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held, LeaseLost
from wagate.gateway.outbox import Entry, status_fact
from wagate.model import Shape, jid
from wagate.model.contents import AlbumContent, Change, GoneContent, MessageContent
from wagate.model.messages import Ack, Receipt, SendError
from wagate.model.organizations import Caller
from wagate.telemetry import traces

_HOLD = """
SELECT rate_per_min, rate_per_hour FROM sessions
WHERE organization_id = :organization_id AND id = :session_id AND epoch = :epoch AND status = 'working' {for_update}
"""
_CLAIM = f"""
UPDATE outbox SET status = 'pending', epoch = :epoch, dispatched_at = :now, attempts = attempts + 1,
  budgeted_at = CASE WHEN :budgeted = 1 THEN COALESCE(budgeted_at, :now) ELSE budgeted_at END
WHERE position IN (
  SELECT position FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
    AND status = 'queued' AND ready = 1 ORDER BY position LIMIT :limit) AND status = 'queued'
RETURNING {outbox.COLUMNS}, attempts
"""
_CLAIM_PAID = _CLAIM.replace("AND ready = 1", "AND ready = 1 AND budgeted_at IS NOT NULL")
# Chats in which something was said that arrived: all but first contacts, which only people can be.
_IS_KNOWN = """AND (outbox.chat_jid NOT LIKE '%@s.whatsapp.net' AND outbox.chat_jid NOT LIKE '%@lid' OR EXISTS (
      SELECT 1 FROM messages m WHERE m.organization_id = outbox.organization_id AND m.session_id = outbox.session_id
        AND m.chat_jid = outbox.chat_jid AND (m.from_me = 0 OR m.status IS NULL OR m.status <> 'failed')))"""
_CLAIM_KNOWN = _CLAIM.replace("AND ready = 1", f"AND ready = 1 {_IS_KNOWN}")
_CLAIM_KNOWN_PAID = _CLAIM_PAID.replace("AND ready = 1", f"AND ready = 1 {_IS_KNOWN}")
_KNOWS = """
SELECT 1 FROM messages WHERE organization_id = :organization_id AND session_id = :session_id AND chat_jid = :chat
  AND (from_me = 0 OR status IS NULL OR status <> 'failed') LIMIT 1
"""
_PUT_BACK = """
UPDATE outbox SET status = 'queued', dispatched_at = NULL WHERE organization_id = :organization_id AND id = :id
  AND status = 'pending'
"""
_UNCLAIM = """
UPDATE outbox SET status = 'queued', dispatched_at = NULL WHERE organization_id = :organization_id
  AND session_id = :session_id AND status = 'pending' AND epoch = :epoch AND NOT id IN ({each:begun})
"""
_REQUEUE = """
UPDATE outbox SET status = 'queued' WHERE organization_id = :organization_id AND session_id = :session_id
  AND status = 'pending' AND NOT id IN ({each:under_way})
"""
_PENDING = f"""
SELECT {outbox.COLUMNS} FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND status = 'pending'
"""
_CLAIMED_BEFORE = _PENDING + " AND epoch = :epoch"
_SETTLE = """
UPDATE outbox SET status = :status, settled_at = :now, timestamp = :timestamp, wire_id = :wire_id, error = :error
WHERE organization_id = :organization_id AND id = :id AND status IN ('queued', 'pending', :also)
  AND EXISTS (SELECT 1 FROM sessions WHERE organization_id = :organization_id AND id = :session_id AND epoch = :epoch)
RETURNING (SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE organization_id = :organization_id
  AND session_id = :session_id AND chat_jid = :chat AND settled_at IS NULL AND id <> :id LIMIT 1) behind)
"""
NEXT = """
UPDATE outbox SET ready = 1 WHERE organization_id = :organization_id AND position = (
  SELECT MIN(position) FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
    AND chat_jid = :chat AND settled_at IS NULL) AND status = 'queued' AND ready = 0
"""
_NUMBER = "UPDATE outbox SET content = :content WHERE organization_id = :organization_id AND id = :id"
# Those of an album's items stand in its content: albums are few, and looked into.
_MAY_BE = f"""
SELECT {outbox.COLUMNS} FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND (wire_id = :wire_id OR content LIKE :album) AND settled_at IS NULL AND status = 'pending'
UNION ALL
SELECT {outbox.COLUMNS} FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND (wire_id = :wire_id OR content LIKE :album) AND status = 'uncertain'
"""
_ALBUM = '{"type":"album",%'

_TAKE_UP = f"""
SELECT {outbox.COLUMNS} FROM outbox WHERE organization_id = :organization_id AND id = :id AND session_id = :session_id
  AND status = 'pending' AND epoch = :epoch
"""
_WAITING = """
-- any organization: a worker serves all of them
SELECT id FROM sessions s WHERE s.holder = :node AND s.status = 'working' AND (
  EXISTS (SELECT 1 FROM outbox o WHERE o.session_id = s.id AND o.status = 'queued' AND o.ready = 1)
  OR EXISTS (SELECT 1 FROM outbox o WHERE o.session_id = s.id AND o.status = 'pending'))
"""


class Claimed(Shape, frozen=True, kw_only=True):
    """What is to go out now, and (when the budget holds sends back) at what time, in epoch ms, to ask again."""

    entries: list[Entry]
    again_at: int | None = None


async def claim(gw: Gateway, held: Held, *, limit: int, strangers: bool = True) -> Claimed:
    """Take up to `limit` entries whose turn it is; the message events `pending` are recorded with it. Without
    `strangers` those wait that would be the first word to somebody.

    Raises:
        LeaseLost: the session is another's, or does not work any more.
    """

    async def work(tx: Tx) -> Claimed:
        now, here = gw.clock.now(), place(held)
        rates = await tx.one(_HOLD, **here, epoch=held.epoch)
        if rates is None:
            raise LeaseLost
        free, paid_for = (_CLAIM, _CLAIM_PAID) if strangers else (_CLAIM_KNOWN, _CLAIM_KNOWN_PAID)
        if rates[0] == 0 and rates[1] == 0:
            rows = await tx.all(free, **here, epoch=held.epoch, now=now, budgeted=0, limit=limit)
            return Claimed(entries=await _dispatched(tx, held, now, rows))
        paid = await tx.all(paid_for, **here, epoch=held.epoch, now=now, budgeted=1, limit=limit)
        session = await _session(tx, held)
        room, free_at = await budgets.room(tx, session, now)
        rest = min(room, limit - len(paid))
        rows = [] if rest <= 0 else await tx.all(free, **here, epoch=held.epoch, now=now, budgeted=1, limit=rest)
        waiting = room <= len(rows) and await budgets.waiting(tx, session, most=1) > 0
        again = max(free_at, now + 100) if waiting and room <= 0 else (now if waiting else None)
        return Claimed(entries=await _dispatched(tx, held, now, [*paid, *rows]), again_at=again)

    claimed = await gw.db.write(work)
    if claimed.entries:
        events.hint(gw, held.organization_id)
    return claimed


async def knows(gw: Gateway, held: Held, chat: str) -> bool:
    """Whether something was said in this chat that arrived; always, where it is nobody's own."""
    return jid.chat_type(chat) != "dm" or await gw.db.one(_KNOWS, **place(held), chat=chat) is not None


async def put_back(gw: Gateway, held: Held, entry: Entry) -> None:
    """An entry that was claimed, and certainly did not go out, waits on at its place.

    Raises:
        LeaseLost: the session is another's.
    """

    async def work(tx: Tx) -> None:
        await leases.fence(tx, held)
        await tx.run(_PUT_BACK, organization_id=held.organization_id, id=entry.id)

    await gw.db.write(work)


async def unclaim(gw: Gateway, held: Held, *, begun: list[str]) -> None:
    """Entries that were claimed for this holder and that it never began to send wait on at their places.

    Raises:
        LeaseLost: the session is another's.
    """

    async def work(tx: Tx) -> None:
        await leases.fence(tx, held)
        await tx.run(_UNCLAIM, **place(held), epoch=held.epoch, begun=msgspec.json.encode(begun).decode())

    await gw.db.write(work)


async def requeue(gw: Gateway, held: Held, *, under_way: list[str], resend: bool) -> None:
    """After a new connection: entries that were dispatched but not answered go out again with the same wire id, or,
    where the engine cannot do that (`resend` false), become uncertain. `under_way`: ids still being sent here.
    """
    if resend:

        async def work(tx: Tx) -> None:
            await leases.fence(tx, held)
            await tx.run(_REQUEUE, **place(held), under_way=msgspec.json.encode(under_way).decode())

        await gw.db.write(work)
        return
    for row in await gw.db.all(_PENDING, **place(held)):
        if row[0] not in under_way:
            await settle(gw, held, outbox.entry(row), NoAnswer())


async def settle(gw: Gateway, held: Held, entry: Entry, outcome: Ack | WagateError) -> bool:
    """Write what became of an entry, unless a receipt has proved it already; whether another one is ready now.

    Raises:
        LeaseLost: the session is another's; the entry is theirs to finish.
    """
    here = traces.span("settle", entry.traceparent)
    settling = entry if not here.recorded else msgspec.structs.replace(entry, traceparent=here.traceparent)

    async def work(tx: Tx) -> bool:
        # Nobody accepts meanwhile: who comes behind this one must see it settled, or be seen.
        await leases.fence(tx, held)
        now = gw.clock.now()
        changed = await settled(tx, held, now, settling, outcome)
        await events.record(tx, now, held.organization_id, session_id=held.id, facts=changed.facts)
        return changed.more

    verdict = _verdict(outcome)[0]
    with here:
        more = await gw.db.write(work)
        if here.recorded:
            told = {"wagate.outbox.id": entry.id, "wagate.outcome": verdict}
            here.tell(outbox.named(held.organization_id, held.id) | told)
    tell(gw, held.organization_id, held.id, entry.id)
    polls.hint(gw, entry.content)
    gw.broker.publish("sends", verdict.encode())
    return more


class Settled(Shape, frozen=True, kw_only=True):
    """What settling did: the facts to record (none: nothing was left to settle), and whether another is ready now."""

    facts: list[Fact] = []
    more: bool = False


async def settled(tx: Tx, held: Held, now: int, entry: Entry, outcome: Ack | WagateError) -> Settled:
    """As `settle`, within the caller's transaction; the caller records the facts."""
    # While it was under way its chat may have been joined to another.
    chat = await contacts.resolve(tx, held.organization_id, held.id, entry.chat)
    entry = msgspec.structs.replace(entry, chat=chat)
    status, error = _verdict(outcome)
    timestamp = outcome.timestamp if isinstance(outcome, Ack) else now
    wire_id = outcome.wire_id if isinstance(outcome, Ack) else entry.wire_id
    left = await tx.one(
        _SETTLE,
        **place(held),
        chat=entry.chat,
        epoch=held.epoch,
        id=entry.id,
        status=status,
        now=now,
        timestamp=timestamp,
        wire_id=wire_id,
        error=None if error is None else msgspec.json.encode(error).decode(),
        # A late answer, or a decision by hand, still settles what was uncertain; no second timeout does.
        also="uncertain" if status != "uncertain" else "pending",
    )
    if left is None:
        return Settled()
    more = left[0] > 0 and await tx.run(NEXT, **place(held), chat=entry.chat) > 0
    if isinstance(outcome, Ack) and outcome.item_ids:
        entry = await _numbered(tx, held, entry, outcome.item_ids)
    facts: list[Fact] = []
    if wire_id is not None:
        fate = _Fate(wire_id=wire_id, timestamp=timestamp, status=status, error=error)
        facts = await _kept(tx, held, now, entry, fate)
    told = [*facts, status_fact(entry, status, wire_id, timestamp, error)]
    return Settled(facts=events.along(told, entry.traceparent), more=more)


class _Fate(Shape, frozen=True, kw_only=True):
    """What became of an entry that has a wire id."""

    wire_id: str
    timestamp: int
    status: Literal["sent", "failed", "uncertain"]
    error: SendError | None


async def _kept(tx: Tx, held: Held, now: int, entry: Entry, fate: _Fate) -> list[Fact]:
    """Store the message that an entry is, each one of an album; what is no message is done to one, once it went out."""
    content, said = entry.content, list[tuple[MessageContent, str]]()
    if isinstance(content, Change):
        if fate.status != "sent":
            return []
        made = changes.Made(
            wire_id=fate.wire_id,
            chat=entry.chat,
            from_me=True,
            timestamp=fate.timestamp,
            content=content,
            sender=messages.me(held),
        )
        return await changes.apply(tx, held, made)
    if isinstance(content, AlbumContent):
        said = [(item.content, item.message_id) for item in content.items if isinstance(item.message_id, str)]
    elif not isinstance(content, GoneContent):
        said = [(content, fate.wire_id)]
    facts: list[Fact] = []
    for each, wire_id in said:
        own = messages.OwnSend(
            chat=entry.chat,
            wire_id=wire_id,
            content=each,
            timestamp=fate.timestamp,
            status=fate.status,
            error=fate.error,
        )
        await messages.store_own(tx, held, now, own)
        if fate.status == "sent":
            facts.append(("message.from_me", await messages.said_by_me(tx, held, own)))
    return facts


async def _numbered(tx: Tx, held: Held, entry: Entry, item_ids: list[str]) -> Entry:
    """The entry of an album, with the ids that the network gave its items."""
    if not isinstance(entry.content, AlbumContent) or contents.item_ids(entry.content) == item_ids:
        return entry
    album = contents.numbered(entry.content, item_ids)
    written = msgspec.json.encode(album).decode()
    await tx.run(_NUMBER, organization_id=held.organization_id, id=entry.id, content=written)
    return msgspec.structs.replace(entry, content=album)


async def taken_up(gw: Gateway, held: Held, outbox_id: str) -> Entry | None:
    """An entry that was claimed for this holder when it was accepted; None: it is not this holder's to send (now)."""
    row = await gw.db.one(_TAKE_UP, **place(held), id=outbox_id, epoch=held.epoch)
    return None if row is None else outbox.entry(row)


async def claimed_before(gw: Gateway, held: Held) -> list[Entry]:
    """Every entry that is claimed for this holder and unanswered: the hint for one of them may have been lost."""
    rows = await gw.db.all(_CLAIMED_BEFORE, **place(held), epoch=held.epoch)
    return [outbox.entry(row) for row in rows]


async def waiting(gw: Gateway) -> list[str]:
    """The sessions that have something to claim, so that a lost hint costs seconds and no more."""
    return [row[0] for row in await gw.db.all(_WAITING, node=gw.rules.node)]


async def prove(tx: Tx, held: Held, now: int, *, wire_id: str, receipt: Receipt) -> list[Fact]:
    """A receipt came for a wire id that is not stored as sent: it proves that the entry went out, an album by any of
    its items; by then, so that nothing is read before it was sent.
    """
    for row in await tx.all(_MAY_BE, **place(held), wire_id=wire_id, chat=receipt.chat, album=_ALBUM):
        entry = outbox.entry(row)
        if wire_id in (entry.wire_id, *contents.item_ids(entry.content)):
            told = Ack(wire_id=entry.wire_id or wire_id, timestamp=receipt.timestamp)
            return (await settled(tx, held, now, entry, told)).facts
    return []


class Decided(WagateError):
    """A failure by decision: it settles as failed, whatever the error it carries would mean by itself."""

    def __init__(self, error: WagateError) -> None:
        super().__init__(error.message, **error.details)
        self.error = error


def _verdict(outcome: Ack | WagateError) -> tuple[Literal["sent", "failed", "uncertain"], SendError | None]:
    if isinstance(outcome, Ack):
        return "sent", None
    decided = isinstance(outcome, Decided)
    error = outcome.error if isinstance(outcome, Decided) else outcome
    certain = bool(error.details.get("certain", error.certain))
    told = SendError(
        code=error.code,
        reason=error.details.get("reason", UNSET),
        wa_code=error.details.get("waCode", UNSET),
        certain=certain,
    )
    return ("failed" if certain or decided else "uncertain"), told


async def _dispatched(tx: Tx, held: Held, now: int, rows: list[Row]) -> list[Entry]:
    claimed = sorted(((outbox.entry(row), row[13]) for row in rows), key=lambda pair: pair[0].position)
    # Who waits for the answer needs no news of the way there; and a repeat after a lost line was pending already.
    new = [entry for entry, attempts in claimed if attempts == 1 and entry.mode == "async"]
    facts = [status_fact(entry, "pending", entry.wire_id, now, None) for entry in new]
    await events.record(tx, now, held.organization_id, session_id=held.id, facts=facts)
    return [entry for entry, _ in claimed]


def place(held: Held) -> dict[str, Any]:
    """The parameters that name a session's rows."""
    return {"organization_id": held.organization_id, "session_id": held.id}


async def _session(tx: Tx, held: Held) -> Any:
    return await sessions.require(tx, Caller(organization_id=held.organization_id, capabilities=frozenset()), held.id)


def tell(gw: Gateway, organization_id: str, session_id: str, outbox_id: str) -> None:
    """Wake whoever waits for this entry, and readers of events. Only after the commit."""
    gw.broker.publish(f"outbox.{session_id}.{outbox_id}")
    events.hint(gw, organization_id)
