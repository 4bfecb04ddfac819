"""Contacts as stored: who is found, by which word, and as what."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.both import BOTH, opened_on
from tests.support.parts import WHOLE, caller, held, opened, within, words
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, chats, contacts, groups, messages
from wagate.gateway.contacts import Search
from wagate.gateway.leases import Held
from wagate.model.contacts import Person
from wagate.model.groups import GroupSeen, Participant
from wagate.model.messages import Arrived
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

GROUP, OTHER = "120363000000000001@g.us", "120363000000000002@g.us"


@pytest.fixture(params=BOTH)
async def gw(request: Any) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


@pytest.fixture
async def mine(gw: Gateway, who: Caller) -> Held:
    """A session that knows Ann and Bob from chats, Bob and Zoë from a group, and Eve, of whom only a LID is known."""
    session = await held(gw, who)

    async def work(tx: Any) -> None:
        for digit, name in ((1, "Ann"), (2, "Bob 100%")):
            jid = person(digit).jid
            one = Arrived(
                wire_id="A", chat=jid, from_me=False, timestamp=10, content=words(), sender=jid, push_name=name,
                sender_lid=person(digit).lid,
            )  # fmt: skip
            await messages.arrived(tx, session, 5, one)
        members = [
            Participant(person=person(2), role="admin", tag="bobby"),
            Participant(person=person(3), role="member"),
            Participant(person=Person(lid="777000000000009@lid"), role="member"),
        ]
        report = GroupSeen(
            group_jid=GROUP, subject="walks", description="", is_announce=False, is_locked=False, members=members
        )
        await groups.seen(tx, session, 7, report)
        await contacts.seen(tx, session, 8, person(3, full_name="ZOË Äpfel", push_name="zo", business_name="Äpfel Co"))

    await within(gw, work)
    return session


def person(digit: int, **more: Any) -> Person:
    return Person(jid=f"999000001{digit}@s.whatsapp.net", lid=f"77700000000001{digit}@lid", **more)


async def found(gw: Gateway, who: Caller, mine: Held, **search: Any) -> list[tuple[str, str]]:
    rows, following = await contacts.page(gw, who, mine.id, WHOLE, Search(**search))
    assert following is None
    return [(str(row.name or "-")[:3], row.source) for row in rows]


async def test_another_ones_contacts_are_not_there(gw: Gateway, who: Caller, mine: Held) -> None:
    other = await held(gw, who, "9990000009")
    assert await found(gw, who, other) == []
    for asks, session in ((await caller(gw), mine.id), (who, "ses_no")):
        with pytest.raises(NotFound):
            await contacts.page(gw, asks, session, WHOLE, Search())
        with pytest.raises(NotFound):
            await contacts.get(gw, asks, session, str(person(1).jid))
    with pytest.raises(NotFound):
        await contacts.get(gw, who, other.id, str(person(1).jid))


async def test_filters_combine(gw: Gateway, who: Caller, mine: Held) -> None:
    ann, bob, zoe, eve = ("Ann", "dm"), ("Bob", "dm"), ("ZOË", "group"), ("-", "group")
    in_group = ("Bob", "group")
    for search, wanted in (
        ({}, [ann, bob, zoe, eve]),
        ({"source": "dm"}, [ann, bob]),
        ({"source": "group"}, [in_group, zoe, eve]),
        ({"group": GROUP}, [in_group, zoe, eve]),
        ({"group": OTHER}, []),
        ({"group": GROUP, "source": "dm"}, [bob]),
        ({"group": GROUP, "q": "zo"}, [zoe]),
        ({"q": "zoë ä"}, [zoe]),
        ({"q": "BOB"}, [bob]),
        ({"q": "0%"}, [bob]),
        ({"q": "_"}, []),
        ({"q": "%"}, [bob]),
        ({"q": "+999 000-0013"}, [zoe]),
        ({"q": "90000011"}, [ann]),
        ({"q": "!"}, []),
        ({"q": "ann", "source": "group"}, []),
        ({"q": " "}, [ann, bob, zoe, eve]),
    ):  # fmt: skip
        assert await found(gw, who, mine, **search) == wanted, search


async def test_a_contact_says_what_is_known(gw: Gateway, who: Caller, mine: Held) -> None:
    rows, _ = await contacts.page(gw, who, mine.id, WHOLE, Search(source="group"))
    _, zoe, eve = rows
    assert (zoe.lid, zoe.name, zoe.phone_number, zoe.business_name) == (
        "777000000000013@lid", "ZOË Äpfel", "9990000013", "Äpfel Co",
    )  # fmt: skip
    assert (eve.lid, eve.name or "", eve.phone_number or "") == ("777000000000009@lid", "", "")


async def test_either_address_finds_everything(gw: Gateway, who: Caller, mine: Held) -> None:
    for address in (person(2).jid, person(2).lid):
        bob = await contacts.get(gw, who, mine.id, str(address))
        assert bob.dm is True
        ((group),) = bob.groups
        assert (group.jid, group.name, group.role, group.tag, group.last_seen) == (GROUP, "walks", "admin", "bobby", 7)
        identity: Any = bob.identity
        assert (identity.lid, identity.phone_jid, identity.phone_number) == (
            person(2).lid, person(2).jid, "9990000012",
        )  # fmt: skip
        assert identity.name == "Bob 100%"
    zoe = await contacts.get(gw, who, mine.id, str(person(3).jid))
    assert (zoe.dm, len(zoe.groups)) == (False, 1)


async def test_pages_are_stable(gw: Gateway, who: Caller, mine: Held) -> None:
    for search in (Search(), Search(source="dm"), Search(source="group"), Search(group=GROUP)):
        whole, _ = await contacts.page(gw, who, mine.id, WHOLE, search)
        seen, after = [], None
        while True:
            rows, after = await contacts.page(gw, who, mine.id, Window(1, after), search)
            seen += rows
            if after is None:
                break
        assert seen == whole


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (contacts._PAGE, "contacts_in_order"),
        (contacts._PAGE_DIRECT, "contacts_direct"),
        (contacts._PAGE_GROUPED, "contacts_grouped"),
        (chats._PAGE, "chats_by_time"),
        (contacts._FIND, "contacts_by_jid"),
        (contacts._GET, "contacts_by_lid"),
    ],
)
async def test_only_the_rows_that_are_asked_for_are_read(statement: str, index: str) -> None:
    given = dict.fromkeys(re.findall(r":([a-z_]+)", statement), "1")
    async with opened() as gw:
        plan = [row[3] for row in await gw.db.all("EXPLAIN QUERY PLAN " + statement, **given)]
    steps = [step for step in plan if " USING " in step and " c " not in step]
    assert any(index in step for step in steps), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
    assert index == "contacts_in_order" or not any("contacts_in_order" in step for step in plan), plan


async def test_a_groups_people_are_found_by_way_of_the_group() -> None:
    statement = contacts._PAGE_OF_GROUP
    given = dict.fromkeys(re.findall(r":([a-z_]+)", statement), "1")
    async with opened() as gw:
        plan = [row[3] for row in await gw.db.all("EXPLAIN QUERY PLAN " + statement, **given)]
    assert "members_once" in plan[0], plan
    assert not any("contacts_in_order" in step for step in plan), plan
