"""Receipts that the account sends: to whom, and what is unread afterwards. What it gets is in test_messages.py."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from tests.support.parts import caller, log, words
from tests.support.traffic import ANN, BOB, GROUP, said, take
from wagate.errors import NotFound, SessionNotConnected
from wagate.gateway import Gateway, actions, chats, leases, receipts
from wagate.gateway.leases import Held
from wagate.gateway.receipts import Reach, Reading
from wagate.model.actions import MarkRead
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio


@pytest.fixture
def asked(gw: Gateway, mine: Held) -> list[MarkRead]:
    """What the session's worker was asked for."""
    found: list[MarkRead] = []

    async def answer(payload: bytes) -> bytes:
        found.append(msgspec.json.decode(payload, type=MarkRead))
        return actions.encode_answer(None)

    gw.broker.respond(f"runner.{mine.id}", answer)
    return found


async def read(gw: Gateway, who: Caller, mine: Held, *ids: str, chat: str = GROUP, sender: str | None = None) -> int:
    """Mark messages as read; how many of the chat are unread now."""
    await receipts.mark_read(gw, who, mine.id, Reading(chat=chat, message_ids=list(ids), sender=sender))
    return (await chats.get(gw, who, mine.id, chat)).unread_count


async def test_nothing_is_read_without_a_connection(
    gw: Gateway, who: Caller, mine: Held, asked: list[MarkRead]
) -> None:
    await take(gw, mine, said(words(), chat=GROUP))
    with pytest.raises(NotFound):
        await read(gw, await caller(gw), mine, "M")
    await leases.set_status(gw, mine, "starting")
    with pytest.raises(SessionNotConnected):
        await read(gw, who, mine, "M")
    assert asked == []
    assert (await chats.get(gw, who, mine.id, GROUP)).unread_count == 1


async def test_each_author_in_a_group_is_told_of_theirs(
    gw: Gateway, who: Caller, mine: Held, asked: list[MarkRead]
) -> None:
    for wire_id, sender, at in (("A", ANN, 10), ("B", BOB, 20), ("C", ANN, 30), ("D", BOB, 40)):
        await take(gw, mine, said(words(), wire_id, chat=GROUP, sender=sender, timestamp=at))
    assert await read(gw, who, mine, "C", "B", "A", "A", "unknown") == 1
    assert asked == [
        MarkRead(chat=GROUP, sender=ANN, message_ids=["C", "A"]),
        MarkRead(chat=GROUP, sender=BOB, message_ids=["B"]),
    ]
    assert await read(gw, who, mine, "A", "unknown", sender=ANN) == 1
    assert asked[2:] == [MarkRead(chat=GROUP, sender=ANN, message_ids=["A", "unknown"])]
    assert await read(gw, who, mine, "D") == 0


async def test_a_person_is_told_also_of_what_is_not_stored(
    gw: Gateway, who: Caller, mine: Held, asked: list[MarkRead]
) -> None:
    await take(gw, mine, said(words()))
    assert await read(gw, who, mine, "unknown", chat=ANN) == 1
    assert await read(gw, who, mine, "M", chat=ANN) == 0
    assert asked == [MarkRead(chat=ANN, message_ids=["unknown"]), MarkRead(chat=ANN, message_ids=["M"])]


async def test_the_count_falls_once_and_never_rises(gw: Gateway, who: Caller, mine: Held, asked: Any) -> None:
    await take(gw, mine, said(words(), "H", history=True, timestamp=99))
    await take(gw, mine, said(words(), "A"), said(words(), "B", timestamp=20))
    await take(gw, mine, said(words(), "own", from_me=True, sender=UNSET, timestamp=30))
    assert await read(gw, who, mine, "A", chat=ANN) == 2
    assert await read(gw, who, mine, "H", "A", chat=ANN) == 0
    assert await read(gw, who, mine, "A", chat=ANN) == 0
    told = [payload for name, payload in await log(gw, who) if name == "chat.update"]
    assert told == [{"chatJid": ANN, "change": "read", "unreadCount": 0}]


@pytest.mark.parametrize(
    ("reach", "read"),
    [
        (Reach(), ["C", "D"]),
        (Reach(most=0), []),
        (Reach(most=3), ["B", "C", "D"]),
        (Reach(since=20), ["B", "C", "D"]),
        (Reach(most=1, since=20), ["D"]),
        (Reach(since=50), []),
    ],
)
async def test_a_chat_is_read_as_far_back_as_is_said(
    gw: Gateway, who: Caller, mine: Held, asked: list[MarkRead], reach: Reach, read: list[str]
) -> None:
    for wire_id, at in (("A", 10), ("B", 20), ("C", 30), ("D", 40)):
        await take(gw, mine, said(words(), wire_id, timestamp=at))
        if wire_id == "B":
            await chats.read(gw, who, mine.id, ANN)
    await take(gw, mine, said(words(), "mine", from_me=True, timestamp=50))
    assert await receipts.catch_up(gw, who, mine.id, ANN, reach=reach) == len(read)
    assert sorted(id for each in asked for id in each.message_ids) == read


async def test_what_is_not_there_is_not_caught_up_with(gw: Gateway, who: Caller, mine: Held) -> None:
    with pytest.raises(NotFound):
        await receipts.catch_up(gw, who, mine.id, ANN, reach=Reach())
    await leases.set_status(gw, mine, "starting")
    with pytest.raises(SessionNotConnected):
        await receipts.catch_up(gw, who, mine.id, ANN, reach=Reach())
