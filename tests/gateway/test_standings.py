"""How groups stand with the account that stored them."""

from __future__ import annotations

import pytest

from tests.support.parts import caller, held, within
from wagate.errors import NotFound
from wagate.gateway import Gateway, chats, groups, standings
from wagate.gateway.leases import Held
from wagate.model.chats import ChatMarked
from wagate.model.contacts import Person
from wagate.model.groups import GroupSeen, Participant
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

ONE, TWO, THREE, FOUR = (f"12036300000000000{digit}@g.us" for digit in range(4))
ANN = Person(jid="9990000002@s.whatsapp.net")


async def see(gw: Gateway, mine: Held, group: str, *people: Person) -> None:
    members = [Participant(person=person, role="member") for person in (ANN, *people)]
    report = GroupSeen(
        group_jid=group, subject="g", description="", is_announce=False, is_locked=False, members=members
    )
    await within(gw, lambda tx: groups.seen(tx, mine, gw.clock.now(), report))


async def archive(gw: Gateway, mine: Held, chat: str) -> None:
    await within(gw, lambda tx: chats.marked(tx, mine, gw.clock.now(), ChatMarked(chat=chat, archived=True)))


async def test_anothers_groups_stand_nowhere(gw: Gateway, who: Caller, mine: Held) -> None:
    await see(gw, mine, ONE)
    other = await held(gw, who, "9990000009")
    assert await standings.of(gw, who, other.id) == {}
    for session, asks in ((mine.id, await caller(gw)), ("ses_nobody", who)):
        with pytest.raises(NotFound):
            await standings.of(gw, asks, session)


async def test_a_group_stands_as_it_was_last_seen(gw: Gateway, who: Caller, mine: Held) -> None:
    by_phone, by_lid = Person(jid=str(mine.wa_jid)), Person(lid=str(mine.wa_lid))
    await see(gw, mine, ONE, by_phone)
    await see(gw, mine, TWO, by_lid)
    await see(gw, mine, THREE)
    await see(gw, mine, FOUR, Person(jid=str(mine.wa_jid), lid=str(mine.wa_lid)))
    # Before any message came: an archived chat is archived all the same, and a left group is left.
    for group in (TWO, THREE):
        await archive(gw, mine, group)
    assert await standings.of(gw, who, mine.id) == {ONE: "active", TWO: "archived", THREE: "deleted", FOUR: "active"}
    assert await standings.of(gw, who, mine.id, TWO) == {TWO: "archived"}
    assert await standings.of(gw, who, mine.id, "x") == {}
    await see(gw, mine, ONE)
    assert await standings.of(gw, who, mine.id, ONE) == {ONE: "deleted"}
