"""What is said: only the fields of its type, and nothing that cannot be stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wagate.gateway.contents import canonical
from wagate.model.contents import Content
from wagate.model.messages import ACK_LEVELS, MessageStatus
from wagate.model.sends import Send

GOOD: list[dict[str, Any]] = [
    {"type": "text", "to": "9990000001", "text": "x"},
    {"type": "poll", "to": "9990000001", "name": "q", "options": ["a", "b"]},
    {"type": "location", "to": "9990000001", "latitude": 0, "longitude": 0},
    {"type": "contact", "to": "9990000001", "contact": {"vcard": "x"}},
]


CARD = {"name": "Ann", "phone": "9990000001"}


def read(body: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body), type=Send)


@pytest.mark.parametrize("body", GOOD, ids=lambda body: body["type"])
def test_a_field_of_another_type_is_refused(body: dict[str, Any]) -> None:
    for other in GOOD:
        for field in set(other) - set(body) - {"name"}:
            with pytest.raises(msgspec.ValidationError, match="unknown field"):
                read(body | {field: other[field]})


@pytest.mark.parametrize("body", GOOD, ids=lambda body: body["type"])
def test_a_required_field_is_required(body: dict[str, Any]) -> None:
    assert read(body)
    for field in set(body) - {"contact"}:
        with pytest.raises(msgspec.ValidationError):
            read({name: value for name, value in body.items() if name != field})


@pytest.mark.parametrize("letter", [*map(chr, (*range(9), 11, 12, *range(14, 32), 127))], ids=repr)
def test_control_characters_are_refused_in_prose(letter: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(GOOD[0] | {"text": f"a{letter}b"})


@pytest.mark.parametrize("letter", [*map(chr, (*range(32), *range(127, 160)))], ids=repr)
def test_control_characters_and_line_ends_are_refused_in_a_line(letter: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(GOOD[1] | {"name": f"a{letter}b"})


def test_lines_end_in_prose_as_they_like() -> None:
    assert read(GOOD[0] | {"text": "a\tb\r\nc\nd"}).text == "a\tb\r\nc\nd"


def test_content_survives_storage() -> None:
    for body in GOOD:
        content = canonical(read(body if body["type"] != "contact" else body | {"contact": CARD}))
        assert msgspec.json.decode(msgspec.json.encode(content), type=Content) == content


def test_levels_grow_with_what_a_message_has_reached() -> None:
    assert set(ACK_LEVELS) < set(MessageStatus.__args__)  # type: ignore[attr-defined]
    assert ACK_LEVELS == {"queued": 0, "pending": 0, "sent": 1, "delivered": 2, "read": 3, "played": 4}
