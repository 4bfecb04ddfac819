"""The examples of events: each is what its schema says, and the sandbox still tells them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.docs.pages import recorded
from tests.docs.story import EXAMPLES, told
from wagate.model.events import CATALOGUE, Event

KEPT: dict[str, dict[str, Any]] = msgspec.json.decode(EXAMPLES.read_bytes())


def fits(envelope: dict[str, Any]) -> bool:
    """Whether the envelope and its payload are whole, within their bounds, and have no field beyond their schema."""
    kind = CATALOGUE[envelope["event"]]
    payload = msgspec.convert(envelope["payload"], kind)
    msgspec.json.decode(msgspec.json.encode(envelope), type=Event)
    whole = set(envelope) == {field.encode_name for field in msgspec.structs.fields(Event)}
    return whole and bool(msgspec.to_builtins(payload) == envelope["payload"])


def test_an_example_that_does_not_fit_would_be_seen() -> None:
    envelope = KEPT["message"]
    assert not fits({**envelope, "payload": {**envelope["payload"], "another": 1}})
    assert not fits({**envelope, "another": 1})
    for field, wrong in (("timestamp", "now"), ("type", "song"), ("fromMe", None)):
        with pytest.raises(msgspec.ValidationError):
            fits({**envelope, "payload": {**envelope["payload"], field: wrong}})


def test_every_recorded_event_has_an_example_and_no_other() -> None:
    assert set(KEPT) == set(recorded()), "tell the story anew: python -m tests.docs.story"


@pytest.mark.parametrize("name", KEPT)
def test_an_example_is_what_its_schema_says(name: str) -> None:
    assert KEPT[name]["event"] == name
    assert fits(KEPT[name])


@pytest.mark.slow
def test_the_story_still_causes_every_event() -> None:
    log = told()
    assert {event["event"] for event in log} == set(KEPT)
    assert [event for event in log if not fits(event)] == []
    assert [event["id"] for event in log] == sorted({event["id"] for event in log})
