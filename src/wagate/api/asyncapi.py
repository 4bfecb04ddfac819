"""The events as they are shown live, printed as AsyncAPI 3.

Made from the catalogue of events and the frames' own shapes, as the OpenAPI document is made from the operations.
Called by pages.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

import msgspec

from wagate.api import openapi
from wagate.api.operations import PREFIX
from wagate.model.events import CATALOGUE
from wagate.model.realtime import Connected, CursorLost, Ping, Trouble

Document = dict[str, Any]

_FRAMES = (Connected, Ping, CursorLost, Trouble)
_SCHEMAS = "#/components/schemas/"
_MESSAGES = "#/components/messages/"


def document() -> Document:
    """The whole document as plain dicts and lists."""
    schemas: Document = openapi.document([])["components"]["schemas"]
    schemas.pop("ErrorBody", None)
    schemas.pop("ErrorFacts", None)
    _, frames = msgspec.json.schema_components(_FRAMES, ref_template=_SCHEMAS + "{name}")
    messages = {_name(event): _message(event, _name(event), payload.__doc__) for event, payload in CATALOGUE.items()}
    told = {each.__name__: _message(each.__name__, each.__name__, each.__doc__) for each in _FRAMES}
    shown = {name: {"$ref": _MESSAGES + name} for name in (*told, *messages)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "wagate events",
            "version": metadata.version("wagate"),
            "description": "One log for each organization, in order and without holes, shown live.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {"realtime": _socket(shown), "stream": _stream(messages)},
        "operations": {
            "watch": {"action": "send", "channel": {"$ref": "#/channels/realtime"}, "summary": "Frames to a reader."},
            "stream": {"action": "send", "channel": {"$ref": "#/channels/stream"}, "summary": "Blocks to a reader."},
        },
        "components": {"schemas": schemas | frames, "messages": told | messages},
    }


def as_json() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def _socket(messages: Document) -> Document:
    query = {
        "type": "object",
        "required": ["ticket"],
        "properties": {"ticket": {"type": "string", "description": "From createRealtimeTicket; works once."}},
    }
    return {
        "address": f"{PREFIX}/realtime",
        "description": "WebSocket; each frame is one JSON text.",
        "messages": messages,
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _stream(messages: Document) -> Document:
    return {
        "address": f"{PREFIX}/events/stream",
        "description": "Server-sent events; the data of each is the envelope.",
        "messages": {name: {"$ref": _MESSAGES + name} for name in messages},
        "bindings": {"http": {"bindingVersion": "0.3.0"}},
    }


def _message(name: str, schema: str, description: str | None) -> Document:
    summary = " ".join((description or name).split())
    return {"name": name, "summary": summary, "payload": {"$ref": _SCHEMAS + schema}}


def _name(event: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[._]", event)) + "Event"
