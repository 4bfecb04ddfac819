"""What a deleted session leaves behind goes a piece at a time, and nothing else goes with it."""

from __future__ import annotations

import pytest

from tests.support.files import PNG
from tests.support.parts import caller, held, opened, within, words
from wagate.gateway import chats, groups, media, messages, outbox, purges, sessions
from wagate.model.contacts import Person
from wagate.model.groups import GroupSeen, Participant
from wagate.model.messages import Arrived

pytestmark = pytest.mark.anyio

ABOUT = {
    "reactions": "(session_id, organization_id, chat_jid, wire_id, author, person, emoji, timestamp)"
    " VALUES (:session, :organization, 'c', :key, 'a', 'p', 'e', 1)",
    "votes": "(session_id, organization_id, chat_jid, wire_id, author, person, options, timestamp)"
    " VALUES (:session, :organization, 'c', :key, 'a', 'p', '[]', 1)",
    "polls": "(session_id, organization_id, chat_jid, wire_id, author, ends_at)"
    " VALUES (:session, :organization, 'c', :key, 'a', 1)",
    "backfills": "(id, session_id, organization_id, status, started_at) VALUES (:key, :session, :organization, 'x', 1)",
}
TABLES = ("outbox", "messages", "chats", "contacts", "groups", "members", "media", *ABOUT)


async def test_everything_of_the_session_goes_and_nothing_of_another() -> None:
    async with opened() as gw:
        who = await caller(gw)
        files: list[str] = []
        doomed, kept = await held(gw, who), await held(gw, who, "9990000009")
        for mine in (doomed, kept):
            for i in range(7):
                chat = f"999000001{i}@s.whatsapp.net"
                report = Arrived(wire_id=str(i), chat=chat, from_me=False, timestamp=i, content=words(), sender=chat)
                await within(gw, lambda tx, mine=mine, report=report: messages.arrived(tx, mine, 1, report))
                offer = outbox.Offer(chat=chat, content=words(), mode="async", digest="")
                await outbox.accept(gw, who, mine.id, offer)
            seen = GroupSeen(
                group_jid="1@g.us", subject="g", description="", is_announce=False, is_locked=False,
                members=[Participant(person=Person(jid="9990000011@s.whatsapp.net"), role="member")],
            )  # fmt: skip
            await within(gw, lambda tx, mine=mine, seen=seen: groups.seen(tx, mine, 1, seen))
            file = await gw.blobs.spool()
            await file.write(PNG)
            picture = media.Offered(wanted="image", path="media", file=file)
            (taken,) = await media.take_in(gw, who, [picture], session_id=mine.id)
            files.append(str(taken.id))
            for table, row in ABOUT.items():
                values = {"session": mine.id, "organization": who.organization_id, "key": f"{table} of {mine.id}"}
                await within(gw, lambda tx, sql=f"INSERT INTO {table} {row}", values=values: tx.run(sql, **values))
        await sessions.delete(gw, who, doomed.id)
        (purge,) = await purges.due(gw)
        assert purge.session_id == doomed.id
        pieces = 0
        while await purges.continue_with(gw, purge, limit=3):
            pieces += 1
        assert pieces > len(TABLES)
        assert await purges.due(gw) == []
        for table in TABLES:
            sql = f"SELECT session_id, COUNT(*) FROM {table} GROUP BY session_id"
            assert {row[0] for row in await gw.db.all(sql)} == {kept.id}, table
        assert [await gw.blobs.open(id) is None for id in files] == [True, False]
        assert len((await chats.page(gw, who, kept.id, _all()))[0]) == 7


async def test_a_piece_is_small_however_many_people_one_message_reached() -> None:
    row = "INSERT INTO receipts VALUES (:session, 'c', 'w', :person, :organization, 1)"
    async with opened() as gw:
        who = await caller(gw)
        doomed = await held(gw, who)
        for i in range(10):
            values = {"session": doomed.id, "organization": who.organization_id, "person": str(i)}
            await within(gw, lambda tx, values=values: tx.run(row, **values))
        await sessions.delete(gw, who, doomed.id)
        (purge,) = await purges.due(gw)
        left = []
        while await purges.continue_with(gw, purge, limit=3):
            left.append((await gw.db.one("SELECT COUNT(*) FROM receipts") or (0,))[0])
        assert left == [7, 4, 1, 0]


def _all() -> chats.Window:
    return chats.Window(200)
