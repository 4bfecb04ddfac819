"""Messages on their way out: accept → claim → settle.

A row is written once for each organization and idempotency key, and leaves only by `settle`. The session's lease is the
lock on its rows: only the runner that holds it may claim, and `settle` checks the lease's epoch. In a chat, entries go
out one after the other in the order of their acceptance: only the first unsettled one is `ready`. One that has its turn
at once, at a session that works and has room, is claimed for the lease's holder in the transaction that accepts it:
that saves a commit, and the caller half of the wait for the disk.
Called by api/messages (accept, wait, the outbox rows) and workers/runner (claim, settle).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.database import ConstraintViolation, Reader, Row, Tx
from wagate.errors import Conflict, NotFound, RateLimited, UnsupportedByEngine
from wagate.gateway import (
    EngineFacts,
    Gateway,
    Window,
    budgets,
    contacts,
    contents,
    contexts,
    events,
    media,
    sessions,
    waits,
)
from wagate.gateway.contexts import Place
from wagate.gateway.events import Fact
from wagate.model import Millis, Shape, ids
from wagate.model.contents import AlbumContent, Content
from wagate.model.events import MessageStatusChanged
from wagate.model.messages import MessageStatus, SendError, SendResult
from wagate.model.organizations import Caller
from wagate.model.sessions import Session
from wagate.telemetry import traces

IN_FLIGHT = 16
"""How many sends of a session may be under way at once."""

KEY_MS = 86_400_000
"""How long an idempotency key is kept, in milliseconds."""

COLUMNS = (
    "id, session_id, chat_jid, mode, status, content, wire_id, body_digest, timestamp, error, position, created_at,"
    " traceparent"
)
_BY_KEY = f"""
SELECT {COLUMNS} FROM outbox WHERE organization_id = :organization_id AND idempotency_key = :key
"""
_FREE_KEY = """
UPDATE outbox SET idempotency_key = NULL WHERE organization_id = :organization_id AND idempotency_key = :key
"""
# The epoch of the worker that holds a working session (0: nobody would send now), and who is before and beside.
_TURN = """
SELECT COALESCE((SELECT epoch FROM sessions WHERE organization_id = :organization_id AND id = :session_id
    AND status = 'working' AND wanted = 'run' AND holder IS NOT NULL), 0),
  (SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE organization_id = :organization_id
    AND session_id = :session_id AND chat_jid = :chat AND settled_at IS NULL LIMIT 1) before),
  (SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE organization_id = :organization_id
    AND session_id = :session_id AND chat_jid >= '' AND settled_at IS NULL LIMIT :most) beside)
"""
_INSERT = """
INSERT INTO outbox (id, organization_id, session_id, chat_jid, mode, status, ready, epoch, dispatched_at, attempts,
  content, wire_id, idempotency_key, body_digest, created_at, budgeted_at, traceparent)
VALUES (:id, :organization_id, :session_id, :chat, :mode, :status, :ready, :epoch, :dispatched_at, :attempts,
  :content, :wire_id, :key, :digest, :now, :budgeted_at, :traceparent)
