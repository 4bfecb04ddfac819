"""What comes and goes at a session, as its worker writes it: reports of the network, and sends that it acknowledged."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from tests.support.parts import within
from wagate.gateway import Gateway, changes, dispatch, events, messages, outbox
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.contents import Change, Content, Target
from wagate.model.messages import Ack, Arrived, Message
from wagate.model.organizations import Caller

ME, ANN, BOB = "9990000001@s.whatsapp.net", "9990000002@s.whatsapp.net", "9990000003@s.whatsapp.net"
ANNS_LID = "777000000000002@lid"
GROUP = "120363000000000001@g.us"


def by(author: str | None, message_id: str = "M") -> Target:
    """A message as the account sees it: its own (None), or somebody's."""
    return Target(message_id=message_id, from_me=author is None, sender=author or UNSET)


def said(content: Content, wire_id: str = "M", **more: Any) -> Arrived:
    """What Ann said to the account."""
    fields = {"chat": ANN, "from_me": False, "timestamp": 10, "content": content, "sender": ANN, "push_name": "Ann"}
    return Arrived(**{"wire_id": wire_id, **fields, **more})


async def take(gw: Gateway, mine: Held, *reports: Arrived) -> None:
    """Store reports, and record what they mean."""

    async def work(tx: Any) -> None:
        for report in reports:
            store = changes.arrived if isinstance(report.content, Change) else messages.arrived
            facts = await store(tx, mine, gw.clock.now(), report)
            await events.record(tx, gw.clock.now(), mine.organization_id, session_id=mine.id, facts=facts)

    await within(gw, work)


async def send(gw: Gateway, who: Caller, mine: Held, content: Content, *, chat: str = ANN) -> str:
    """A send of the account's own that the network acknowledged; its wire id."""
    entry = await outbox.accept(gw, who, mine.id, Offer(chat=chat, content=content, mode="sync", digest=""))
    await dispatch.settle(gw, mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=20))
    return entry.wire_id or ""


async def stored(gw: Gateway, who: Caller, mine: Held, wire_id: str = "M") -> Message:
    """The newest stored message with this id."""
    return await messages.get(gw, who, mine.id, wire_id, chat=None)
