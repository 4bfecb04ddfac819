"""Deleting a stored chat: everything that was said in it goes, nothing else, and what comes meanwhile stays."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.support.both import BOTH, opened_on
from tests.support.parts import WHOLE, caller, within, words
from wagate.errors import NotFound
from wagate.gateway import Gateway, chats, contacts, messages, removals
from wagate.gateway.leases import Held
from wagate.model.contents import ImageContent, Media
from wagate.model.messages import Arrived
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

ANN, BOB = "9990000002@s.whatsapp.net", "9990000003@s.whatsapp.net"
TABLES = ("messages", "receipts", "reactions", "votes", "polls")


@pytest.fixture(params=BOTH)
async def gw(request: Any) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


async def say(gw: Gateway, mine: Held, wire_id: str, sender: str = ANN, content: Any = None) -> None:
    one = Arrived(wire_id=wire_id, chat=sender, from_me=False, timestamp=10, content=content or words(), sender=sender)
    await within(gw, lambda tx: messages.arrived(tx, mine, gw.clock.now(), one))


async def about(gw: Gateway, mine: Held, wire_id: str, chat: str = ANN) -> None:
    """A receipt, a reaction, a vote and an end for a message."""
    here = {"o": mine.organization_id, "s": mine.id, "c": chat, "w": wire_id}

    async def work(tx: Any) -> None:
        await tx.run("INSERT INTO receipts VALUES (:s, :c, :w, 'p', :o, 2)", **here)
        await tx.run("INSERT INTO reactions VALUES (:s, :c, :w, '', 'p', :o, 'x', 1)", **here)
        await tx.run("INSERT INTO votes VALUES (:s, :c, :w, '', 'p', :o, NULL, '[]', 1)", **here)
        await tx.run("INSERT INTO polls VALUES (:s, :c, :w, '', :o, 5, NULL)", **here)

    await within(gw, work)


async def counts(gw: Gateway) -> list[int]:
    return [(await gw.db.all(f"SELECT COUNT(*) FROM {table}"))[0][0] for table in TABLES]


async def test_another_ones_chat_is_not_there(gw: Gateway, who: Caller, mine: Held) -> None:
    await say(gw, mine, "A")
    for asks, session, chat in ((await caller(gw), mine.id, ANN), (who, "ses_no", ANN), (who, mine.id, BOB)):
        with pytest.raises(NotFound):
            await removals.delete(gw, asks, session, chat)
    assert (await counts(gw))[0] == 1


async def test_all_that_was_said_goes_in_pieces_and_nothing_else(gw: Gateway, who: Caller, mine: Held) -> None:
    for i in range(7):
        await say(gw, mine, f"A{i}")
        await about(gw, mine, f"A{i}")
    await say(gw, mine, "B", BOB)
    await about(gw, mine, "B", BOB)
    await say(gw, mine, "A0", BOB)
    await removals.delete(gw, who, mine.id, ANN, limit=2)
    assert await counts(gw) == [2, 1, 1, 1, 1]
    with pytest.raises(NotFound):
        await removals.delete(gw, who, mine.id, ANN)
    with pytest.raises(NotFound):
        await messages.page(gw, who, mine.id, WHOLE, chat=ANN)


class Counting:
    """The database, and how many transactions were asked of it."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.writes = 0

    async def write(self, work: Any) -> Any:
        self.writes += 1
        return await self._db.write(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


async def test_a_group_goes_in_smaller_pieces(gw: Gateway, who: Caller, mine: Held) -> None:
    group = "120363000000000001@g.us"
    for i in range(4):
        for chat in (ANN, group):
            one = Arrived(wire_id=f"A{i}", chat=chat, from_me=False, timestamp=10, content=words(), sender=ANN)
            await within(gw, lambda tx, one=one: messages.arrived(tx, mine, gw.clock.now(), one))
    writes = []
    for chat in (ANN, group):
        counting = Counting(gw.db)
        await removals.delete(dataclasses.replace(gw, db=counting), who, mine.id, chat, limit=10)
        writes.append(counting.writes)
    assert writes == [2, 5]
    assert (await counts(gw))[0] == 0


async def test_a_new_message_makes_it_anew(gw: Gateway, who: Caller, mine: Held) -> None:
    await say(gw, mine, "A")
    await removals.delete(gw, who, mine.id, ANN)
    assert (await contacts.get(gw, who, mine.id, ANN)).dm is False
    await say(gw, mine, "A2")
    chat = await chats.get(gw, who, mine.id, ANN)
    assert (chat.unread_count, chat.archived) == (1, False)
    assert (await contacts.get(gw, who, mine.id, ANN)).dm is True


async def test_what_comes_while_it_is_deleted_stays(gw: Gateway, who: Caller, mine: Held) -> None:
    for i in range(30):
        await say(gw, mine, f"A{i}")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(removals.delete, gw, who, mine.id, ANN, limit=1))
        while (await counts(gw))[0] == 30:
            await anyio.lowlevel.checkpoint()
        await say(gw, mine, "late")
    rows, _ = await messages.page(gw, who, mine.id, WHOLE, chat=ANN)
    assert [row.wa_message_id for row in rows] == ["late"]
    assert (await chats.get(gw, who, mine.id, ANN)).unread_count == 1


async def test_bytes_of_its_files_fall_due(gw: Gateway, who: Caller, mine: Held) -> None:
    sql = """
        INSERT INTO media (id, organization_id, session_id, mimetype, size, sha256, created_at, expires_at)
        VALUES (:id, :o, :s, 'image/jpeg', 1, '', 0, 9000000000000)
    """

    async def work(tx: Any) -> None:
        for id in ("med_a", "med_b"):
            await tx.run(sql, id=id, o=mine.organization_id, s=mine.id)

    await within(gw, work)
    await say(gw, mine, "A", content=ImageContent(media=Media(mimetype="image/jpeg", id="med_a")))
    await say(gw, mine, "B", BOB, ImageContent(media=Media(mimetype="image/jpeg", id="med_b")))
    await removals.delete(gw, who, mine.id, ANN)
    rows = await gw.db.all("SELECT id FROM media WHERE expires_at <= :now", now=gw.clock.now())
    assert [row[0] for row in rows] == ["med_a"]
