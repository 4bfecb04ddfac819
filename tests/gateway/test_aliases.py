"""A person seen by phone and by LID is one chat and one contact, also if that is learnt later: nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.both import BOTH, opened_on
from tests.support.parts import WHOLE, caller, held, log, opened, within, words
from wagate.errors import NoAnswer, NotFound
from wagate.gateway import Gateway, chats, contacts, dispatch, events, groups, leases, messages, outbox, receipts
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.contacts import Person
from wagate.model.groups import GroupSeen, MembersChanged, Participant
from wagate.model.messages import Ack, Arrived, Receipt
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

PHONE, LID = "9990000002@s.whatsapp.net", "777000000000002@lid"
GROUP = "120363000000000001@g.us"
ANN = Person(jid=PHONE, lid=LID)


@pytest.fixture(params=BOTH)
async def gw(request: Any) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


async def take(gw: Gateway, mine: Held, store: Any, *reports: Any) -> None:
    async def work(tx: Any) -> None:
        for report in reports:
            facts = await store(tx, mine, gw.clock.now(), report)
            await events.record(tx, gw.clock.now(), mine.organization_id, session_id=mine.id, facts=facts)

    await within(gw, work)


def said(wire_id: str, address: str, chat: str | None = None, **more: Any) -> Arrived:
    fields = {"chat": chat or address, "from_me": False, "timestamp": 10, "content": words(wire_id), "sender": address}
    return Arrived(**{"wire_id": wire_id, **fields, **more})


async def learn(gw: Gateway, mine: Held, **more: Any) -> None:
    await take(gw, mine, contacts.seen, Person(jid=PHONE, lid=LID, **more))


async def rows(gw: Gateway, who: Caller, mine: Held, chat: str) -> list[str]:
    found, _ = await messages.page(gw, who, mine.id, WHOLE, chat=chat)
    return [row.wa_message_id for row in found]


async def changes(gw: Gateway, who: Caller, change: str = "merged") -> list[Any]:
    return [body for name, body in await log(gw, who) if name == "chat.update" and body["change"] == change]


async def test_before_the_link_is_known_they_are_two(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, messages.arrived, said("A", LID))
    with pytest.raises(NotFound):
        await chats.get(gw, who, mine.id, PHONE)
    await take(gw, mine, messages.arrived, said("B", PHONE))
    assert await rows(gw, who, mine, LID) == ["A"]
    assert await rows(gw, who, mine, PHONE) == ["B"]
    assert await changes(gw, who) == []


async def test_learning_the_link_joins_two_chats_and_tells_it_once(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(
        gw, mine, messages.arrived, said("A", LID, timestamp=10, push_name="Ann"), said("B", PHONE, timestamp=20)
    )
    for _ in range(2):
        await learn(gw, mine)
    for address in (PHONE, LID):
        assert await rows(gw, who, mine, address) == ["B", "A"]
        chat = await chats.get(gw, who, mine.id, address)
        assert (chat.jid, chat.unread_count, chat.aliases, chat.last_message_at) == (PHONE, 2, [LID], 20)
        assert chat.name == "Ann"
    assert await changes(gw, who) == [{"chatJid": PHONE, "change": "merged", "unreadCount": 2}]
    found, _ = await contacts.page(gw, who, mine.id, WHOLE, contacts.Search())
    assert [(each.lid, each.phone_number, each.name) for each in found] == [(LID, "9990000002", "Ann")]
    old = await messages.get(gw, who, mine.id, "A", chat=LID)
    assert (old.chat_jid, old.sender_jid, old.sender_lid) == (PHONE, PHONE, LID)
    listed, _ = await chats.page(gw, who, mine.id, WHOLE)
    assert [each.jid for each in listed] == [PHONE]


async def test_a_chat_by_lid_alone_takes_the_phones_place(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, messages.arrived, said("A", LID))
    before = await chats.get(gw, who, mine.id, LID)
    await learn(gw, mine)
    after = await chats.get(gw, who, mine.id, PHONE)
    assert (after.id, after.unread_count) == (before.id, 1)
    await take(gw, mine, messages.arrived, said("B", LID))
    assert await rows(gw, who, mine, PHONE) == ["B", "A"]


async def test_one_message_stored_by_both_addresses_is_one(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(
        gw, mine, messages.arrived, said("A", LID), said("A", PHONE), said("G", LID, GROUP), said("G", PHONE, GROUP)
    )
    await learn(gw, mine)
    assert await rows(gw, who, mine, PHONE) == ["A"]
    assert (await chats.get(gw, who, mine.id, PHONE)).unread_count == 1
    assert await rows(gw, who, mine, GROUP) == ["G"]


async def test_in_groups_their_words_are_theirs_by_phone(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, messages.arrived, said("G", LID, GROUP))
    await learn(gw, mine)
    row = await messages.get(gw, who, mine.id, "G", chat=GROUP)
    assert (row.sender_jid, row.sender_lid) == (PHONE, LID)
    await take(gw, mine, messages.arrived, said("G", LID, GROUP), said("G", PHONE, GROUP))
    assert await rows(gw, who, mine, GROUP) == ["G"]


async def test_what_is_under_way_arrives_in_the_joined_chat(gw: Gateway, who: Caller, mine: Held) -> None:
    offer = Offer(chat=LID, content=words(), mode="async", digest="d")
    entries = [await outbox.accept(gw, who, mine.id, offer) for _ in range(2)]
    other = await outbox.accept(gw, who, mine.id, Offer(chat=PHONE, content=words(), mode="async", digest="d"))
    (first,) = [each for each in await dispatch.claimed_before(gw, mine) if each.id == entries[0].id]
    assert first.chat == LID
    await learn(gw, mine)
    await dispatch.settle(gw, mine, first, Ack(wire_id=first.wire_id or "", timestamp=5))
    # Whatever was first in either chat, every entry has its turn, one after the other.
    done = [first.id]
    for _ in range(10):
        waiting = [*await dispatch.claimed_before(gw, mine), *(await dispatch.claim(gw, mine, limit=16)).entries]
        for entry in waiting:
            if entry.id not in done:
                await dispatch.settle(gw, mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=5))
                done.append(entry.id)
    assert set(done) == {entries[0].id, entries[1].id, other.id}
    assert len(await rows(gw, who, mine, PHONE)) == 3
    late = Receipt(chat=LID, wire_ids=[first.wire_id or ""], status="read", timestamp=6, sender=LID)
    await take(gw, mine, receipts.came, late)
    assert (await messages.get(gw, who, mine.id, first.wire_id or "", chat=LID)).status == "read"
    sent = await outbox.accept(gw, who, mine.id, offer)
    assert (await outbox.get(gw, who, mine.id, sent.id)).chat == PHONE


async def test_an_uncertain_send_is_proved_by_a_receipt_by_phone(gw: Gateway, who: Caller, mine: Held) -> None:
    entry = await outbox.accept(gw, who, mine.id, Offer(chat=LID, content=words(), mode="async", digest="d"))
    (under_way,) = await dispatch.claimed_before(gw, mine)
    await dispatch.settle(gw, mine, under_way, NoAnswer())
    await learn(gw, mine)
    proof = Receipt(chat=PHONE, wire_ids=[under_way.wire_id or ""], status="delivered", timestamp=6, sender=PHONE)
    await take(gw, mine, receipts.came, proof)
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "sent"


async def test_reactions_votes_polls_and_receipts_move_and_the_latest_stays(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    here = {"o": mine.organization_id, "s": mine.id}

    async def fill(tx: Any) -> None:
        for chat, author, person, at in (
            (LID, LID, "me", 1), (LID, "", LID, 2), (PHONE, "", PHONE, 3), (GROUP, LID, "x", 4),
            (GROUP, "", LID, 6), (GROUP, "", PHONE, 5),
        ):  # fmt: skip
            await tx.run(
                "INSERT INTO reactions VALUES (:s, :chat, 'W', :author, :person, :o, :emoji, :at)",
                **here, chat=chat, author=author, person=person, emoji=str(at), at=at,
            )  # fmt: skip
            await tx.run(
                "INSERT INTO votes VALUES (:s, :chat, 'W', :author, :person, :o, NULL, :options, :at)",
                **here, chat=chat, author=author, person=person, options=f'["{at}"]', at=at,
            )  # fmt: skip
        for chat, person, level in ((LID, LID, 2), (PHONE, PHONE, 3), (GROUP, LID, 4), (GROUP, PHONE, 2)):
            await tx.run(
                "INSERT INTO receipts VALUES (:s, :chat, 'W', :person, :o, :level)",
                **here, chat=chat, person=person, level=level,
            )  # fmt: skip
        for chat, author, recapped in ((LID, LID, None), (PHONE, PHONE, 7), (GROUP, LID, None)):
            await tx.run(
                "INSERT INTO polls VALUES (:s, :chat, 'W', :author, :o, 9, :recapped)",
                **here, chat=chat, author=author, recapped=recapped,
            )  # fmt: skip

    await take(gw, mine, messages.arrived, said("W", LID), said("W", LID, GROUP))
    await within(gw, fill)
    await learn(gw, mine)
    for table, what in (("reactions", "emoji"), ("votes", "options")):
        found = await gw.db.all(f"SELECT chat_jid, author, person, timestamp FROM {table} ORDER BY timestamp")
        assert [tuple(row) for row in found] == [
            (PHONE, PHONE, "me", 1), (PHONE, "", PHONE, 3), (GROUP, PHONE, "x", 4), (GROUP, "", PHONE, 6),
        ], what  # fmt: skip
    found = await gw.db.all("SELECT chat_jid, person, level FROM receipts ORDER BY level")
    assert [tuple(row) for row in found] == [(PHONE, PHONE, 3), (GROUP, PHONE, 4)]
    found = await gw.db.all("SELECT chat_jid, author, recapped_at FROM polls ORDER BY chat_jid")
    assert [tuple(row) for row in found] == [(GROUP, PHONE, None), (PHONE, PHONE, 7)]


async def test_a_member_by_lid_and_by_phone_is_one(gw: Gateway, who: Caller, mine: Held) -> None:
    def seen(*people: Participant) -> GroupSeen:
        return GroupSeen(
            group_jid=GROUP, subject="g", description="", is_announce=False, is_locked=False, members=list(people),
            owner=Person(lid=LID),
        )  # fmt: skip

    by_lid = Participant(person=Person(lid=LID), role="admin", tag="Ann")
    await take(gw, mine, groups.seen, seen(by_lid))
    await take(gw, mine, messages.arrived, said("A", LID))
    await take(gw, mine, groups.seen, seen(Participant(person=ANN, role="superadmin")))
    (member,), _ = await groups.members(gw, who, mine.id, GROUP, WHOLE)
    assert (member.lid, member.phone_number, member.role, member.tag) == (LID, "9990000002", "superadmin", "Ann")
    assert (await groups.get(gw, who, mine.id, GROUP)).participant_count == 1
    assert await rows(gw, who, mine, PHONE) == ["A"]
    assert len(await changes(gw, who)) == 1
    gone = MembersChanged(
        group_jid=GROUP, timestamp=1, change="leave", people=[Participant(person=Person(lid=LID), role="member")],
        sender=LID,
    )  # fmt: skip
    await take(gw, mine, groups.moved, gone)
    ((_, told),) = [each for each in await log(gw, who) if each[0] == "group.participant"]
    assert (told["leave"], told["sender"]) == ([PHONE], PHONE)
    assert (await groups.get(gw, who, mine.id, GROUP)).participant_count == 0


async def test_another_sessions_chats_are_not_touched(gw: Gateway, who: Caller, mine: Held) -> None:
    other = await held(gw, who, "9990000009")
    for session in (mine, other):
        await take(gw, session, messages.arrived, said("A", LID))
    await learn(gw, mine)
    assert (await chats.get(gw, who, other.id, LID)).jid == LID
    assert (await chats.get(gw, who, mine.id, LID)).jid == PHONE


async def test_a_lease_that_is_lost_joins_nothing(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, messages.arrived, said("A", LID))

    async def work(tx: Any) -> None:
        await leases.fence(tx, replace(mine, epoch=mine.epoch - 1))
        await contacts.seen(tx, mine, 1, ANN)

    with pytest.raises(leases.LeaseLost):
        await gw.db.write(work)
    assert (await chats.get(gw, who, mine.id, LID)).jid == LID


STEP = st.one_of(
    st.tuples(st.just("say"), st.integers(0, 6), st.sampled_from([PHONE, LID]), st.sampled_from(["dm", GROUP])),
    st.tuples(st.just("send"), st.integers(0, 6), st.sampled_from([PHONE, LID]), st.just("dm")),
    st.tuples(st.just("learn"), st.just(0), st.just(PHONE), st.just("dm")),
)


@pytest.mark.fuzz
@given(steps=st.lists(STEP, max_size=14))
def test_no_order_of_words_and_learning_loses_any(steps: list[tuple[str, int, str, str]]) -> None:
    """Every message is there once, by either address, and the unread ones are counted once each."""

    async def play() -> None:
        async with opened() as gw:
            who = await caller(gw)
            mine = await held(gw, who)
            heard: set[str] = set()
            own: set[str] = set()
            talk: set[str] = set()
            for what, number, address, place in steps:
                if what == "learn":
                    await learn(gw, mine)
                elif what == "send":
                    own.add(f"O{number}")
                    one = said(f"O{number}", address, from_me=True, sender=f"{mine.wa_jid}")
                    await take(gw, mine, messages.arrived, one)
                elif place == GROUP:
                    talk.add(f"G{number}")
                    await take(gw, mine, messages.arrived, said(f"G{number}", address, GROUP))
                else:
                    heard.add(f"M{number}")
                    await take(gw, mine, messages.arrived, said(f"M{number}", address))
            await learn(gw, mine)
            if heard | own:
                for address in (PHONE, LID):
                    assert sorted(await rows(gw, who, mine, address)) == sorted(heard | own)
                    assert (await chats.get(gw, who, mine.id, address)).unread_count == len(heard)
            if talk:
                assert sorted(await rows(gw, who, mine, GROUP)) == sorted(talk)
            everyone, _ = await contacts.page(gw, who, mine.id, WHOLE, contacts.Search())
            assert [each.lid for each in everyone] == [LID]

    anyio.run(play)
