"""Contents: canonical when accepted, and seen field by field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from wagate.errors import BadRequest
from wagate.gateway import contents
from wagate.model.messages import Card, ContactContent, LocationContent, PollContent, TextContent

VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob\r\nN:;Bob;;;\r\nEND:VCARD\r\n"


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (TextContent(text="x", mentions=["9990000001", "x"]), "mentions[1]"),
        (PollContent(name="q", options=["a", "b", "a"]), "options"),
        (PollContent(name="q", options=["a", "b"], selectable_count=3), "selectableCount"),
        (ContactContent(), "contact"),
        (ContactContent(contact=Card(vcard=VCARD), contacts=[Card(vcard=VCARD)]), "contact"),
        (ContactContent(contact=Card()), "contact"),
        (ContactContent(contact=Card(name="x")), "contact"),
        (ContactContent(contact=Card(phone="9990000001")), "contact"),
        (ContactContent(contact=Card(name="x", phone="12345")), "contact.phone"),
        (ContactContent(contact=Card(vcard="BEGIN:VCARD")), "contact.vcard"),
        (ContactContent(contact=Card(vcard="FN:x")), "contact.vcard"),
        (ContactContent(contacts=[Card(vcard=VCARD), Card(vcard="x")]), "contacts[1].vcard"),
    ],
    ids=str,
)
def test_what_the_shape_cannot_say_is_refused(content: Any, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        contents.canonical(content)
    assert refused.value.details["fields"][0]["path"] == path


@pytest.mark.parametrize(
    "content",
    [
        TextContent(text="x", mentions=["+999 000 0001"], reply_to="A"),
        PollContent(name="q", options=["a", "b"], selectable_count=0, poll_end_time=7, poll_hide_votes=True),
        LocationContent(latitude=1, longitude=2, name="n", address="a"),
        ContactContent(contact=Card(name="Ann; Lee, Jr.", phone="+999 000 0001")),
        ContactContent(contacts=[Card(vcard=VCARD, name="other", phone="9990000001")]),
    ],
    ids=lambda content: type(content).__name__,
)
def test_canonical_twice_is_canonical_once_and_survives_storage(content: Any) -> None:
    once = contents.canonical(content)
    assert contents.canonical(once) == once
    assert msgspec.json.decode(msgspec.json.encode(once), type=type(once)) == once


def test_a_card_wins_over_name_and_phone() -> None:
    card = contents.canonical(ContactContent(contact=Card(vcard=VCARD, name="other", phone="9990000001")))
    assert contents.body(card) == "Bob"
    assert contents.facets(card).contact.vcard == VCARD  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["Ann", "Ann; Lee, Jr.", "line\\n", "BEGIN:VCARD", "\U0001f600" * 200, "a:b;c,d"])
def test_a_made_card_says_its_name_again(name: str) -> None:
    card = contents.canonical(ContactContent(contact=Card(name=name, phone="9990000001")))
    assert isinstance(card, ContactContent)
    assert card.contact is not None
    again = contents.canonical(ContactContent(contact=Card(vcard=card.contact.vcard)))
    assert contents.body(again) == name
    assert "+9990000001" in (card.contact.vcard or "")


def test_what_there_is_nothing_to_say_about_is_absent() -> None:
    seen = contents.facets(LocationContent(latitude=1, longitude=2))
    assert (seen.body, seen.poll, seen.mentions) == (UNSET, UNSET, UNSET)
    assert contents.body(LocationContent(latitude=1, longitude=2, address="a")) == "a"
