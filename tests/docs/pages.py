"""The pages that are printed from the code, and the floor plan of ARCHITECTURE.md. `make docs` writes them.

Whoever changes an operation, an error, an event, a setting, a command, the schema or a module's first line runs it; the
tests beside this file fail until then.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from configparser import ConfigParser
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import wagate.cli
from tests.docs.capabilities import capabilities_page
from tests.docs.dialects import wasend_guide
from tests.docs.host_protocol import host_protocol_page
from tests.docs.story import EXAMPLES
from tests.support.source import PACKAGE, ROOT, files
from wagate.api.openapi import document, errors_of
from wagate.api.operations import PREFIX, Operation
from wagate.backends import migrate
from wagate.bootstrap import OPERATIONS
from wagate.cli.reference import commands_page
from wagate.config import settings_table
from wagate.errors import Refused, WagateError
from wagate.model.events import CATALOGUE
from wagate.telemetry.metrics import metrics_page

Schema = dict[str, Any]

DOCUMENT = document(OPERATIONS)
SHAPES: dict[str, Schema] = DOCUMENT["components"]["schemas"]


def operations_page() -> str:
    """Every operation by its noun, then the shapes that they take and give."""
    text = f"""# Operations

This page is printed from the operations themselves, as `/api/v1/openapi.json` is, which says more: bounds, patterns,
examples. All paths are below `{PREFIX}`. `?` marks what may be absent. Every operation can also answer `400`
`validation_error`, `405`, `500` and `503`; one with a capability `401` and `403`; one with a body `413`. A session or
another thing of another organization is `404`. What each code means: [errors](errors.md).
"""
    for tag in dict.fromkeys(operation.tag for operation in OPERATIONS):
        text += (
            f"\n## {tag}\n\n| operation | method, path | needs | body → answer | also | |\n|---|---|---|---|---|---|\n"
        )
        text += "".join(_operation(operation) for operation in OPERATIONS if operation.tag == tag)
    return (
        text
        + "\n## Shapes\n\nEvents have a page [of their own](events.md).\n\n"
        + "".join(_shape(name) for name in _reached(DOCUMENT["paths"]))
    )


def errors_page() -> str:
    """The tree of errors, and who can give them."""
    text = """# Errors

This page is printed from `src/wagate/errors.py`. Every error has one body:

```json
{"error": {"code": "not_found", "message": "session not found", "details": {"reason": "…"}}}
```

`code` and the status never change; `message` is for people; `details` may be absent. *Again*: the same request may
succeed later as it stands. *Certain*: the failure is certain; where it is not, what was asked may have happened all the
same, and `details.certain` is the last word.

| code | HTTP | when | again | certain | given by |
|---|---|---|---|---|---|
"""
    common = set.intersection(*(set(errors_of(each)) for each in OPERATIONS))
    return text + "".join(_error(kind, common) for kind in _kinds(WagateError) if kind is not WagateError)


def events_page() -> str:
    """Every event that this version records: its payload, and an example of each."""
    present, examples = recorded(), msgspec.json.decode(EXAMPLES.read_bytes())
    text = f"""# Events

