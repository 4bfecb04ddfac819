"""Claiming and settling: only the holder, once, never backwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.parts import beside, log, words
from wagate.errors import NoAnswer, Refused
from wagate.gateway import Gateway, dispatch, leases, messages, outbox, sessions
from wagate.gateway.leases import Held, LeaseLost
from wagate.gateway.outbox import Entry, Offer
from wagate.model.messages import Ack
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

CHAT = "9990000002@s.whatsapp.net"


async def sent(gw: Gateway, who: Caller, mine: Held, text: str = "x") -> Entry:
    """An entry that is under way."""
    offer = Offer(chat=CHAT, content=words(text), mode="async", digest=text)
    entry = await outbox.accept(gw, who, mine.id, offer)
    await dispatch.claim(gw, mine, limit=16)
    return entry


async def taken_over(gw: Gateway) -> Held:
    """Another worker's lease of the session, after ours ran out."""
    await gw.clock.advance(31)  # type: ignore[attr-defined]
    _, (theirs,) = await leases.acquire(beside(gw, "other"), limit=10)
    return theirs


def ack(entry: Entry, at: int = 5) -> Ack:
    return Ack(wire_id=entry.wire_id or "", timestamp=at)


async def test_who_lost_the_lease_neither_claims_nor_settles(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await sent(gw, who, mine)
    await taken_over(gw)
    before = await log(gw, who)
    for write in (
        lambda: dispatch.claim(gw, mine, limit=16),
        lambda: dispatch.settle(gw, mine, entry, ack(entry)),
        lambda: dispatch.settle(gw, mine, entry, Refused()),
        lambda: dispatch.requeue(gw, mine, under_way=[], resend=True),
    ):
        with pytest.raises(LeaseLost):
            await write()
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "pending"
    assert await log(gw, who) == before


async def test_the_next_holder_sends_again_with_the_same_wire_id(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await sent(gw, who, mine)
    theirs = await taken_over(gw)
    other = beside(gw, "other")
    await leases.set_status(other, theirs, "working")
    await dispatch.requeue(other, theirs, under_way=[], resend=True)
    (again,) = (await dispatch.claim(other, theirs, limit=16)).entries
    assert (again.id, again.wire_id) == (entry.id, entry.wire_id)
    told = [p["status"] for name, p in await log(gw, who) if name == "message.status"]
    assert told == ["pending"]


async def test_without_a_wire_id_chosen_beforehand_it_becomes_uncertain(gw: Gateway, who: Caller, mine: Held) -> None:
    entry, kept = await sent(gw, who, mine), await sent(gw, who, mine, "kept")
    await dispatch.requeue(gw, mine, under_way=[kept.id], resend=False)
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "uncertain"
    assert (await outbox.get(gw, who, mine.id, kept.id)).status == "queued"


async def test_a_session_that_does_not_work_claims_nothing(gw: Gateway, who: Caller, mine: Held) -> None:
    await leases.set_status(gw, mine, "starting")
    await outbox.accept(gw, who, mine.id, Offer(chat=CHAT, content=words(), mode="async", digest=""))
    with pytest.raises(LeaseLost):
        await dispatch.claim(gw, mine, limit=16)


@pytest.mark.parametrize(
    ("outcome", "status", "certain"),
    [(Refused(reason="too_old", waCode=7), "failed", True), (NoAnswer(), "uncertain", False),
     (NoAnswer(certain=True), "failed", True)],
)  # fmt: skip
async def test_what_became_of_it_is_stored_and_told(
    gw: Gateway, who: Caller, mine: Held, outcome: Any, status: str, certain: bool
) -> None:
    entry = await sent(gw, who, mine)
    await dispatch.settle(gw, mine, entry, outcome)
    now = await outbox.get(gw, who, mine.id, entry.id)
    assert now.error is not None
    assert (now.status, now.error.certain) == (status, certain)
    stored = await messages.get(gw, who, mine.id, entry.wire_id or "", chat=None)
    assert (stored.status, stored.error) == (status, now.error)
    name, payload = (await log(gw, who))[-1]
    assert (name, payload["status"], payload["outboxId"]) == ("message.status", status, entry.id)
    assert payload["error"]["certain"] is certain


async def test_it_is_settled_once(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await sent(gw, who, mine)
    await dispatch.settle(gw, mine, entry, ack(entry))
    before = await log(gw, who)
    for outcome in (ack(entry, 9), Refused(), NoAnswer()):
        await dispatch.settle(gw, mine, entry, outcome)
    assert await log(gw, who) == before
    assert [name for name, _ in before].count("message.from_me") == 1
    assert (await outbox.get(gw, who, mine.id, entry.id)).timestamp == 5


async def test_what_was_uncertain_may_still_become_sent(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await sent(gw, who, mine)
    await dispatch.settle(gw, mine, entry, NoAnswer())
    await dispatch.settle(gw, mine, entry, NoAnswer())
    await dispatch.settle(gw, mine, entry, ack(entry))
    now = await outbox.get(gw, who, mine.id, entry.id)
    assert (now.status, now.error) == ("sent", None)
    stored = await messages.get(gw, who, mine.id, entry.wire_id or "", chat=CHAT)
    assert (stored.status, stored.ack_level) == ("sent", 1)
    told = [p["status"] for name, p in await log(gw, who) if name == "message.status"]
    assert told == ["pending", "uncertain", "sent"]


async def test_a_lost_hint_costs_no_work(gw: Gateway, who: Caller, mine: Held) -> None:
    await outbox.accept(gw, who, mine.id, Offer(chat=CHAT, content=words(), mode="async", digest=""))
    assert await dispatch.waiting(gw) == [mine.id]
    assert await dispatch.waiting(beside(gw, "other")) == []
    await sessions.stop(gw, who, mine.id)
    assert await dispatch.waiting(gw) == []
