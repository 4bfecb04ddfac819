"""Accepting: written once per key, in order per chat, and only where it can go out."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from tests.support.parts import caller, held, words
from wagate.errors import Conflict, NotFound, RateLimited, SessionNotConnected
from wagate.gateway import Gateway, Window, dispatch, leases, outbox, sessions
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.messages import Ack
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

CHAT = "9990000002@s.whatsapp.net"
DAY = 86_400


def offer(text: str = "x", *, chat: str = CHAT, mode: Literal["sync", "async"] = "async", **more: Any) -> Offer:
    return Offer(chat=chat, content=words(text), mode=mode, digest=text, **more)


async def test_nothing_is_accepted_where_it_cannot_go_out(gw: Gateway, who: Caller, mine: Held) -> None:
    with pytest.raises(NotFound):
        await outbox.accept(gw, await caller(gw), mine.id, offer())
    await leases.set_status(gw, mine, "starting")
    with pytest.raises(SessionNotConnected):
        await outbox.accept(gw, who, mine.id, offer(mode="sync"))
    assert (await outbox.accept(gw, who, mine.id, offer())).status == "queued"
    await sessions.stop(gw, who, mine.id)
    with pytest.raises(SessionNotConnected):
        await outbox.accept(gw, who, mine.id, offer())
    assert await outbox.depth(gw) == 1


async def test_one_key_is_one_entry_for_many_at_once(gw: Gateway, who: Caller, mine: Held) -> None:
    tries = [outbox.accept(gw, who, mine.id, offer(key="k")) for _ in range(20)]
    entries = await asyncio.gather(*tries)
    assert len({entry.id for entry in entries}) == 1
    assert sum(not entry.replayed for entry in entries) == 1
    with pytest.raises(Conflict):
        await outbox.accept(gw, who, mine.id, offer("y", key="k"))


async def test_a_known_key_is_answered_before_connection_and_budget(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who, rate_per_min=1)
    first = await outbox.accept(gw, who, mine.id, offer(mode="sync", key="k"))
    with pytest.raises(RateLimited):
        await outbox.accept(gw, who, mine.id, offer(mode="sync", key="other"))
    assert (await outbox.accept(gw, who, mine.id, offer(mode="sync", key="k"))).id == first.id
    await sessions.stop(gw, who, mine.id)
    assert (await outbox.accept(gw, who, mine.id, offer(mode="sync", key="k"))).id == first.id


async def test_a_key_is_free_after_its_day(gw: Gateway, who: Caller, mine: Held) -> None:
    first = await outbox.accept(gw, who, mine.id, offer(key="k"))
    await gw.clock.advance(DAY)  # type: ignore[attr-defined]
    assert (await outbox.accept(gw, who, mine.id, offer(key="k"))).id == first.id
    await gw.clock.advance(1)  # type: ignore[attr-defined]
    assert (await outbox.accept(gw, who, mine.id, offer("y", key="k"))).replayed is False
    await gw.clock.advance(2 * DAY)  # type: ignore[attr-defined]
    assert [await outbox.forget_keys(gw, limit=1) for _ in range(2)] == [1, 0]


async def test_another_organization_has_keys_of_its_own(gw: Gateway, who: Caller, mine: Held) -> None:
    await outbox.accept(gw, who, mine.id, offer(key="k"))
    other = await caller(gw)
    theirs = await held(gw, other)
    assert (await outbox.accept(gw, other, theirs.id, offer("y", key="k"))).replayed is False


async def test_a_limited_key_is_not_told_of_another_sessions_entry(gw: Gateway, who: Caller, mine: Held) -> None:
    await outbox.accept(gw, who, mine.id, offer(key="k"))
    second = await held(gw, who, "9990000009")
    limited = Caller(
        organization_id=who.organization_id, capabilities=who.capabilities, session_ids=frozenset({second.id})
    )
    with pytest.raises(NotFound):
        await outbox.accept(gw, limited, second.id, offer(key="k"))


async def test_only_the_first_of_a_chat_is_on_its_way(gw: Gateway, who: Caller, mine: Held) -> None:
    first, second = [await outbox.accept(gw, who, mine.id, offer(str(i))) for i in range(2)]
    other = await outbox.accept(gw, who, mine.id, offer(chat="9990000003@s.whatsapp.net"))
    claimed = {e.id for e in (await dispatch.claim(gw, mine, limit=16)).entries}
    under_way = claimed | {e.id for e in await dispatch.claimed_before(gw, mine)}
    assert under_way == {first.id, other.id}
    assert await dispatch.settle(gw, mine, first, Ack(wire_id=first.wire_id or "", timestamp=1)) is True
    await dispatch.claim(gw, mine, limit=16)
    assert second.id in {e.id for e in await dispatch.claimed_before(gw, mine)}


async def test_at_most_sixteen_are_under_way(gw: Gateway, who: Caller, mine: Held) -> None:
    for i in range(30):
        await outbox.accept(gw, who, mine.id, offer(chat=f"99900001{i:02}@s.whatsapp.net"))
    under_way = await dispatch.claimed_before(gw, mine)
    claimed = await dispatch.claim(gw, mine, limit=outbox.IN_FLIGHT - len(under_way))
    assert len(await dispatch.claimed_before(gw, mine)) == outbox.IN_FLIGHT == 16
    assert len(under_way) + len(claimed.entries) == 16


async def test_entries_page_from_newest_to_oldest(gw: Gateway, who: Caller, mine: Held) -> None:
    made = [(await outbox.accept(gw, who, mine.id, offer(str(i)))).id for i in range(5)]
    seen: list[str] = []
    after: Any = None
    while True:
        rows, after = await outbox.page(gw, who, mine.id, Window(2, after), status="")
        seen += [row.id for row in rows]
        if after is None:
            break
    assert seen == made[::-1]
    with pytest.raises(NotFound):
        await outbox.get(gw, await caller(gw), mine.id, made[0])
