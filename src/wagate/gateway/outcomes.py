"""Outcomes: waiting for a send's, and deciding it by hand or by time.

Called by api/messages (wait, by_hand) and workers/janitor (expire_uncertain).
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec
from msgspec import UnsetType

from wagate.backends.broker import Bell
from wagate.backends.database import Tx
from wagate.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NoAnswer,
    NotFound,
    NotPerformed,
    RateLimited,
    Refused,
    Unavailable,
    WagateError,
)
from wagate.gateway import Gateway, events, leases, outbox, sessions, waits
from wagate.gateway.dispatch import NEXT, Decided, place, settled, tell
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry, status_fact
from wagate.model.messages import SendError
from wagate.model.organizations import Caller

UNCERTAIN_MS = 86_400_000
"""After this time, in milliseconds, an uncertain entry is settled as failed."""

_WITHDRAW = """
UPDATE outbox SET status = 'failed', settled_at = :now, error = :error, budgeted_at = NULL
WHERE organization_id = :organization_id AND id = :id AND status = 'queued'
"""
_RETRY = """
UPDATE outbox SET status = 'queued', ready = 0, attempts = 0, settled_at = NULL, error = NULL
WHERE organization_id = :organization_id AND id = :id AND status = 'uncertain'
"""
_OPEN = f"""
SELECT {outbox.COLUMNS} FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid >= '' AND settled_at IS NULL ORDER BY position LIMIT 100
"""
_OLD_UNCERTAIN = f"""
-- any organization: what time alone does
SELECT {outbox.COLUMNS}, organization_id FROM outbox WHERE status = 'uncertain' AND settled_at < :before
  AND EXISTS (SELECT 1 FROM sessions WHERE sessions.organization_id = outbox.organization_id
    AND sessions.id = outbox.session_id) LIMIT :limit