"""
_GET = f"SELECT {COLUMNS} FROM outbox WHERE organization_id = :organization_id AND id = :id"
_PAGE = f"""
SELECT {COLUMNS} FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND position < :before AND (:status = '' OR status = :status) ORDER BY position DESC LIMIT :limit
"""
_DEPTH = """
-- any organization: a number for the operator's metrics
SELECT COUNT(*) FROM outbox WHERE settled_at IS NULL
"""
_FORGET_KEYS = """
-- any organization: what time alone does
UPDATE outbox SET idempotency_key = NULL
WHERE position IN (SELECT position FROM outbox WHERE idempotency_key IS NOT NULL AND created_at < :before LIMIT :limit)
"""


class Entry(Shape, frozen=True, kw_only=True):
    """One row of the outbox."""

    id: str
    session_id: str
    chat: str
    mode: Literal["sync", "async"]
    status: MessageStatus
    content: Content
    wire_id: str | None
    digest: str
    timestamp: Millis | None
    error: SendError | None
    position: int
    created_at: Millis
    replayed: bool = False
    traceparent: str | None = None
    """What sending it, and the events about it, hang from."""


class Offer(Shape, frozen=True, kw_only=True):
    """What is to be accepted. `digest` identifies the request's body, `key` the caller's Idempotency-Key."""

    chat: str
    content: Content
    mode: Literal["sync", "async"]
    digest: str
    key: str | None = None


class Coming(Shape, frozen=True, kw_only=True):
    """A send whose content is not made yet, because its files are still to be taken in; else as `Offer`."""

    kind: str
    mode: Literal["sync", "async"]
    digest: str
    key: str | None = None


async def foresee(gw: Gateway, caller: Caller, session_id: str, coming: Coming) -> Entry | None:
    """What `accept` would say now, before anything is fetched or stored: a known key's first entry, else None.

    Raises what `accept` raises. That it does not raise is no promise: `accept` judges again.
    """
    session = await sessions.require(gw.db, caller, session_id)
    if coming.key is not None:
        row = await gw.db.one(_BY_KEY, organization_id=caller.organization_id, key=coming.key)
        known = None if row is None else _first(row, gw, caller, coming)
        if known is not None:
            return known
    facts = gw.rules.engine(session.engine)
    await _must_be_able(gw.db, session, coming.mode, gw.clock.now())
    if coming.kind not in facts.contents:
        raise UnsupportedByEngine
    if coming.mode == "sync" and budgets.limited(session):
        await _within_budget(gw.db, session, gw.clock.now())
    return None


async def accept(gw: Gateway, caller: Caller, session_id: str, offer: Offer) -> Entry:
    """Write a send down, once; when it returns the send is durable. A known key returns its first entry, `replayed`.

    Raises:
        NotFound: not the caller's session.
        BadRequest: a poll that would have ended already.
        Conflict: the key is bound to another body.
        SessionNotConnected: the session is not working (an async send also takes a linked one that is starting).
        UnsupportedByEngine: the session's engine does not send this content.
        RateLimited: a sync send over the session's budget.
        Gone: a file of it waited for too long.
    """
    minted = ids.mint("ob", gw.clock.now())
    here = traces.span("accept", traces.current.get())

    async def work(tx: Tx) -> Entry:
        session = await sessions.require(tx, caller, session_id, lock=True)
        if offer.key is not None:
            known = await _known(tx, gw, caller, offer)
            if known is not None:
                return known
        now = gw.clock.now()
        contents.must_end_later(offer.content, now)
        facts = gw.rules.engine(session.engine)
        await _must_be_able(tx, session, offer.mode, now)
        if contents.kind(offer.content) not in facts.contents:
            raise UnsupportedByEngine
        budgeted = offer.mode == "sync" and budgets.limited(session)
        if budgeted:
            await _within_budget(tx, session, now)
        chat = await contacts.resolve(tx, caller.organization_id, session_id, offer.chat)
        place = Place(organization_id=caller.organization_id, session_id=session_id, chat=chat)
        content, wire_id = _addressed(await contexts.quoted(tx, place, offer.content), facts)
        await media.keep(tx, (caller.organization_id, session_id), content, now=now, days=gw.rules.media_days)
        entry = Entry(
            id=minted,
            session_id=session_id,
            chat=chat,
            mode=offer.mode,
            status="queued",
            content=content,
            wire_id=wire_id,
            digest=offer.digest,
            timestamp=None,
            error=None,
            position=0,
            created_at=now,
            traceparent=here.traceparent,
        )
        # Where a budget holds sends back, only one that has taken its place in it may go now.
        free = budgeted or not budgets.limited(session)
        return await _write(tx, caller, entry, offer, _Turn(free=free, budgeted_at=now if budgeted else None))

    with here:
        try:
            entry = await gw.db.write(work)
        except ConstraintViolation:
            # Another process has bound the key meanwhile, for another session: now it is known.
            entry = await gw.db.write(work)
        if here.recorded:
            here.tell(named(caller.organization_id, session_id))
            here.tell({"wagate.outbox.id": entry.id, "wagate.replayed": entry.replayed})
    if not entry.replayed:
        # With an id: it is claimed already, and the holder takes it up without another transaction.
        gw.broker.publish(f"outbox.{session_id}", entry.id.encode() if entry.status == "pending" else b"")
        # The caller is told that it was accepted; how far it is by now, the entry and the events tell.
        entry = msgspec.structs.replace(entry, status="queued")
    return entry


def named(organization_id: str, session_id: str) -> dict[str, str | int | bool]:
    """A session, as spans name it."""
    return {"wagate.organization.id": organization_id, "wagate.session.id": session_id}


def _addressed(content: Content, facts: EngineFacts) -> tuple[Content, str | None]:
    """The content and its wire id, where the engine lets that be chosen; an album has one for each item."""
    if not facts.chooses_wire_id:
        return content, None
    if not isinstance(content, AlbumContent):
        return content, ids.wire_id()
    album = contents.numbered(content, [ids.wire_id() for _ in content.items])
    return album, contents.item_ids(album)[0]


class _Turn(Shape, frozen=True, kw_only=True):
    """Whether the entry may go out at once, as far as the budget goes, and when it took its place in that."""

    free: bool
    budgeted_at: int | None


async def _write(tx: Tx, caller: Caller, entry: Entry, offer: Offer, turn: _Turn) -> Entry:
    """Write the row; the entry with the status that it got."""
    here = {"organization_id": caller.organization_id, "session_id": entry.session_id, "chat": entry.chat}
    epoch, before, beside = await tx.one(_TURN, **here, most=IN_FLIGHT) or (0, 0, 0)
    at_once = turn.free and epoch > 0 and before == 0 and beside < IN_FLIGHT
    if at_once:
        entry = msgspec.structs.replace(entry, status="pending")
    await tx.run(
        _INSERT,
        **here,
        id=entry.id,
        mode=entry.mode,
        status=entry.status,
        ready=int(before == 0),
        epoch=epoch if at_once else None,
        dispatched_at=entry.created_at if at_once else None,
        attempts=int(at_once),
        content=msgspec.json.encode(entry.content).decode(),
        wire_id=entry.wire_id,
        key=offer.key,
        digest=offer.digest,
        now=entry.created_at,
        budgeted_at=turn.budgeted_at,
        traceparent=entry.traceparent,
    )
    if at_once and entry.mode == "async":
        facts = [status_fact(entry, "pending", entry.wire_id, entry.created_at, None)]
        await events.record(tx, entry.created_at, caller.organization_id, session_id=entry.session_id, facts=facts)
    return entry


def status_fact(
    entry: Entry,
    status: Literal["pending", "sent", "failed", "uncertain"],
    wire_id: str | None,
    timestamp: int,
    error: SendError | None,
) -> Fact:
    """The fact that an entry's message stands so now."""
    changed = MessageStatusChanged(
        chat_jid=entry.chat,
        message_ids=contents.item_ids(entry.content) or ([] if wire_id is None else [wire_id]),
        status=status,
        timestamp=timestamp,
        outbox_id=entry.id,
        error=UNSET if error is None else error,
    )
    return "message.status", changed, entry.traceparent


