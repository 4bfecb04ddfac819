"""Outcomes: waited for, decided by hand, decided by time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from tests.support.parts import caller, log, opened, words
from wagate.errors import Conflict, NoAnswer, NotFound, Refused, Unavailable
from wagate.gateway import Gateway, dispatch, outbox, outcomes
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry, Offer
from wagate.model.messages import Ack
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

DAY = 86_400


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened(send_timeout=0.2) as gateway:
        yield gateway


async def accepted(gw: Gateway, who: Caller, mine: Held, chat: str = "9990000002") -> Entry:
    offer = Offer(chat=f"{chat}@s.whatsapp.net", content=words(), mode="async", digest="")
    return await outbox.accept(gw, who, mine.id, offer)


async def uncertain(gw: Gateway, who: Caller, mine: Held) -> Entry:
    entry = await accepted(gw, who, mine)
    await dispatch.claim(gw, mine, limit=16)
    await dispatch.settle(gw, mine, entry, NoAnswer())
    return await outbox.get(gw, who, mine.id, entry.id)


async def test_waiting_ends_with_what_became_of_it(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await accepted(gw, who, mine)
    waiting = asyncio.create_task(outcomes.wait(gw, who, entry))
    await asyncio.sleep(0)
    await dispatch.claim(gw, mine, limit=16)
    await dispatch.settle(gw, mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=7))
    assert ((await waiting).status, (await waiting).timestamp) == ("sent", 7)
    refused = await accepted(gw, who, mine)
    await dispatch.claim(gw, mine, limit=16)
    await dispatch.settle(gw, mine, refused, Refused(reason="too_old", waCode=3))
    with pytest.raises(Refused) as error:
        await outcomes.wait(gw, who, refused)
    assert error.value.details["reason"] == "too_old"
    assert error.value.details["waCode"] == 3
    assert error.value.details["outboxId"] == refused.id


async def test_what_went_out_and_was_not_answered_stays_uncertain(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await accepted(gw, who, mine)
    await dispatch.claim(gw, mine, limit=16)
    with pytest.raises(NoAnswer) as error:
        await outcomes.wait(gw, who, entry)
    assert error.value.details["certain"] is False
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "uncertain"


async def test_what_never_went_out_is_withdrawn_for_certain(gw: Gateway, who: Caller, mine: Held) -> None:
    await accepted(gw, who, mine)
    entry = await accepted(gw, who, mine)  # behind another one in its chat
    with pytest.raises(NoAnswer) as error:
        await outcomes.wait(gw, who, entry)
    assert error.value.details["certain"] is True
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "failed"
    assert entry.id not in {e.id for e in (await dispatch.claim(gw, mine, limit=16)).entries}


async def test_who_is_less_patient_than_the_gateway_is_told_sooner(gw: Gateway, who: Caller, mine: Held) -> None:
    patient = dataclasses.replace(gw, rules=dataclasses.replace(gw.rules, send_timeout=1000))
    await accepted(gw, who, mine)
    entry = await accepted(gw, who, mine)  # behind another one in its chat
    with pytest.raises(NoAnswer) as error:
        await outcomes.wait(patient, who, entry, patience=0.1)
    assert error.value.details["certain"] is True


async def back_in_the_queue(gw: Gateway, who: Caller, mine: Held) -> Entry:
    """Accepted, handed to the network, and queued again, for the line was lost before an answer came."""
    entry = await accepted(gw, who, mine)
    await dispatch.requeue(gw, mine, under_way=[], resend=True)
    again = await outbox.get(gw, who, mine.id, entry.id)
    assert again.status == "queued"
    return again


async def test_what_may_have_gone_out_before_it_was_queued_again_is_uncertain(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    entry = await back_in_the_queue(gw, who, mine)
    with pytest.raises(NoAnswer) as error:
        await outcomes.wait(gw, who, entry)
    assert error.value.details["certain"] is False
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "uncertain"


async def test_a_cancelled_one_says_whether_it_may_have_gone_out(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await back_in_the_queue(gw, who, mine)
    behind = await accepted(gw, who, mine)
    for each, certain in ((behind, True), (entry, False)):
        cancelled = await outcomes.by_hand(gw, who, mine.id, each.id, what="cancel")
        assert (cancelled.status, cancelled.error and cancelled.error.certain) == ("failed", certain)


async def test_a_process_that_stops_says_so_and_the_send_stays(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await accepted(gw, who, mine)
    waiting = asyncio.create_task(outcomes.wait(gw, who, entry))
    await asyncio.sleep(0)
    gw.broker.publish("closing")
    with pytest.raises(Unavailable):
        await waiting
    assert (await outbox.get(gw, who, mine.id, entry.id)).status in ("queued", "pending")


async def test_by_hand_only_from_the_right_state(gw: Gateway, who: Caller, mine: Held) -> None:
    first = await uncertain(gw, who, mine)
    with pytest.raises(Conflict):
        await outcomes.by_hand(gw, who, mine.id, first.id, what="cancel")
    with pytest.raises(NotFound):
        await outcomes.by_hand(gw, await caller(gw), mine.id, first.id, what="dismiss")
    assert (await outcomes.by_hand(gw, who, mine.id, first.id, what="dismiss")).status == "failed"
    for what in ("retry", "dismiss", "cancel"):
        with pytest.raises(Conflict):
            await outcomes.by_hand(gw, who, mine.id, first.id, what=what)  # type: ignore[arg-type]


async def test_a_retry_goes_out_again_with_the_same_id(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await uncertain(gw, who, mine)
    again = await outcomes.by_hand(gw, who, mine.id, entry.id, what="retry")
    assert (again.status, again.wire_id, again.error) == ("queued", entry.wire_id, None)
    (claimed,) = (await dispatch.claim(gw, mine, limit=16)).entries
    assert (claimed.id, claimed.wire_id) == (entry.id, entry.wire_id)


async def test_a_cancelled_one_lets_the_next_of_its_chat_go(gw: Gateway, who: Caller, mine: Held) -> None:
    first, second, third = [await accepted(gw, who, mine) for _ in range(3)]
    await outcomes.by_hand(gw, who, mine.id, second.id, what="cancel")
    await dispatch.claim(gw, mine, limit=16)
    await dispatch.settle(gw, mine, first, Ack(wire_id=first.wire_id or "", timestamp=1))
    await dispatch.claim(gw, mine, limit=16)
    assert [e.id for e in await dispatch.claimed_before(gw, mine)] == [third.id]


async def test_after_a_day_the_uncertain_has_failed(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await uncertain(gw, who, mine)
    assert await outcomes.expire_uncertain(gw) == 0
    await gw.clock.advance(DAY + 1)  # type: ignore[attr-defined]
    assert [await outcomes.expire_uncertain(gw) for _ in range(2)] == [1, 0]
    now = await outbox.get(gw, who, mine.id, entry.id)
    assert now.error is not None
    assert (now.status, now.error.certain) == ("failed", False)
    assert (await log(gw, who))[-1][1]["status"] == "failed"
