"""Targets: the message that is meant, by any address of who said it and where."""

from __future__ import annotations

import pytest

from tests.support.parts import within, words
from tests.support.traffic import ANN, ANNS_LID, BOB, GROUP, ME, by, said, stored, take
from wagate.gateway import Gateway, changes, contacts
from wagate.gateway.leases import Held
from wagate.gateway.targets import Pointer
from wagate.model.contacts import Person
from wagate.model.contents import (
    ReactionContent,
)
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

HEARTS = "❤"


async def test_the_author_is_who_was_named_else_who_is_stored_else_the_account(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    await take(gw, mine, said(words(), chat=GROUP), said(words(), "N", chat=GROUP, sender=BOB))
    for sender, wire_id, author in (
        (None, "M", ANN),
        (None, "N", BOB),
        (None, "X", None),
        (ME, "X", None),
        (mine.wa_lid, "X", None),
        (BOB, "X", BOB),
        (BOB, "M", BOB),
    ):
        here = Pointer(chat=GROUP, message_id=wire_id, sender=sender)
        assert (await changes.react(gw, who, mine.id, here, HEARTS)).target == by(author, wire_id), (sender, wire_id)


async def test_a_person_is_found_by_either_address(gw: Gateway, who: Caller, mine: Held) -> None:
    await within(gw, lambda tx: contacts.seen(tx, mine, 1, Person(jid=ANN, lid=ANNS_LID)))
    await take(gw, mine, said(words()))
    for chat, sender in ((ANNS_LID, None), (ANN, ANNS_LID), (ANNS_LID, ANNS_LID)):
        here = Pointer(chat=chat, message_id="M", sender=sender)
        assert (await changes.react(gw, who, mine.id, here, HEARTS)).target == by(ANN)
    await take(gw, mine, said(ReactionContent(target=by(ANNS_LID), emoji="x"), "R", chat=ANNS_LID, sender=ANNS_LID))
    (reaction,) = (await stored(gw, who, mine)).reactions or ()
    assert reaction.sender_jid == ANN