async def get(gw: Gateway, caller: Caller, session_id: str, outbox_id: str) -> Entry:
    """One of the session's entries."""
    await sessions.require(gw.db, caller, session_id)
    return await require(gw.db, caller, session_id, outbox_id)


async def require(reader: Reader, caller: Caller, session_id: str, outbox_id: str) -> Entry:
    """As `get`, without looking at the session, also inside a transaction.

    Raises:
        NotFound: no such entry in this session.
    """
    row = await reader.one(_GET, organization_id=caller.organization_id, id=outbox_id)
    if row is None or row[1] != session_id:
        raise NotFound("outbox entry not found")
    return entry(row)


async def page(
    gw: Gateway, caller: Caller, session_id: str, window: Window, *, status: str
) -> tuple[list[Entry], list[Any] | None]:
    """The session's entries, newest first; `status` empty: all."""
    await sessions.require(gw.db, caller, session_id)
    rows = await gw.db.all(
        _PAGE,
        organization_id=caller.organization_id,
        session_id=session_id,
        before=window.after[0] if window.after else 2**62,
        status=status,
        limit=window.limit + 1,
    )
    found = [entry(row) for row in rows[: window.limit]]
    return found, [found[-1].position] if len(rows) > window.limit else None


async def depth(gw: Gateway) -> int:
    """How many entries are unsettled, of all organizations. For metrics."""
    row = await gw.db.one(_DEPTH)
    return 0 if row is None else int(row[0])


