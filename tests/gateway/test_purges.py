"""What a deleted session leaves behind goes a piece at a time, and nothing else goes with it."""

from __future__ import annotations

import pytest

from tests.support.parts import caller, held, opened, within, words
from wagate.gateway import chats, groups, messages, outbox, purges, sessions
from wagate.model.contacts import Person
from wagate.model.groups import GroupSeen, Participant
from wagate.model.messages import Arrived

pytestmark = pytest.mark.anyio

TABLES = ("outbox", "messages", "chats", "contacts", "groups", "members")


async def test_everything_of_the_session_goes_and_nothing_of_another() -> None:
    async with opened() as gw:
        who = await caller(gw)
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
        assert len((await chats.page(gw, who, kept.id, _all()))[0]) == 7


def _all() -> chats.Window:
    return chats.Window(200)
