"""Budgets: counted over the rows, in windows that slide."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.parts import held, words
from wagate.errors import RateLimited
from wagate.gateway import Gateway, Rules, budgets, dispatch, outbox
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry, Offer
from wagate.model.messages import Ack
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio


class Sender:
    def __init__(self, gw: Gateway, who: Caller, mine: Held) -> None:
        self.gw, self.who, self.mine = gw, who, mine
        self.count = 0

    async def accept(self, mode: Literal["sync", "async"] = "sync") -> Entry:
        self.count += 1
        offer = Offer(chat=f"99900{self.count:05}@s.whatsapp.net", content=words(), mode=mode, digest="")
        return await outbox.accept(self.gw, self.who, self.mine.id, offer)

    async def settle_all(self) -> int:
        """Everything that may go out goes out; how many did."""
        under_way = await dispatch.claimed_before(self.gw, self.mine)
        if len(under_way) < outbox.IN_FLIGHT:
            await dispatch.claim(self.gw, self.mine, limit=outbox.IN_FLIGHT - len(under_way))
        entries = await dispatch.claimed_before(self.gw, self.mine)
        for entry in entries:
            await dispatch.settle(self.gw, self.mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=1))
        return len(entries)


@pytest.mark.parametrize(
    ("usual", "wanted", "rates"),
    [
        ((30, 0), None, (30, 0)),
        ((30, 0), True, (30, 0)),
        ((30, 300), False, (0, 0)),
        ((0, 0), None, (0, 0)),
        ((0, 0), False, (0, 0)),
        ((0, 0), True, (20, 200)),
    ],
)
def test_protection_is_a_budget(usual: tuple[int, int], wanted: bool | None, rates: tuple[int, int]) -> None:
    rules = Rules(node="test", rate_per_min=usual[0], rate_per_hour=usual[1])
    assert budgets.protecting(rules, wanted) == rates


async def test_a_minute_slides(gw: Gateway, who: Caller) -> None:
    sender = Sender(gw, who, await held(gw, who, rate_per_min=2))
    await sender.accept()
    await gw.clock.advance(20)  # type: ignore[attr-defined]
    await sender.accept()
    with pytest.raises(RateLimited) as over:
        await sender.accept()
    assert over.value.details == {"retryAfterSeconds": 40}
    await gw.clock.advance(39.9)  # type: ignore[attr-defined]
    with pytest.raises(RateLimited):
        await sender.accept()
    await gw.clock.advance(0.2)  # type: ignore[attr-defined]
    await sender.accept()
    with pytest.raises(RateLimited) as over:
        await sender.accept()
    assert over.value.details == {"retryAfterSeconds": 20}


async def test_an_hour_counts_too(gw: Gateway, who: Caller) -> None:
    sender = Sender(gw, who, await held(gw, who, rate_per_min=5, rate_per_hour=6))
    for _ in range(6):
        await sender.accept()
        await gw.clock.advance(30)  # type: ignore[attr-defined]
    with pytest.raises(RateLimited) as over:
        await sender.accept()
    assert over.value.details == {"retryAfterSeconds": 3600 - 180}


async def test_async_sends_wait_for_room_and_sync_ones_do_not_overtake_them(gw: Gateway, who: Caller) -> None:
    sender = Sender(gw, who, await held(gw, who, rate_per_min=2))
    for _ in range(5):
        await sender.accept("async")
    assert await sender.settle_all() == 2
    with pytest.raises(RateLimited):
        await sender.accept()
    claimed = await dispatch.claim(gw, sender.mine, limit=16)
    assert claimed.entries == []
    assert claimed.again_at == gw.clock.now() + 60_000
    await gw.clock.advance(60.001)  # type: ignore[attr-defined]
    with pytest.raises(RateLimited, match="earlier"):
        await sender.accept()
    assert await sender.settle_all() == 2
    await gw.clock.advance(60.001)  # type: ignore[attr-defined]
    assert await sender.settle_all() == 1
    await sender.accept()


async def test_0_is_unlimited(gw: Gateway, who: Caller) -> None:
    sender = Sender(gw, who, await held(gw, who))
    for _ in range(40):
        await sender.accept()
    assert await sender.settle_all() == 16