This page is printed from `src/wagate/model/events.py`. An event is a fact in its organization's log, which is read by
`GET {PREFIX}/events`. Each has the same envelope: `schema`, `id`, `event`, `session`, `organization`, `timestamp` and
`payload`. Ids only grow within an organization, and none appears behind one that was read; `timestamp` is in epoch
milliseconds. `?` marks what may be absent. The examples were recorded from one story on the sandbox.
"""
    for kind in dict.fromkeys(CATALOGUE[name] for name in present):
        schema, names = SHAPES[kind.__name__], [name for name in present if CATALOGUE[name] is kind]
        text += f"\n## {', '.join(names)}\n\n{_prose(schema['description'])}\n\n{_fields(schema)}\n"
        text += "".join(_example(examples[name]) for name in names)
    payloads = [SHAPES[CATALOGUE[name].__name__] for name in present]
    inside = [name for name in _reached(payloads) if name not in {kind.__name__ for kind in CATALOGUE.values()}]
    text += "\n## Shapes inside\n\n" + "".join(_shape(name) for name in inside)
    later = ", ".join(f"`{name}`" for name in CATALOGUE if name not in present)
    if later:
        text += f"\n## Named, not recorded yet\n\nThe catalogue holds the names {later} for later versions.\n"
    return text


def _example(envelope: Any) -> str:
    return f"\n```json\n{msgspec.json.format(msgspec.json.encode(envelope), indent=2).decode()}\n```\n"


def recorded() -> list[str]:
    """The names of the catalogue that the gateway or a worker writes down as a fact."""
    said = set()
    for room in ("gateway", "workers"):
        for path in files(".py", under=PACKAGE / room):
            said |= {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    return [name for name in CATALOGUE if name in said]


def floor_plan() -> str:
    """Every module with the first line of its docstring, room by room from the top."""
    lines = ["src/wagate/"]
    present = [path for path in PACKAGE.iterdir() if path.name != "__init__.py" and _is_ours(path)]
    for path in sorted(present, key=lambda path: (path.is_dir(), _FLOORS.get(path.name, 0), path.name)):
        lines += _room(path, 1)
    return "```\n" + "\n".join(lines) + "\n```\n"


_ROOMS = ("cli", "bootstrap", "api", "workers", "gateway", "engines", "backends", "model")
_FLOORS = {name: floor for floor, name in enumerate(_ROOMS)}

PLAN = "<!-- printed by `make docs` from each file's first line -->\n"
FLOORS = "<!-- printed by `make docs` from .importlinter -->\n"


def gateway_floors() -> str:
    """The floors inside the gateway, from above, with the modules that are there."""
    rules = ConfigParser()
    rules.read(ROOT / ".importlinter")
    floors = []
    for floor in rules["importlinter:contract:gateway"]["layers"].split("\n"):
        names = [name.strip("() ") for name in floor.split("|")]
        floors.append(" | ".join(name for name in names if (PACKAGE / "gateway" / f"{name}.py").exists()))
    return "```\n" + "\n".join(filter(None, floors)) + "\n```\n"


def architecture() -> str:
    """ARCHITECTURE.md with its two plans written anew."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for mark, printed in ((PLAN, floor_plan()), (FLOORS, gateway_floors())):
        before, found, after = text.partition(mark)
        if not found:
            raise ValueError(f"ARCHITECTURE.md has lost the mark {mark.strip()}")
        text = before + found + printed + after.split("```\n", 2)[2]
    return text


PAGES: dict[str, Callable[[], str]] = {
    "ARCHITECTURE.md": architecture,
    "docs/reference/operations.md": operations_page,
    "docs/reference/capabilities.md": capabilities_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/events.md": events_page,
    "docs/reference/settings.md": settings_table,
    "docs/guides/wasend.md": wasend_guide,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/host-protocol.md": host_protocol_page,
    "docs/reference/commands.md": lambda: commands_page(wagate.cli.app),
    **{
        f"src/wagate/backends/migrations/{migrate.WHOLE.format(dialect)}": partial(migrate.whole, dialect)
        for dialect in ("sqlite", "postgresql")
    },
}
"""Each file by its path from the root, and what prints it."""


