"""What an engine reports, in one transaction: stored, and recorded as events.

Called by workers/runner; the network is acknowledged only when this has returned.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from wagate.backends.database import Tx
from wagate.engines import base
from wagate.gateway import (
    Gateway,
    backfills,
    changes,
    channels,
    chats,
    contacts,
    events,
    groups,
    leases,
    messages,
    outbox,
    polls,
    presence,
    receipts,
)
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import Maybe
from wagate.model.channels import ChannelChanged
from wagate.model.chats import ChatMarked, PresenceHeard
from wagate.model.contacts import CallRang
from wagate.model.contents import Change
from wagate.model.events import CallIncoming
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged
from wagate.model.messages import Arrived, Receipt
from wagate.telemetry import traces

STORED = (
    Arrived,
    Receipt,
    GroupSeen,
    GroupChanged,
    MembersChanged,
    base.PeopleSeen,
    PresenceHeard,
    ChatMarked,
    CallRang,
    ChannelChanged,
)
"""The reports that are stored; the others are about the line itself."""

Unread = tuple[str, Maybe[str], list[str]]
"""A chat, an author, and the wire ids of theirs that a session with `autoRead` now reads."""


async def take(gw: Gateway, held: Held, reports: Sequence[base.Report]) -> list[Unread]:
    """Store reports and record their events, all or nothing; what is to be read now by itself.

    Raises:
        LeaseLost: the session is another's.
    """
    # What the network tells begins a trace: each report its own, whoever's task carries it here.
    spans = [traces.span("receive", None, kind="consumer") for _ in reports]

    async def work(tx: Tx) -> tuple[bool, bool]:
        auto_read = await leases.fence(tx, held)
        now = gw.clock.now()
        facts: list[Fact] = []
        for report, begun in zip(reports, spans, strict=True):
            facts += events.along(await _store(tx, held, now, report), begun.traceparent)
        await events.record(tx, now, held.organization_id, session_id=held.id, facts=facts)
        return auto_read, any(fact[0] == "message.from_me" for fact in facts)

    # Nobody waits for a receipt: it shares the commit of somebody who does.
    with contextlib.ExitStack() as stack:
        for begun in spans:
            stack.enter_context(begun)
        auto_read, sent = await gw.db.write(work, patient=all(isinstance(report, Receipt) for report in reports))
        for report, begun in zip(reports, spans, strict=True):
            if begun.recorded:
                begun.tell(_named(held, report))
    events.hint(gw, held.organization_id)
    for report in reports:
        if isinstance(report, Arrived):
            polls.hint(gw, report.content)
    if sent:
        # A receipt may have proved a send, and with that given the next of its chat its turn.
        gw.broker.publish(f"outbox.{held.id}")
    if not auto_read:
        return []
    return [
        (r.chat, r.sender, [r.wire_id])
        for r in reports
        if isinstance(r, Arrived) and not r.from_me and not r.history and not isinstance(r.content, Change)
    ]


async def keep(gw: Gateway, held: Held, snapshot: base.Snapshot) -> None:
    """Store all groups and people that the account knows; a backfill that waits for them is done.

    Nothing happened, it was only looked at: the only events are about chats that were joined, as both addresses of a
    person were learnt.
    """
    counts = backfills.Counts(
        contacts=len(snapshot.people),
        groups=len(snapshot.groups),
        group_members=sum(len(group.members) for group in snapshot.groups),
    )

    async def work(tx: Tx) -> None:
        await leases.fence(tx, held)
        now = gw.clock.now()
        facts: list[Fact] = []
        for person in snapshot.people:
            facts += [fact for fact in await contacts.seen(tx, held, now, person) if fact[0] == "chat.update"]
        for group in snapshot.groups:
            facts += await groups.seen(tx, held, now, group)
        await backfills.finish(tx, held, now, counts)
        await events.record(tx, now, held.organization_id, session_id=held.id, facts=facts)

    await gw.db.write(work)
    events.hint(gw, held.organization_id)


def _named(held: Held, report: base.Report) -> dict[str, str | int | bool]:
    return outbox.named(held.organization_id, held.id) | {
        "messaging.operation.type": "receive",
        "messaging.operation.name": "receive",
        "wagate.report": type(report).__name__,
    }


async def _store(tx: Tx, held: Held, now: int, report: base.Report) -> list[Fact]:
    match report:
        case Arrived():
            store = changes.arrived if isinstance(report.content, Change) else messages.arrived
            return await store(tx, held, now, report)
        case Receipt():
            return await receipts.came(tx, held, now, report)
        case GroupSeen():
            return await groups.seen(tx, held, now, report)
        case GroupChanged():
            return await groups.changed(tx, held, now, report)
        case MembersChanged():
            return await groups.moved(tx, held, now, report)
        case base.PeopleSeen():
            return [fact for person in report.people for fact in await contacts.seen(tx, held, now, person)]
        case PresenceHeard():
            return await presence.heard(tx, held, now, report)
        case ChatMarked():
            return await chats.marked(tx, held, now, report)
        case ChannelChanged():
            return await channels.changed(tx, held, now, report)
        case CallRang():
            return [await _rang(tx, held, report)]
        case _:
            return []


async def _rang(tx: Tx, held: Held, call: CallRang) -> Fact:
    incoming = CallIncoming(
        call_id=call.call_id,
        from_=await contacts.resolve(tx, held.organization_id, held.id, call.caller),
        timestamp=call.timestamp,
        is_group=bool(call.group),
        group_jid=call.group,
    )
    return "call.incoming", incoming
