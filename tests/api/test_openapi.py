"""The documents are valid and say what the program does."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from openapi_spec_validator import validate

from wagate.api.lists import ListQuery, Page
from wagate.api.openapi import as_json, as_yaml, errors_of
from wagate.api.operations import OPEN, READ, SEND, Call, HeaderParameter, Operation
from wagate.errors import NoAnswer, PayloadTooLarge, RateLimited, Refused, Unauthorized
from wagate.model.events import CATALOGUE, Event
from wagate.model.groups import UpdateGroup
from wagate.model.messages import SendResult
from wagate.model.sandbox import Say, Shown
from wagate.model.sends import Send
from wagate.model.sessions import CreateSession, Session

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C library's where it is there: Python's own takes seconds."""


class Filter(ListQuery, frozen=True, kw_only=True):
    kinds: list[str] | None = None


async def run(call: Call) -> None:
    """Do it.

    At once, and whole.
    """


def operation(id: str, method: str, path: str, **more: Any) -> Operation:
    return Operation(**{"id": id, "method": method, "path": path, "run": run, "tag": "t", "capability": READ} | more)


OPERATIONS = [
    operation("sendMessage", "POST", "/sessions/{session}/messages", capability=SEND, body=Send, answer=SendResult,
              statuses=(200, 202), errors=(Refused, RateLimited, NoAnswer), max_body=88 << 20,
              headers=(HeaderParameter(name="Idempotency-Key", description="Once."),)),
    operation("listSessions", "GET", "/sessions", answer=Page[Session], query=Filter),
    operation("createSession", "POST", "/sessions", body=CreateSession, answer=Session, statuses=(201,)),
    operation("updateGroup", "PATCH", "/sessions/{session}/groups/{gid}", body=UpdateGroup, statuses=(204,)),
    operation("sessionQR", "GET", "/sessions/{session}/qr", answer=Session, also=("image/png",)),
    operation("getMedia", "GET", "/sessions/{session}/messages/{mid}/media", answer=bytes),
    operation("uploadMedia", "POST", "/media", body=bytes, answer=Session),
    operation("listEvents", "GET", "/events", answer=Page[Event]),
    operation("say", "POST", "/sandbox/messages", body=Say, answer=Page[Shown]),
    operation("open", "GET", "/open", capability=OPEN),
]  # fmt: skip
DOCUMENT = msgspec.json.decode(as_json(OPERATIONS))
SCHEMAS = DOCUMENT["components"]["schemas"]


def at(method: str, path: str) -> Any:
    return DOCUMENT["paths"]["/api/v1" + path][method]


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_yaml_says_the_same() -> None:
    assert yaml.load(as_yaml(OPERATIONS), LOADER) == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found = DOCUMENT
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(DOCUMENT)


def test_every_operation_is_printed_with_all_its_errors() -> None:
    for each in OPERATIONS:
        printed = at(each.method.lower(), each.path)
        assert printed["operationId"] == each.id
        assert (printed["summary"], printed["description"].split("\n")[0]) == ("Do it", "At once, and whole.")
        for error in errors_of(each):
            assert error.__name__ in printed["responses"][str(error.status)]["content"]["application/json"]["examples"]
        assert [part["name"] for part in printed["parameters"] if part["in"] == "path"] == list(each.names)
        taken = {name for way in printed["security"] for name in way}
        platform = each.capability == {"super_admin"}
        assert taken == ({"login"} if platform else {"key", "bearer", "login"} if each.capability else set())
    assert "Retry-After" in at("post", "/sessions/{session}/messages")["responses"]["429"]["headers"]


def test_errors_follow_from_what_an_operation_is() -> None:
    by_id = {each.id: errors_of(each) for each in OPERATIONS}
    assert Unauthorized not in by_id["open"]
    assert PayloadTooLarge in by_id["createSession"]
    assert PayloadTooLarge not in by_id["listSessions"]


def test_send_is_told_apart_by_type() -> None:
    body = at("post", "/sessions/{session}/messages")["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Send"}
    assert SCHEMAS["Send"]["discriminator"]["propertyName"] == "type"
    assert set(SCHEMAS["Send"]["discriminator"]["mapping"]) >= {"text", "poll", "location", "contact"}
    assert SCHEMAS["SendText"]["required"] == ["type", "text", "to"]
    assert SCHEMAS["SendText"]["properties"]["text"]["maxLength"] == 65536
    assert "pattern" in SCHEMAS["SendText"]["properties"]["to"]
    assert SCHEMAS["Shown"]["properties"]["content"] == {"$ref": "#/components/schemas/Content"}
    say = at("post", "/sandbox/messages")["requestBody"]["content"]["application/json"]["schema"]
    assert say == {"$ref": "#/components/schemas/Say"}


def test_nothing_is_printed_that_nothing_leads_to() -> None:
    schemas = msgspec.json.decode(as_json(OPERATIONS[1:2]))["components"]["schemas"]
    assert {"Session", "SessionList", "ErrorBody", "Event", "MessageSaid"} <= set(schemas)
    assert not {"Send", "SendText", "Say", "CreateSession"} & set(schemas)


def test_events_are_told_apart_by_name() -> None:
    mapping = SCHEMAS["Event"]["discriminator"]["mapping"]
    assert set(mapping) == set(CATALOGUE)
    assert len(set(mapping.values())) == len(CATALOGUE)
    for event, ref in mapping.items():
        schema = SCHEMAS[ref.rpartition("/")[2]]
        assert schema["properties"]["event"] == {"const": event}
        assert schema["required"] == list(Event.__struct_encode_fields__)
    assert SCHEMAS["EventList"]["properties"]["data"]["items"] == {"$ref": "#/components/schemas/Event"}


def test_parameters_of_lists_are_printed_without_null() -> None:
    parameters = {part["name"]: part for part in at("get", "/sessions")["parameters"]}
    assert parameters["limit"]["schema"] == {"type": "integer"}
    assert parameters["kinds"]["schema"]["type"] == "array"
    assert not any(part["required"] for part in parameters.values())


def test_success_statuses_and_media_types_are_printed() -> None:
    assert {"200", "202"} <= set(at("post", "/sessions/{session}/messages")["responses"])
    assert "content" not in at("patch", "/sessions/{session}/groups/{gid}")["responses"]["204"]
    assert "image/png" in at("get", "/sessions/{session}/qr")["responses"]["200"]["content"]
    assert not at("patch", "/sessions/{session}/groups/{gid}")["requestBody"]["required"]
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {name: (each["type"], each.get("bearerFormat")) for name, each in schemes.items()} == {
        "key": ("apiKey", None),
        "bearer": ("http", None),
        "login": ("http", "JWT"),
    }