def _operation(operation: Operation) -> str:
    facts = DOCUMENT["paths"][PREFIX + operation.path][operation.method.lower()]
    taken = [_type(each["schema"]) for each in facts.get("requestBody", {}).get("content", {}).values()]
    given = []
    for status, answer in facts["responses"].items():
        if status.startswith("2"):
            content = [_type(each["schema"]) for each in answer.get("content", {}).values()]
            given.append(" ".join([status, *content[:1]]))
    asked = [each["name"] + ("" if each["required"] else "?") for each in facts["parameters"] if each["in"] != "path"]
    query = f"<br>{_codes(asked)}" if asked else ""
    common = set.intersection(*(set(errors_of(each)) for each in OPERATIONS))
    also = sorted({f"{kind.status} `{kind.code}`" for kind in operation.errors if kind not in common})
    needs = " or ".join(f"`{name}`" for name in sorted(operation.capability))
    cells = [
        f"`{operation.id}`",
        f"{operation.method} `{operation.path}`{query}",
        needs,
        " → ".join(filter(None, [", ".join(taken), " / ".join(given)])),
        ", ".join(also),
        _prose(operation.summary),
    ]
    return "| " + " | ".join(cells) + " |\n"


def _error(kind: type[WagateError], common: set[type[WagateError]]) -> str:
    givers = [operation.id for operation in OPERATIONS if kind in errors_of(operation)]
    own = [operation.id for operation in OPERATIONS if kind in operation.errors]
    if kind in common:
        who = "every operation"
    elif len(givers) > 12:
        who = "many: see [operations](operations.md)"
    else:
        who = _codes(own or givers) or "none by itself"
    said = (kind.__doc__ or "").strip().splitlines()[0]
    if kind is not Refused and "reason" in (fixed := kind().details):
        said += f" `details.reason` is `{fixed['reason']}`."
    yes = {True: "yes", False: "no"}
    return f"| `{kind.code}` | {kind.status} | {said} | {yes[kind.retry]} | {yes[kind.certain]} | {who} |\n"


def _kinds(root: type[WagateError]) -> Iterator[type[WagateError]]:
    yield root
    # Only the tree as errors.py draws it: what stays inside the gateway is told to nobody.
    for child in root.__subclasses__():
        if child.__module__ == root.__module__:
            yield from _kinds(child)


def _shape(name: str) -> str:
    schema = SHAPES[name]
    said = _prose(schema.get("description", ""))
    if "properties" in schema:
        return f"- **{name}**: {said} {_fields(schema)}\n"
    return " ".join(filter(None, [f"- **{name}**:", said, _type(schema)])) + ".\n"


def _fields(schema: Schema) -> str:
    needed = schema.get("required", [])
    named = [
        f"`{name}` {_type(each)}" if name in needed else f"`{name}`? {_type(each).removesuffix(' or null')}"
        for name, each in schema.get("properties", {}).items()
    ]
    return ", ".join(named) + "." if named else "No fields."


def _type(schema: Schema) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name.removesuffix("List") + "[]" if name.endswith("List") else name
    if "enum" in schema or "const" in schema:
        return " / ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[union]))
    if schema.get("type") == "array":
        return _type(schema["items"]) + "[]"
    if schema.get("type") == "object":
        inside = schema.get("additionalProperties")
        return f"map of {_type(inside)}" if isinstance(inside, dict) and inside else "object"
    return str(schema.get("type", "anything"))


def _reached(*roots: Any) -> list[str]:
    """The names of the shapes that something leads to, the nearest first; not beyond events."""
    found: dict[str, None] = {}
    waiting: list[Any] = list(roots)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).partition("#/components/schemas/")[2]
            if name and name not in found and name != "Event":
                found[name] = None
                waiting.append(SHAPES[name])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return [name for name in found if not name.endswith("List") and not name.startswith("Error")]


def _room(path: Path, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if path.suffix == ".py":
        yield _line(indent + path.name, _first_line(path))
        return
    said = _first_line(path / "__init__.py")
    if depth == 1:
        yield ""
    yield _line(f"{indent}{path.name}/", said)
    for child in sorted(path.iterdir(), key=lambda each: (each.is_dir(), each.name)):
        if child.name not in ("__init__.py", "__pycache__", "versions") and _is_ours(child):
            yield from _room(child, depth + 1)


def _is_ours(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def _line(left: str, right: str) -> str:
    return f"{left:<26}{right}"


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n", 1)[0].rstrip(".")


def _codes(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _prose(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
