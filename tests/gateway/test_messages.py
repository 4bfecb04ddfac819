"""Messages as stored: once each, with the names and the chats that they make; and receipts that never go back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from tests.support.parts import WHOLE, caller, log, within, words
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, chats, contacts, dispatch, events, messages, outbox, receipts
from wagate.gateway.leases import Held
from wagate.model.contacts import Person
from wagate.model.contents import TextContent
from wagate.model.messages import Ack, Arrived, Receipt
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

ANN, ANNS_LID = "9990000002@s.whatsapp.net", "777000000000002@lid"
GROUP = "120363000000000001@g.us"


async def take(gw: Gateway, mine: Held, report: Any) -> None:
    """As the worker does it: store, and record what it means."""

    async def work(tx: Any) -> None:
        store = receipts.came if isinstance(report, Receipt) else messages.arrived
        facts = await store(tx, mine, gw.clock.now(), report)  # type: ignore[arg-type]
        await events.record(tx, gw.clock.now(), mine.organization_id, session_id=mine.id, facts=facts)

    await within(gw, work)


def said(wire_id: str = "A", **more: Any) -> Arrived:
    fields = {"chat": ANN, "from_me": False, "timestamp": 10, "content": words(), "sender": ANN, "push_name": "Ann"}
    return Arrived(**{"wire_id": wire_id, **fields, **more})


async def names(gw: Gateway, who: Caller) -> list[str]:
    return [name for name, _ in await log(gw, who) if name.startswith(("message", "contact"))]


async def test_a_repeat_is_stored_and_told_once(gw: Gateway, who: Caller, mine: Held) -> None:
    for _ in range(3):
        await take(gw, mine, said())
    rows, following = await messages.page(gw, who, mine.id, WHOLE, chat=ANN)
    assert ([row.wa_message_id for row in rows], following) == (["A"], None)
    assert await names(gw, who) == ["message"]
    assert (await chats.get(gw, who, mine.id, ANN)).unread_count == 1


async def test_one_id_by_two_authors_is_two_messages(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(chat=GROUP))
    await take(gw, mine, said(chat=GROUP, sender="9990000003@s.whatsapp.net", push_name=UNSET))
    await take(gw, mine, said())
    assert len((await messages.page(gw, who, mine.id, WHOLE, chat=GROUP))[0]) == 2
    assert (await messages.get(gw, who, mine.id, "A", chat=None)).chat_jid == ANN
    assert (await messages.get(gw, who, mine.id, "A", chat=GROUP)).sender_jid == "9990000003@s.whatsapp.net"


async def test_history_makes_neither_events_nor_unread_messages(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(history=True))
    assert await names(gw, who) == []
    assert (await chats.get(gw, who, mine.id, ANN)).unread_count == 0


async def test_old_messages_do_not_move_a_chat_back(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said("A", timestamp=20))
    await take(gw, mine, said("B", timestamp=10))
    assert (await chats.get(gw, who, mine.id, ANN)).last_message_at == 20
    rows, _ = await messages.page(gw, who, mine.id, WHOLE, chat=ANN)
    assert [row.wa_message_id for row in rows] == ["A", "B"]


async def test_messages_of_one_moment_page_without_loss(gw: Gateway, who: Caller, mine: Held) -> None:
    for number in range(7):
        await take(gw, mine, said(str(number)))
    seen: list[str] = []
    after: Any = None
    while True:
        rows, after = await messages.page(gw, who, mine.id, Window(2, after), chat=ANN)
        seen += [row.wa_message_id for row in rows]
        if after is None:
            break
    assert seen == list("6543210")


async def test_a_sieve_leaves_what_is_asked_for(gw: Gateway, who: Caller, mine: Held) -> None:
    for number, from_me in enumerate([True, False] * 3):
        await take(gw, mine, said(str(number), timestamp=number * 10, from_me=from_me))
    await take(gw, mine, said("elsewhere", chat=GROUP, timestamp=25))

    async def left(**sieve: Any) -> str:
        rows = await messages.sifted(gw, who, mine.id, messages.Sieve(**{"limit": 100} | sieve), chat=ANN)
        return "".join(row.wa_message_id for row in rows)

    assert await left() == "543210"
    assert await left(from_me=True) == "420"
    assert await left(from_me=False, skip=1, limit=1) == "3"
    assert await left(since=20, until=40) == "432"
    assert await left(ack_levels=[1, 2]) == "420"
    assert await left(ack_levels=[-1, 4, 10**40]) == ""
    assert await left(ack_levels=[]) == ""
    assert await left(skip=10**40) == ""
    assert await left(limit=0) == ""


async def test_the_newest_of_many_chats_are_read_at_once(gw: Gateway, who: Caller, mine: Held) -> None:
    calling = TextContent(text="hello", mentions=[ANN])
    for number, chat in enumerate((ANN, GROUP, ANN)):
        await take(gw, mine, said(str(number), chat=chat, timestamp=10, content=calling))
    found = await messages.newest(gw, who, mine.id, [GROUP, ANN, "9990000009@s.whatsapp.net"])
    assert {chat: each.wa_message_id for chat, each in found.items()} == {ANN: "2", GROUP: "1"}
    assert found[ANN].mentions == [ANN]
    assert await messages.newest(gw, who, mine.id, []) == {}


async def test_another_organization_sees_nothing(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said())
    other = await caller(gw)
    for look in (
        lambda: messages.get(gw, other, mine.id, "A", chat=None),
        lambda: messages.page(gw, other, mine.id, WHOLE, chat=ANN),
        lambda: messages.sifted(gw, other, mine.id, messages.Sieve(limit=9), chat=ANN),
        lambda: messages.newest(gw, other, mine.id, [ANN]),
        lambda: chats.get(gw, other, mine.id, ANN),
        lambda: chats.page(gw, other, mine.id, WHOLE),
    ):
        with pytest.raises(NotFound):
            await look()


# Who is who


async def test_a_hidden_person_is_one_with_their_number_once_that_is_known(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    await take(gw, mine, said("A", sender=ANNS_LID, chat=ANNS_LID))
    assert (await messages.get(gw, who, mine.id, "A", chat=None)).sender_lid == ANNS_LID
    assert await contacts.resolve(gw.db, who.organization_id, mine.id, ANNS_LID) == ANNS_LID
    await take(gw, mine, said("B", sender=ANN, sender_lid=ANNS_LID))
    assert await contacts.resolve(gw.db, who.organization_id, mine.id, ANNS_LID) == ANN
    assert set(await contacts.addresses(gw.db, who.organization_id, mine.id, ANNS_LID)) == {ANN, ANNS_LID}


async def test_two_halves_of_a_person_become_one(gw: Gateway, who: Caller, mine: Held) -> None:
    async def know(person: Person) -> Any:
        return await within(gw, lambda tx: contacts.seen(tx, mine, 1, person))

    assert await know(Person(jid=ANN)) == []
    assert await know(Person(lid=ANNS_LID, push_name="Ann")) == []
    assert len(await know(Person(jid=ANN, lid=ANNS_LID))) <= 1
    sql = "SELECT jid, lid, push_name FROM contacts WHERE session_id = :id"
    assert [tuple(row) for row in await gw.db.all(sql, id=mine.id)] == [(ANN, ANNS_LID, "Ann")]
    ((name, update),) = await know(Person(jid=ANN, push_name="Anna"))
    assert (name, update.jid, update.push_name) == ("contact.update", ANN, "Anna")
    assert await know(Person(jid=ANN, push_name="Anna")) == []
    assert await know(Person()) == []


# Receipts


async def sent(gw: Gateway, who: Caller, mine: Held, chat: str = ANN) -> str:
    entry = await outbox.accept(gw, who, mine.id, outbox.Offer(chat=chat, content=words(), mode="async", digest=""))
    await dispatch.claim(gw, mine, limit=16)
    await dispatch.settle(gw, mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=1))
    return entry.wire_id or ""


def receipt(wire_id: str, status: Any, chat: str = ANN, sender: str = ANN) -> Receipt:
    return Receipt(chat=chat, wire_ids=[wire_id], status=status, timestamp=2, sender=sender)


async def told(gw: Gateway, who: Caller) -> list[str]:
    return [payload["status"] for name, payload in await log(gw, who) if name == "message.status"]


async def test_a_receipt_never_moves_a_message_back(gw: Gateway, who: Caller, mine: Held) -> None:
    wire_id = await sent(gw, who, mine)
    for status in ("read", "delivered", "read", "played", "delivered"):
        await take(gw, mine, receipt(wire_id, status))
    assert await told(gw, who) == ["pending", "sent", "read", "played"]
    now = await messages.get(gw, who, mine.id, wire_id, chat=None)
    assert (now.status, now.ack_level) == ("played", 4)


async def test_a_receipt_for_what_is_not_ours_is_nothing(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, receipt("NOBODYS", "read"))
    await take(gw, mine, said("A"))
    await take(gw, mine, receipt("A", "read"))
    assert await told(gw, who) == []


async def test_in_a_group_each_member_counts_by_themselves(gw: Gateway, who: Caller, mine: Held) -> None:
    wire_id = await sent(gw, who, mine, GROUP)
    for sender in ("1", "2"):
        for status in ("delivered", "read", "delivered", "read"):
            await take(gw, mine, receipt(wire_id, status, GROUP, f"999000001{sender}@s.whatsapp.net"))
    assert await told(gw, who) == ["pending", "sent", "delivered", "read", "delivered", "read"]
    assert (await messages.get(gw, who, mine.id, wire_id, chat=None)).status == "read"


async def test_a_receipt_proves_what_was_uncertain(gw: Gateway, who: Caller, mine: Held) -> None:
    from wagate.errors import NoAnswer

    entry = await outbox.accept(gw, who, mine.id, outbox.Offer(chat=ANN, content=words(), mode="async", digest=""))
    await dispatch.claim(gw, mine, limit=16)
    await dispatch.settle(gw, mine, entry, NoAnswer())
    await take(gw, mine, receipt(entry.wire_id or "", "delivered"))
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "sent"
    assert await told(gw, who) == ["pending", "uncertain", "sent", "delivered"]
    # Nothing was delivered before it was sent.
    assert (await messages.get(gw, who, mine.id, entry.wire_id or "", chat=ANN)).timestamp == 2
    assert (await names(gw, who)).count("message.from_me") == 1
