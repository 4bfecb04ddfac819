"""While WhatsApp lets a session write to nobody new: first contacts wait, known chats go on."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.parts import within, words
from tests.support.traffic import ANN, GROUP, said, take
from wagate.errors import NoAnswer, Refused, SessionNotConnected
from wagate.gateway import Gateway, actions, dispatch, leases, outbox, waits
from wagate.gateway.leases import Held, LeaseLost
from wagate.gateway.outbox import Entry, Offer
from wagate.model.messages import Ack
from wagate.model.organizations import Caller
from wagate.workers.newcomers import HOLD_MS, Newcomers

pytestmark = pytest.mark.anyio

LOCKED = waits.LOCKED
STRANGER, OTHER = "9990000077@s.whatsapp.net", "9990000078@s.whatsapp.net"


async def accepted(
    gw: Gateway, who: Caller, mine: Held, chat: str, mode: Literal["sync", "async"] = "async"
) -> Entry:  # fmt: skip
    """A send that was asked for."""
    return await outbox.accept(gw, who, mine.id, Offer(chat=chat, content=words(), mode=mode, digest=chat))


async def test_without_a_refusal_everybody_may_be_written_to(gw: Gateway, who: Caller, mine: Held) -> None:
    newcomers = Newcomers(gw)
    entry = await accepted(gw, who, mine, STRANGER)
    assert newcomers.welcome
    assert await newcomers.turned_away(mine, entry) is None
    for outcome in (Ack(wire_id="W", timestamp=1), NoAnswer(), Refused(waCode=463), None):
        assert not await newcomers.waits(mine, entry, outcome)
    assert newcomers.welcome


async def went(gw: Gateway, mine: Held, newcomers: Newcomers, *, locked: bool) -> list[str]:
    """Do as a runner does, before a network that is locked or not: the chats that a message went to."""
    claimed = await dispatch.claimed_before(gw, mine)
    claimed += (await dispatch.claim(gw, mine, limit=16, strangers=newcomers.welcome)).entries
    chats = []
    for entry in claimed:
        outcome: Ack | Refused | None = await newcomers.turned_away(mine, entry)
        if outcome is None:
            refused = locked and entry.chat in (STRANGER, OTHER)
            outcome = Refused(reason=LOCKED, waCode=463) if refused else Ack(wire_id=entry.id, timestamp=1)
        if not await newcomers.waits(mine, entry, outcome):
            await dispatch.settle(gw, mine, entry, outcome)
            chats.append(entry.chat)
    return chats


async def test_first_contacts_wait_and_known_chats_go_on_until_the_hour_is_over(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    await take(gw, mine, said(words()))
    newcomers = Newcomers(gw)
    first = await accepted(gw, who, mine, STRANGER)
    assert await went(gw, mine, newcomers, locked=True) == []
    assert not newcomers.welcome
    second = await accepted(gw, who, mine, OTHER)
    for chat in (ANN, GROUP, "status@broadcast"):
        await accepted(gw, who, mine, chat)
    assert await went(gw, mine, newcomers, locked=True) == [ANN, GROUP, "status@broadcast"]
    await accepted(gw, who, mine, ANN)
    assert await went(gw, mine, newcomers, locked=True) == [ANN]
    for entry in (first, second):
        assert (await outbox.get(gw, who, mine.id, entry.id)).status == "queued"
    await gw.clock.advance(HOLD_MS / 1000 - 1)  # type: ignore[attr-defined]
    assert await went(gw, mine, newcomers, locked=True) == []
    await gw.clock.advance(1)  # type: ignore[attr-defined]
    assert await went(gw, mine, newcomers, locked=False) == [STRANGER, OTHER]
    for entry in (first, second):
        assert (await outbox.get(gw, who, mine.id, entry.id)).status == "sent"


async def test_while_the_lock_lasts_one_is_tried_an_hour_and_no_more(gw: Gateway, who: Caller, mine: Held) -> None:
    newcomers = Newcomers(gw)
    for chat in (STRANGER, OTHER):
        await accepted(gw, who, mine, chat)
    assert await went(gw, mine, newcomers, locked=True) == []
    for _ in range(3):
        await gw.clock.advance(HOLD_MS / 1000)  # type: ignore[attr-defined]
        (first, second) = (await dispatch.claim(gw, mine, limit=16, strangers=newcomers.welcome)).entries
        assert await newcomers.turned_away(mine, first) is None
        away = await newcomers.turned_away(mine, second)
        assert await newcomers.waits(mine, second, away)
        assert not newcomers.welcome
        assert await newcomers.waits(mine, first, Refused(reason=LOCKED, waCode=463))
        assert not newcomers.welcome
    await gw.clock.advance(HOLD_MS / 1000)  # type: ignore[attr-defined]
    (first, second) = (await dispatch.claim(gw, mine, limit=16, strangers=newcomers.welcome)).entries
    assert await newcomers.turned_away(mine, first) is None
    assert await newcomers.waits(mine, second, await newcomers.turned_away(mine, second))
    # Nobody heard what became of it: the next one is tried.
    assert not await newcomers.waits(mine, first, NoAnswer())
    assert newcomers.welcome
    assert await newcomers.turned_away(mine, second) is None


async def test_the_next_holder_knows_of_the_lock_and_of_its_end(gw: Gateway, who: Caller, mine: Held) -> None:
    newcomers = Newcomers(gw)
    entry = await accepted(gw, who, mine, STRANGER)
    assert await went(gw, mine, newcomers, locked=True) == []
    await gw.clock.advance(600)  # type: ignore[attr-defined]
    later = Newcomers(gw)
    await later.recall(mine)
    assert not later.welcome
    assert await went(gw, mine, later, locked=False) == []
    refused = await later.turned_away(mine, entry)
    assert refused is not None
    told = await waits.explained(gw, mine.organization_id, mine.id, refused)
    assert told.details["retryAfterSeconds"] == HOLD_MS // 1000 - 600
    await gw.clock.advance(HOLD_MS / 1000 - 600)  # type: ignore[attr-defined]
    assert await went(gw, mine, later, locked=False) == [STRANGER]
    last = Newcomers(gw)
    await last.recall(mine)
    assert await last.turned_away(mine, entry) is None
    assert last.welcome


async def test_until_when_a_ban_lasts_is_told_to_who_asks_for_something(gw: Gateway, who: Caller, mine: Held) -> None:
    await leases.set_status(gw, mine, "failed", reason="temp_banned")
    await waits.banned(gw, mine, gw.clock.now() + 90_000)
    for ask in (
        lambda: accepted(gw, who, mine, STRANGER, "sync"),
        lambda: accepted(gw, who, mine, STRANGER),
        lambda: actions.require_connected(gw, who, mine.id),
    ):
        with pytest.raises(SessionNotConnected) as caught:
            await ask()
        assert caught.value.details == {"reason": "session_not_connected", "retryAfterSeconds": 90}
    await gw.clock.advance(90)  # type: ignore[attr-defined]
    with pytest.raises(SessionNotConnected) as caught:
        await accepted(gw, who, mine, STRANGER)
    assert "retryAfterSeconds" not in caught.value.details


async def test_the_budget_is_kept_while_first_contacts_wait(gw: Gateway, who: Caller, mine: Held) -> None:
    await within(gw, lambda tx: tx.run("UPDATE sessions SET rate_per_min = 2"))
    await take(gw, mine, said(words()))
    newcomers = Newcomers(gw)
    await accepted(gw, who, mine, STRANGER)
    assert await went(gw, mine, newcomers, locked=True) == []
    for _ in range(3):
        await accepted(gw, who, mine, ANN)
    assert await went(gw, mine, newcomers, locked=True) == [ANN]


async def test_who_waits_for_an_answer_gets_the_refusal_without_the_network(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    await take(gw, mine, said(words()))
    newcomers = Newcomers(gw)
    entry = await accepted(gw, who, mine, STRANGER, "sync")
    assert not await newcomers.waits(mine, entry, Refused(reason=LOCKED, waCode=463))
    refused = await newcomers.turned_away(mine, await accepted(gw, who, mine, OTHER, "sync"))
    assert isinstance(refused, Refused)
    assert (refused.details["reason"], refused.details["certain"]) == (LOCKED, True)
    for chat in (ANN, GROUP):
        assert await newcomers.turned_away(mine, await accepted(gw, who, mine, chat, "sync")) is None


async def test_who_lost_the_lease_puts_nothing_back(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await accepted(gw, who, mine, STRANGER)
    await dispatch.claim(gw, mine, limit=16)
    await within(gw, lambda tx: tx.run("UPDATE sessions SET epoch = epoch + 1"))
    with pytest.raises(LeaseLost):
        await Newcomers(gw).waits(mine, entry, Refused(reason=LOCKED))
    with pytest.raises(LeaseLost):
        await waits.hold_strangers(gw, mine, 1)
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "pending"
