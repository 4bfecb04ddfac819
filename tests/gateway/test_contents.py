"""Contents: canonical when accepted, and seen field by field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from wagate.errors import BadRequest
from wagate.gateway import contents
from wagate.model.contents import ContactContent, LocationContent
from wagate.model.sends import CardInput, ContactForm, LocationForm, PollForm, TextForm

VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob\r\nN:;Bob;;;\r\nEND:VCARD\r\n"


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (TextForm(text="x", mentions=["9990000001", "x"]), "mentions[1]"),
        (PollForm(name="q", options=["a", "b", "a"]), "options"),
        (PollForm(name="q", options=["a", "b"], selectable_count=3), "selectableCount"),
        (ContactForm(), "contact"),
        (ContactForm(contact=CardInput(vcard=VCARD), contacts=[CardInput(vcard=VCARD)]), "contact"),
        (ContactForm(contact=CardInput()), "contact"),
        (ContactForm(contact=CardInput(name="x")), "contact"),
        (ContactForm(contact=CardInput(phone="9990000001")), "contact"),
        (ContactForm(contact=CardInput(name="x", phone="12345")), "contact.phone"),
        (ContactForm(contact=CardInput(vcard="BEGIN:VCARD")), "contact.vcard"),
        (ContactForm(contact=CardInput(vcard="FN:x")), "contact.vcard"),
        (ContactForm(contacts=[CardInput(vcard=VCARD), CardInput(vcard="x")]), "contacts[1].vcard"),
    ],
    ids=str,
)
def test_what_the_shape_cannot_say_is_refused(content: Any, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        contents.canonical(content)
    assert refused.value.details["fields"][0]["path"] == path


@pytest.mark.parametrize(
    "form",
    [
        TextForm(text="x", mentions=["+999 000 0001"], reply_to="A"),
        PollForm(name="q", options=["a", "b"], selectable_count=0, poll_end_time=7, poll_hide_votes=True),
        LocationForm(latitude=1, longitude=2, name="n", address="a"),
        ContactForm(contact=CardInput(name="Ann; Lee, Jr.", phone="+999 000 0001")),
        ContactForm(contacts=[CardInput(vcard=VCARD, name="other", phone="9990000001")]),
    ],
    ids=lambda form: type(form).__name__,
)
def test_canonical_content_survives_storage(form: Any) -> None:
    once = contents.canonical(form)
    assert contents.decode(msgspec.json.encode(once).decode()) == once


def test_a_card_wins_over_name_and_phone() -> None:
    card = contents.canonical(ContactForm(contact=CardInput(vcard=VCARD, name="other", phone="9990000001")))
    assert contents.body(card) == "Bob"
    assert contents.facets(card).contact.vcard == VCARD  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["Ann", "Ann; Lee, Jr.", "line\\n", "BEGIN:VCARD", "\U0001f600" * 200, "a:b;c,d"])
def test_a_made_card_says_its_name_again(name: str) -> None:
    card = contents.canonical(ContactForm(contact=CardInput(name=name, phone="9990000001")))
    assert isinstance(card, ContactContent)
    again = contents.canonical(ContactForm(contact=CardInput(vcard=card.cards[0].vcard)))
    assert contents.body(again) == name
    assert "+9990000001" in card.cards[0].vcard


def test_what_there_is_nothing_to_say_about_is_absent() -> None:
    seen = contents.facets(LocationContent(latitude=1, longitude=2))
    assert (seen.body, seen.poll, seen.mentions) == (UNSET, UNSET, UNSET)
    assert contents.body(LocationContent(latitude=1, longitude=2, address="a")) == "a"
