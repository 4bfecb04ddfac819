"""What an engine reports, in one transaction: stored, and recorded as events.

Called by workers/runner; the network is acknowledged only when this has returned.
"""

from __future__ import annotations

from collections.abc import Sequence

from wagate.backends.database import Tx
from wagate.engines import base
from wagate.gateway import Gateway, contacts, events, groups, leases, messages, receipts
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import Maybe
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged
from wagate.model.messages import Arrived, Receipt

STORED = (Arrived, Receipt, GroupSeen, GroupChanged, MembersChanged, base.PeopleSeen)
"""The reports that are stored; the others are about the line itself."""

Unread = tuple[str, Maybe[str], list[str]]
"""A chat, an author, and the wire ids of theirs that a session with `autoRead` now reads."""


async def take(gw: Gateway, held: Held, reports: Sequence[base.Report]) -> list[Unread]:
    """Store reports and record their events, all or nothing; what is to be read now by itself.

    Raises:
        LeaseLost: the session is another's.
    """

    async def work(tx: Tx) -> tuple[bool, bool]:
        auto_read = await leases.fence(tx, held)
        now = gw.clock.now()
        facts: list[Fact] = []
        for report in reports:
            facts += await _store(tx, held, now, report)
        await events.record(tx, now, held.organization_id, session_id=held.id, facts=facts)
        return auto_read, any(name == "message.from_me" for name, _ in facts)

    # Nobody waits for a receipt: it shares the commit of somebody who does.
    auto_read, sent = await gw.db.write(work, patient=all(isinstance(report, Receipt) for report in reports))
    events.hint(gw, held.organization_id)
    if sent:
        # A receipt may have proved a send, and with that given the next of its chat its turn.
        gw.broker.publish(f"outbox.{held.id}")
    if not auto_read:
        return []
    return [
        (r.chat, r.sender, [r.wire_id]) for r in reports if isinstance(r, Arrived) and not r.from_me and not r.history
    ]


async def keep(gw: Gateway, held: Held, snapshot: base.Snapshot) -> None:
    """Store all groups and people that the account knows, without events."""
    if not snapshot.groups and not snapshot.people:
        return

    async def work(tx: Tx) -> None:
        await leases.fence(tx, held)
        now = gw.clock.now()
        for person in snapshot.people:
            await contacts.seen(tx, held, now, person)
        for group in snapshot.groups:
            await groups.seen(tx, held, now, group)

    await gw.db.write(work)


async def _store(tx: Tx, held: Held, now: int, report: base.Report) -> list[Fact]:
    match report:
        case Arrived():
            return await messages.arrived(tx, held, now, report)
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
        case _:
            return []
