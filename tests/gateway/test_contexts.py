"""Contexts: quotes, mentions and reactions, completed from the store."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from msgspec import UNSET

from tests.support.parts import WHOLE, log, within, words
from tests.support.traffic import ANN, ANNS_LID, BOB, GROUP, ME, by, said, send, stored, take
from wagate.gateway import Gateway, Window, contacts, contexts, messages
from wagate.gateway.leases import Held
from wagate.model.contacts import Person
from wagate.model.contents import (
    Quote,
    ReactionContent,
    TextContent,
)
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

HEARTS = "❤"


async def test_a_quote_is_completed_from_the_store(gw: Gateway, who: Caller, mine: Held) -> None:
    long = "ä" * 3000
    await take(gw, mine, said(words(long)))
    sent = await send(gw, who, mine, TextContent(text="so?", quote=Quote(message_id="M")))
    payload = (await log(gw, who))[-2][1]
    assert payload["quotedMessageId"] == "M"
    assert payload["quotedSenderJid"] == ANN
    assert payload["quotedFromMe"] is False
    assert payload["quotedBody"] == "ä" * 2048
    assert (await stored(gw, who, mine, sent)).quoted_message_id == "M"
    await take(gw, mine, said(TextContent(text="yes", quote=Quote(message_id=sent, body="told")), "Y"))
    payload = (await log(gw, who))[-1][1]
    assert (payload["quotedFromMe"], payload["quotedBody"], payload["quotedSenderJid"]) == (True, "told", ME)


async def test_mentions_are_shown_with_what_is_known(gw: Gateway, who: Caller, mine: Held) -> None:
    seen = Person(jid=ANN, lid=ANNS_LID, push_name="Ann")
    await within(gw, lambda tx: contacts.seen(tx, mine, 1, seen))
    hello = TextContent(text="hi", mentions=[ANNS_LID, "9990000004@s.whatsapp.net"])
    await take(gw, mine, said(hello, chat=GROUP, sender=BOB, push_name=UNSET))
    payload = (await log(gw, who))[-1][1]
    assert payload["mentions"] == {ANN: {"pushName": "Ann"}, "9990000004@s.whatsapp.net": {}}
    now = await stored(gw, who, mine)
    assert (now.mentions, now.mention_names) == ([ANN, "9990000004@s.whatsapp.net"], {ANN: "Ann"})


async def test_only_so_many_people_are_looked_up_at_once(gw: Gateway, who: Caller, mine: Held) -> None:
    await within(gw, lambda tx: contacts.seen(tx, mine, 1, Person(jid=ANN, lid=ANNS_LID, push_name="Ann")))
    place = contexts.Place(organization_id=who.organization_id, session_id=mine.id, chat=GROUP)
    strangers = [f"{number}@s.whatsapp.net" for number in range(contexts.MOST_PEOPLE)]
    known = await contexts.people(gw.db, place, [*strangers[:-1], ANNS_LID])
    assert (known[ANNS_LID].jid, known[ANNS_LID].shown) == (ANN, "Ann")
    known = await contexts.people(gw.db, place, [*strangers, ANNS_LID])
    assert (len(known), known[ANNS_LID].jid, known[ANNS_LID].shown) == (len(strangers) + 1, ANNS_LID, "")


async def test_reading_a_page_costs_the_same_number_of_statements(gw: Gateway, who: Caller, mine: Held) -> None:
    for number in range(40):
        await take(gw, mine, said(TextContent(text="hi", mentions=[BOB]), f"M{number}", timestamp=number))
        await take(gw, mine, said(ReactionContent(target=by(ANN, f"M{number}"), emoji=HEARTS), f"R{number}"))
    counted = Counted(gw.db)
    rows, _ = await messages.page(dataclasses.replace(gw, db=counted), who, mine.id, Window(1), chat=ANN)
    few, counted.reads = counted.reads, 0
    rows, _ = await messages.page(dataclasses.replace(gw, db=counted), who, mine.id, WHOLE, chat=ANN)
    assert len(rows) == 40
    assert all(row.reactions and row.mentions for row in rows)
    assert counted.reads == few


class Counted:
    """A database that counts what is read from it."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        self.reads += name in ("all", "one")
        return getattr(self._db, name)
