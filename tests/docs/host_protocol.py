"""The page of what the gateway and a host process of the real network say to each other."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

import msgspec

from wagate.engines import base
from wagate.engines.whatsapp import wire


def host_protocol_page() -> str:
    """Every frame, want and report with its fields, from the shapes that both sides decode by."""
    text = f"""# The host protocol

This page is printed from `src/wagate/engines/whatsapp/wire.py`. The gateway and a host process, the only program that
loads the WhatsApp library, speak over a pair of connected Unix stream sockets. The gateway makes it, starts
`python -m wagate.engines.whatsapp --socket FD --patience SECONDS` and leaves it one end; the host's standard
output and error are a log. Each side sends frames: four octets with the length, the highest first, then so many
octets of [msgpack](https://msgpack.org), at most {wire.FRAME_LIMIT}. A message is a map; its `type` names it. `?` marks
what may be absent. Bytes of files never go this way: both sides name paths on the machine that they share.

The end of the stream is the end of both: a host whose gateway is gone closes its sessions and ends, a gateway whose
host is gone takes every want that was under way for lost. A frame that is too long, or is no message of these, ends the
stream too.

## From the gateway

"""
    text += "".join(_shape(kind) for kind in get_args(wire.FromGateway))
    text += "\n### What can be wanted\n\nThe `want` of an `Asked` is one of these, told apart by `type` too.\n\n"
    text += "".join(_shape(kind) for kind in get_args(wire.AnyWant))
    text += "\n## From the host\n\n" + "".join(_shape(kind) for kind in get_args(wire.FromHost))
    text += f"\n### Reports\n\n{_first(wire.Reported)} Each `body` is msgpack of its own:\n\n"
    text += "".join(_shape(kind) for kind in get_args(base.Report))
    return text + (
        "\n## Shapes inside\n\n"
        + "".join(_shape(kind) for kind in _INSIDE)
        + "\nThe others are the API's own: [operations](operations.md#shapes), [events](events.md).\n"
    )


_INSIDE: tuple[Any, ...] = (base.Account, base.Snapshot, base.Ended, wire.Reported, wire.WireError)


def _shape(kind: Any) -> str:
    fields = [
        f"`{field.encode_name}`{'' if field.required else '?'} {_type(kind.__annotations__.get(field.name))}"
        for field in (msgspec.structs.fields(kind) if issubclass(kind, msgspec.Struct) else ())
    ]
    return f"- **{kind.__name__}**: {_first(kind)} {', '.join(fields) + '.' if fields else 'No fields.'}\n"


def _type(annotation: Any) -> str:
    """An annotation in the words of the other reference pages."""
    text = str(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", annotation))
    text = re.sub(r"Maybe\[(.*)\]", r"\1", text).replace("msgspec.Raw", "any").replace("base.", "")
    text = re.sub(r"(?:list|tuple|frozenset)\[(\w+)(?:, \.\.\.)?\]", r"\1[]", text)
    text = re.sub(r"dict\[(\w+), (\w+)\]", r"map of \2", text)
    text = re.sub(r"Literal\[(.*)\]", lambda found: found[1].replace("'", "`").replace(", ", " / "), text)
    words = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}
    return re.sub(r"\b(str|int|float|bool|None)\b", lambda found: words[found[0]], text).replace(" | ", " or ")


def _first(kind: Any) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n", 1)[0].split())
