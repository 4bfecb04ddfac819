"""Polls that end: counted once, from each voter's latest vote, when the gateway's clock shows their end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from tests.support import traffic
from tests.support.parts import START, beside, held, log, within
from tests.support.traffic import ANN, BOB, GROUP, ME, take
from wagate.gateway import Gateway, contacts, dispatch, outbox, polls, sessions
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.contacts import Person
from wagate.model.contents import PollContent, RevokeContent, Target, VoteContent
from wagate.model.messages import Ack, Arrived
from wagate.model.organizations import Caller
from wagate.workers import inbox, janitor

pytestmark = pytest.mark.anyio

END = START + 60_000
POLL = PollContent(name="Lunch?", options=["soup", "salad", "cake"], selectable_count=2, poll_end_time=END)
MINE = Target(message_id="M", from_me=True)


def said(content: Any, wire_id: str = "M", **more: Any) -> Arrived:
    return traffic.said(content, wire_id, **{"chat": GROUP, "timestamp": START, "push_name": UNSET, **more})


def vote(person: str, *options: str, at: int = START, target: str | None = ANN) -> Arrived:
    about = MINE if target is None else Target(message_id="M", from_me=False, sender=target)
    return said(VoteContent(target=about, options=list(options)), f"V{person}{at}", sender=person, timestamp=at)


async def recaps(gw: Gateway, who: Caller) -> list[Any]:
    return [payload for name, payload in await log(gw, who) if name == "poll.recap"]


async def turn(gw: Gateway, seconds: float) -> None:
    await gw.clock.advance(seconds)  # type: ignore[attr-defined]


async def test_nothing_is_counted_before_the_end(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(POLL), said(msgspec.structs.replace(POLL, poll_end_time=UNSET), "endless"))
    await turn(gw, 59.999)
    assert await polls.expire(gw) == 0
    assert await polls.next_end(gw) == END
    await turn(gw, 0.001)
    assert await polls.expire(gw) == 1
    assert await polls.next_end(gw) is None
    assert len(await recaps(gw, who)) == 1


async def test_it_is_counted_once_however_often_and_wherever_one_looks(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(POLL))
    await turn(gw, 60)
    other = beside(gw, "other")
    await asyncio.gather(*(polls.expire(each) for each in (gw, other, gw, other)))
    await take(gw, mine, said(POLL))
    assert await polls.expire(gw) == 0
    assert len(await recaps(gw, who)) == 1


async def test_the_latest_vote_of_each_counts(gw: Gateway, who: Caller, mine: Held) -> None:
    await within(gw, lambda tx: contacts.seen(tx, mine, 1, Person(jid=ANN, push_name="Ann")))
    await take(gw, mine, said(POLL))
    await take(gw, mine, vote(ANN, "soup", at=START + 1), vote(ANN, "salad", "cake", at=START + 2))
    await take(gw, mine, vote(ANN, "soup", at=START + 1), vote(BOB, "soup"), vote(BOB, at=START + 3))
    own = VoteContent(target=Target(message_id="M", from_me=False, sender=ANN), options=["cake"])
    entry = await outbox.accept(gw, who, mine.id, Offer(chat=GROUP, content=own, mode="sync", digest=""))
    await dispatch.settle(gw, mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=START + 4))
    await turn(gw, 60)
    await polls.expire(gw)
    assert await recaps(gw, who) == [
        {
            "pollMessageId": "M",
            "chatJid": GROUP,
            "name": "Lunch?",
            "options": [
                {"option": "soup", "count": 0},
                {"option": "salad", "count": 1},
                {"option": "cake", "count": 2},
            ],
            "selectableCount": 2,
            "endTime": END,
            "hideVotes": False,
            "totalVotes": 2,
            "voters": [
                {"voterId": ANN, "displayName": "Ann", "selectedOptions": ["salad", "cake"]},
                {"voterId": ME, "displayName": "9990000001", "selectedOptions": ["cake"]},
            ],
        }
    ]


async def test_hidden_votes_are_counted_and_nobody_is_named(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(msgspec.structs.replace(POLL, poll_hide_votes=True)), vote(BOB, "soup"))
    await turn(gw, 60)
    await polls.expire(gw)
    (recap,) = await recaps(gw, who)
    assert (recap["hideVotes"], recap["totalVotes"], recap["options"][0]["count"]) == (True, 1, 1)
    assert "voters" not in recap


async def test_an_own_poll_is_counted_once_the_network_has_it(gw: Gateway, who: Caller, mine: Held) -> None:
    entries = [
        await outbox.accept(gw, who, mine.id, Offer(chat=chat, content=POLL, mode="sync", digest=""))
        for chat in (ANN, BOB)
    ]
    await dispatch.settle(gw, mine, entries[0], Ack(wire_id="M", timestamp=START))
    await turn(gw, 60)
    await polls.expire(gw)
    assert [(recap["pollMessageId"], recap["chatJid"]) for recap in await recaps(gw, who)] == [("M", ANN)]


async def test_what_is_gone_is_not_counted(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(POLL), said(RevokeContent(target=Target(message_id="M", from_me=False, sender=ANN)), "R"))
    await take(gw, mine, said(msgspec.structs.replace(POLL, poll_end_time=START), "old", history=True))
    other = await held(gw, who, "9990000009")
    await take(gw, other, said(POLL))
    await sessions.delete(gw, who, other.id)
    await turn(gw, 60)
    while await polls.expire(gw):
        pass
    assert await recaps(gw, who) == []


@contextlib.asynccontextmanager
async def counting(gw: Gateway) -> AsyncIterator[None]:
    task = asyncio.create_task(janitor.count_polls(gw))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_janitor_wakes_when_a_turned_clock_shows_the_end(gw: Gateway, who: Caller, mine: Held) -> None:
    async with counting(gw):
        await asyncio.sleep(0)
        await inbox.take(gw, mine, [said(POLL)])
        sooner = msgspec.structs.replace(POLL, poll_end_time=START + 1000)
        await inbox.take(gw, mine, [said(sooner, "S")])
        for seconds, wanted in ((1, "S"), (59, "M")):
            await asyncio.sleep(0.05)
            await turn(gw, seconds)
            await wait_for(lambda wanted=wanted: _has(gw, who, wanted))  # type: ignore[misc]
    assert [recap["pollMessageId"] for recap in await recaps(gw, who)] == ["S", "M"]


async def test_a_poll_that_ended_while_nobody_ran_is_counted_at_the_start(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(POLL))
    await turn(gw, 3600)
    for _ in range(2):
        async with counting(gw):
            await wait_for(lambda: _has(gw, who, "M"))
    assert len(await recaps(gw, who)) == 1


async def _has(gw: Gateway, who: Caller, wire_id: str) -> bool:
    return any(recap["pollMessageId"] == wire_id for recap in await recaps(gw, who))


async def wait_for(condition: Any, *, seconds: float = 60.0) -> None:
    """Return when the condition holds; fails when it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        if await condition():
            return
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.001)
