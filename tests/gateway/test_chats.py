"""Chats as stored: marked by the account's phone and by clients, deleted with all that was said, made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.both import BOTH, opened_on
from tests.support.parts import WHOLE, caller, log, within, words
from wagate.errors import NotFound
from wagate.gateway import Gateway, chats, contacts, events, messages
from wagate.gateway.leases import Held
from wagate.model.chats import ChatMarked, UpdateChat
from wagate.model.messages import Arrived
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

ANN = "9990000002@s.whatsapp.net"


@pytest.fixture(params=BOTH)
async def gw(request: Any) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


async def take(gw: Gateway, mine: Held, store: Any, report: Any) -> None:
    async def work(tx: Any) -> None:
        facts = await store(tx, mine, gw.clock.now(), report)
        await events.record(tx, gw.clock.now(), mine.organization_id, session_id=mine.id, facts=facts)

    await within(gw, work)


async def say(gw: Gateway, mine: Held, *wire_ids: str) -> None:
    for wire_id in wire_ids:
        one = Arrived(wire_id=wire_id, chat=ANN, from_me=False, timestamp=10, content=words(), sender=ANN)
        await take(gw, mine, messages.arrived, one)


async def updates(gw: Gateway, who: Caller) -> list[Any]:
    return [body for name, body in await log(gw, who) if name == "chat.update"]


async def test_what_is_not_there_cannot_be_marked_read_or_deleted(gw: Gateway, who: Caller, mine: Held) -> None:
    await say(gw, mine, "A")
    for asks, session, chat in ((await caller(gw), mine.id, ANN), (who, "ses_no", ANN), (who, mine.id, "1234567@lid")):
        with pytest.raises(NotFound):
            await chats.update(gw, asks, session, chat, UpdateChat(archived=True))
        with pytest.raises(NotFound):
            await chats.read(gw, asks, session, chat)
    assert await updates(gw, who) == []


async def test_each_thing_that_a_client_changes_is_told_once(gw: Gateway, who: Caller, mine: Held) -> None:
    await say(gw, mine, "A", "B")
    wish = UpdateChat(archived=True, pinned=True, muted_until=99)
    for _ in range(2):
        chat = await chats.update(gw, who, mine.id, ANN, wish)
        assert (chat.archived, chat.pinned, chat.muted_until) == (True, True, 99)
        assert (await chats.read(gw, who, mine.id, ANN)).unread_count == 0
    assert await chats.update(gw, who, mine.id, ANN, UpdateChat()) == chat.__class__(
        **{**{f: getattr(chat, f) for f in chat.__struct_fields__}, "unread_count": 0}
    )
    assert await updates(gw, who) == [
        {"chatJid": ANN, "change": "archived", "archived": True},
        {"chatJid": ANN, "change": "pinned", "pinned": True},
        {"chatJid": ANN, "change": "muted", "mutedUntil": 99},
        {"chatJid": ANN, "change": "read", "unreadCount": 0},
    ]


async def test_unmuting_wins(gw: Gateway, who: Caller, mine: Held) -> None:
    await say(gw, mine, "A")
    await chats.update(gw, who, mine.id, ANN, UpdateChat(muted_until=99))
    chat = await chats.update(gw, who, mine.id, ANN, UpdateChat(muted_until=199, unmute=True))
    assert not chat.muted_until
    assert (await updates(gw, who))[-1] == {"chatJid": ANN, "change": "muted", "mutedUntil": 0}


async def test_the_phones_marks_are_stored_and_told(gw: Gateway, who: Caller, mine: Held) -> None:
    await say(gw, mine, "A")
    for _ in range(2):
        await take(gw, mine, chats.marked, ChatMarked(chat=ANN, archived=True, read=True))
    await take(gw, mine, chats.marked, ChatMarked(chat=ANN, read=False))
    await take(gw, mine, chats.marked, ChatMarked(chat=ANN, picture_id="7"))
    await take(gw, mine, chats.marked, ChatMarked(chat=ANN, picture_removed=True))
    await take(gw, mine, chats.marked, ChatMarked(chat=ANN, muted_until=7, history=True))
    chat = await chats.get(gw, who, mine.id, ANN)
    assert (chat.archived, chat.unread_count, chat.muted_until) == (True, 1, 7), "what history tells is stored alone"
    assert [{k: v for k, v in each.items() if k != "chatJid"} for each in await updates(gw, who)] == [
        {"change": "archived", "archived": True},
        {"change": "read", "unreadCount": 0},
        {"change": "read", "unreadCount": 1},
        {"change": "picture", "pictureId": "7"},
        {"change": "picture", "removed": True},
    ]


async def test_a_mark_before_the_first_message_is_kept_but_not_listed(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, chats.marked, ChatMarked(chat=ANN, pinned=True))
    assert (await chats.page(gw, who, mine.id, WHOLE))[0] == []
    await say(gw, mine, "A")
    ((chat,), _) = await chats.page(gw, who, mine.id, WHOLE)
    assert (chat.pinned, chat.unread_count) == (True, 1)


async def test_whoever_is_written_to_is_a_contact(gw: Gateway, who: Caller, mine: Held) -> None:
    own = Arrived(wire_id="A", chat=ANN, from_me=True, timestamp=10, content=words())
    await take(gw, mine, messages.arrived, own)
    ((one,), _) = await contacts.page(gw, who, mine.id, WHOLE, contacts.Search())
    assert (one.lid, one.source, one.phone_number) == (ANN, "dm", "9990000002")