"""
_DISPATCHED = "SELECT dispatched_at FROM outbox WHERE organization_id = :organization_id AND id = :id"
_HELD = f"""
SELECT {leases.HELD} FROM sessions
WHERE organization_id = :organization_id AND id = :session_id {{for_update}}
"""


_BY_CODE: dict[str, type[WagateError]] = {
    kind.code: kind for kind in (BadRequest, Forbidden, NotFound, RateLimited, NotPerformed, Unavailable, Refused)
}


async def wait(gw: Gateway, caller: Caller, entry: Entry, *, patience: float | None = None) -> Entry:
    """Wait until an entry is settled; at most `send_timeout`, then withdraw it or leave it uncertain.

    `patience`: seconds after which the caller's client gives up, if that is sooner.

    Raises:
        WagateError: what settled it, when it was not sent.
        NoAnswer: no answer in time; `details.certain` true: withdrawn before it went out.
        Unavailable: this process is stopping; the entry stays accepted.
    """
    loop = asyncio.get_running_loop()
    most = gw.rules.send_timeout if patience is None else min(patience, gw.rules.send_timeout)
    deadline = loop.time() + most
    subject = f"outbox.{entry.session_id}.{entry.id}"
    with Bell(gw.broker, subject, "closing") as bell, Bell(gw.broker, "closing") as closing:
        if not entry.replayed:
            # It was just accepted and cannot be settled yet: nothing ran since, so no hint was missed.
            await bell.wait(min(most, 1.0))
        while True:
            now = await outbox.require(gw.db, caller, entry.session_id, entry.id)
            if now.status not in ("queued", "pending"):
                try:
                    return _outcome(msgspec.structs.replace(now, replayed=entry.replayed))
                except WagateError as error:
                    raise await waits.explained(gw, caller.organization_id, entry.session_id, error) from None
            if closing.rung:
                again = "the gateway is stopping; the send stays accepted: ask again with the same Idempotency-Key"
                raise Unavailable(again, outboxId=entry.id)
            left = deadline - loop.time()
            if left <= 0:
                return await _give_up(gw, caller, now)
            # The hint may be lost: look again every second all the same.
            await bell.wait(min(left, 1.0))


def unless_failed(entry: Entry) -> Entry:
    """The entry as it stands, or the error that it failed with: a repeat under an idempotency key repeats that."""
    return _outcome(entry) if entry.status == "failed" else entry


async def by_hand(
    gw: Gateway, caller: Caller, session_id: str, outbox_id: str, *, what: Literal["cancel", "retry", "dismiss"]
) -> Entry:
    """Cancel a queued entry; send an uncertain one again, or declare it failed.

    Raises:
        NotFound: no such entry.
        Conflict: the entry is not in the state that this needs.
    """

    async def work(tx: Tx) -> None:
        await sessions.require(tx, caller, session_id, lock=True)
        entry = await outbox.require(tx, caller, session_id, outbox_id)
        held = await _held(tx, caller.organization_id, session_id)
        now, needed = gw.clock.now(), "queued" if what == "cancel" else "uncertain"
        if entry.status != needed:
            raise Conflict(f"the entry is {entry.status}, not {needed}")
        if what == "retry":
            await tx.run(_RETRY, organization_id=caller.organization_id, id=outbox_id)
            await tx.run(NEXT, **place(held), chat=entry.chat)
            return
        unsent = await _never_went_out(tx, caller.organization_id, entry)
        outcome = NoAnswer("cancelled", certain=unsent) if what == "cancel" else NoAnswer("dismissed")
        done = await settled(tx, held, now, entry, Decided(outcome))
        await events.record(tx, now, caller.organization_id, session_id=session_id, facts=done.facts)

    await gw.db.write(work)
    tell(gw, caller.organization_id, session_id, outbox_id)
    gw.broker.publish(f"outbox.{session_id}")
    return await outbox.get(gw, caller, session_id, outbox_id)


async def abandon(gw: Gateway, held: Held) -> None:
    """The session was linked anew: what an earlier link left unsent goes out from no other account.

    Called by the runner before the new link works; until then nothing can have been accepted for it.
    """

    async def work(tx: Tx) -> None:
        now = gw.clock.now()
        for row in await tx.all(_OPEN, **place(held)):
            entry = outbox.entry(row)
            unsent = await _never_went_out(tx, held.organization_id, entry)
            error = NoAnswer("the session was linked anew", certain=unsent)
            done = await settled(tx, held, now, entry, Decided(error))
            await events.record(tx, now, held.organization_id, session_id=held.id, facts=done.facts)

    while await gw.db.one(_OPEN, **place(held)) is not None:
        await gw.db.write(work)
    events.hint(gw, held.organization_id)


async def expire_uncertain(gw: Gateway, *, limit: int = 100) -> int:
    """Settle entries that stayed uncertain for a day as failed; how many. Called by the janitor until 0."""
    rows = await gw.db.all(_OLD_UNCERTAIN, before=gw.clock.now() - UNCERTAIN_MS, limit=limit)
    for row in rows:
        organization_id, entry = row[13], outbox.entry(row)

        async def work(tx: Tx, organization_id: str = organization_id, entry: Entry = entry) -> None:
            held, now = await _held(tx, organization_id, entry.session_id), gw.clock.now()
            done = await settled(tx, held, now, entry, Decided(NoAnswer("no receipt came within a day")))
            await events.record(tx, now, organization_id, session_id=entry.session_id, facts=done.facts)

        await gw.db.write(work)
        tell(gw, organization_id, entry.session_id, entry.id)
    return len(rows)


def _outcome(entry: Entry) -> Entry:
    """A settled entry, or the error that settled it."""
    if entry.status not in ("failed", "uncertain"):
        return entry
    error = entry.error or SendError(code="no_answer", certain=False)
    raise error_of(error, entry)


def error_of(error: SendError, entry: Entry) -> WagateError:
    """The error to answer with, made of the one that was stored with an entry."""
    where: dict[str, Any] = {"outboxId": entry.id}
    if entry.wire_id is not None:
        where["waMessageId"] = entry.wire_id
    if entry.replayed:
        where["replayed"] = True
    if error.code == "no_answer":
        return NoAnswer(certain=error.certain, **where)
    if isinstance(error.reason, str):
        where["reason"] = error.reason
    if not isinstance(error.wa_code, UnsetType):
        where["waCode"] = error.wa_code
    return _BY_CODE.get(error.code, Refused)(**where)


async def _give_up(gw: Gateway, caller: Caller, entry: Entry) -> Entry:
    async def work(tx: Tx) -> None:
        held = await _held(tx, caller.organization_id, entry.session_id)
        present = await outbox.require(tx, caller, entry.session_id, entry.id)
        if present.status not in ("queued", "pending"):
            return
        # Withdrawn for certain when it never went out.
        certain = await _never_went_out(tx, caller.organization_id, present)
        if certain:
            error = msgspec.json.encode(SendError(code="no_answer", certain=True)).decode()
            withdrawn = {"organization_id": caller.organization_id, "id": entry.id}
            await tx.run(_WITHDRAW, **withdrawn, now=gw.clock.now(), error=error)
            await tx.run(NEXT, **place(held), chat=entry.chat)
        facts = (
            [status_fact(present, "failed", present.wire_id, gw.clock.now(), SendError(code="no_answer", certain=True))]
            if certain
            else (await settled(tx, held, gw.clock.now(), present, NoAnswer())).facts
        )
        await events.record(tx, gw.clock.now(), caller.organization_id, session_id=entry.session_id, facts=facts)

    await gw.db.write(work)
    tell(gw, caller.organization_id, entry.session_id, entry.id)
    # The next of the chat may have its turn now.
    gw.broker.publish(f"outbox.{entry.session_id}")
    now = await outbox.require(gw.db, caller, entry.session_id, entry.id)
    return _outcome(msgspec.structs.replace(now, replayed=entry.replayed))


async def _never_went_out(tx: Tx, organization_id: str, entry: Entry) -> bool:
    """Whether the network certainly never had it: what a lost line or a crash left unanswered is queued again, too."""
    if entry.status != "queued":
        return False
    row = await tx.one(_DISPATCHED, organization_id=organization_id, id=entry.id)
    return row is not None and row[0] is None


async def _held(tx: Tx, organization_id: str, session_id: str) -> Held:
    row = await tx.one(_HELD, organization_id=organization_id, session_id=session_id)
    if row is None:
        raise NotFound("session not found")
    return leases.held(row)
