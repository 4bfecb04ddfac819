"""The AsyncAPI document describes every event and every frame, and is served."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.serving import ask, gateway, serving
from wagate.api.asyncapi import as_json
from wagate.model.events import CATALOGUE

pytestmark = pytest.mark.anyio

DOCUMENT = msgspec.json.decode(as_json())


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere() -> None:
    found = references(DOCUMENT)
    assert found
    for each in found:
        place = DOCUMENT
        for part in each.removeprefix("#/").split("/"):
            place = place[part]


def test_every_event_and_every_frame_is_a_message_of_the_socket() -> None:
    assert DOCUMENT["asyncapi"].startswith("3.")
    named = {each["name"] for each in DOCUMENT["components"]["messages"].values()}
    assert named == {*CATALOGUE, "Connected", "Ping", "CursorLost", "Trouble"}
    assert set(DOCUMENT["channels"]["realtime"]["messages"]) == set(DOCUMENT["components"]["messages"])
    assert len(DOCUMENT["channels"]["stream"]["messages"]) == len(CATALOGUE)


async def test_it_is_open_to_everyone() -> None:
    async with gateway() as gw, serving(gw, []) as port:
        assert (await ask(port, "GET", "/api/v1/asyncapi.json")).json() == DOCUMENT