async def forget_keys(gw: Gateway, *, limit: int = 1000) -> int:
    """Free idempotency keys whose day has passed; the number freed. Called by the janitor until 0."""

    async def work(tx: Tx) -> int:
        return await tx.run(_FORGET_KEYS, before=gw.clock.now() - KEY_MS, limit=limit)

    return await gw.db.write(work)


def entry(row: Row, *, replayed: bool = False) -> Entry:
    """A row of `COLUMNS`."""
    return Entry(
        id=row[0],
        session_id=row[1],
        chat=row[2],
        mode=row[3],
        status=row[4],
        content=contents.decode(row[5]),
        wire_id=row[6],
        digest=row[7],
        timestamp=row[8],
        error=None if row[9] is None else contents.decode_error(row[9]),
        position=row[10],
        created_at=row[11],
        replayed=replayed,
        traceparent=row[12],
    )


def result(of: Entry) -> SendResult:
    """Where an entry stands, as clients see it."""
    return SendResult(
        mode=of.mode,
        status=of.status,
        wa_message_id=UNSET if of.wire_id is None else of.wire_id,
        timestamp=UNSET if of.timestamp is None else of.timestamp,
        outbox_id=of.id,
        replayed=True if of.replayed else UNSET,
        item_ids=contents.item_ids(of.content) or UNSET,
        error=UNSET if of.error is None else of.error,
    )


async def _known(tx: Tx, gw: Gateway, caller: Caller, offer: Offer) -> Entry | None:
    row = await tx.one(_BY_KEY, organization_id=caller.organization_id, key=offer.key)
    if row is None:
        return None
    known = _first(row, gw, caller, offer)
    if known is None:
        await tx.run(_FREE_KEY, organization_id=caller.organization_id, key=offer.key)
    return known


def _first(row: Row, gw: Gateway, caller: Caller, offer: Offer | Coming) -> Entry | None:
    """The entry that is bound to the offer's key; None: its day has passed."""
    first = entry(row, replayed=True)
    if first.created_at < gw.clock.now() - KEY_MS:
        return None
    if first.digest != offer.digest:
        raise Conflict("the idempotency key was used with another body")
    if not isinstance(caller.session_ids, UnsetType) and first.session_id not in caller.session_ids:
        raise NotFound("session not found")
    return first


async def _must_be_able(reader: Reader, session: Session, mode: str, now: int) -> None:
    if session.status == "working":
        return
    linked = not isinstance(session.wa_jid, UnsetType)
    if not (mode == "async" and linked and session.status == "starting"):
        raise await waits.offline(reader, session, now)


async def _within_budget(reader: Reader, session: Session, now: int) -> None:
    """Room for this send, and for those that were accepted before it and wait for room."""
    room, free_at = await budgets.room(reader, session, now)
    if room <= 0:
        raise RateLimited(retryAfterSeconds=max(1, -(-(free_at - now) // 1000)))
    if await budgets.waiting(reader, session, most=room) >= room:
        raise RateLimited("earlier sends of the session wait for its budget", retryAfterSeconds=1)
