"""The operations and the events, printed as OpenAPI 3.1.

Everything is made from what the program itself uses: the operations' declarations, their functions' docstrings, the
shapes that bodies are decoded into and answers are encoded from, the error tree and the catalogue of events. Called by
pages and by the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib import metadata
from typing import Any

import msgspec

from wagate.api import answers
from wagate.api.operations import MIB, PREFIX, SUPER_ADMIN, Operation
from wagate.errors import (
    BadRequest,
    Forbidden,
    Internal,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    StorageUnavailable,
    Unauthorized,
    WagateError,
)
from wagate.model.contents import Content
from wagate.model.events import CATALOGUE, EventId
from wagate.model.sandbox import Say
from wagate.model.sends import Send

Document = dict[str, Any]

_REF = "#/components/schemas/"
_UNIONS = {"Send": Send, "Content": Content, "Say": Say}
"""Unions that get a name of their own."""

_SEGMENT = {"type": "string", "minLength": 1}
_PERSON = r"^(\+?[0-9][0-9 ().-]*|[0-9]+(:[0-9]+)?@(s\.whatsapp\.net|c\.us|lid))$"
_ANYBODY = r"^(\+?[0-9][0-9 ().-]*|[0-9]+([:-][0-9]+)?@(s\.whatsapp\.net|c\.us|lid|g\.us|newsletter))$"
_PARAMETERS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "session": ("The session's id.", {**_SEGMENT, "maxLength": 64, "pattern": "^[^:/]+$"}),
    "gid": ("The group's JID.", {**_SEGMENT, "pattern": r"^[0-9]+(-[0-9]+)?@g\.us$"}),
    "cid": ("The chat's JID: a person (phone JID, LID, number), a group or a channel.", {**_SEGMENT, "maxLength": 128}),
    "lid": ("The person's LID or phone JID.", {**_SEGMENT, "pattern": _PERSON}),
    "mid": ("The message's id on WhatsApp.", {**_SEGMENT, "maxLength": 128}),
    "outboxId": ("The id of the outbox entry.", {**_SEGMENT, "maxLength": 64}),
    "phone": ("A phone number, digits.", {**_SEGMENT, "pattern": r"^\+?[0-9][0-9 ().-]*$"}),
    "jid": ("The JID of the person, group or channel; a person's number will do.", {**_SEGMENT, "pattern": _ANYBODY}),
}
_TEXT = (
    "Every answer carries `X-Request-Id`. Times are integers in epoch milliseconds. Unknown fields are refused, in "
    "bodies and in query strings. A person's JID may be written as phone JID, LID, `@c.us` or a bare number, `@` raw "
    "or as `%40`."
)


def document(operations: Sequence[Operation]) -> Document:
    """The whole document as plain dicts and lists."""
    schemas = _Schemas(operations)
    paths: dict[str, Document] = {}
    for operation in operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    errors = {error.__name__: error for operation in operations for error in errors_of(operation)}
    components = {
        "schemas": _used(schemas.components, paths),
        "examples": {error.__name__: _example(error) for _, error in sorted(errors.items())},
        "headers": {"RequestId": {"description": "Names this request in logs.", "schema": {"type": "string"}}},
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key, `wa_…`."},
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `wa_…`."},
            "login": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A person's login token, where the gateway is told of an identity provider.",
            },
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wagate",
            "version": metadata.version("wagate"),
            "description": _TEXT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": components,
    }


def as_json(operations: Sequence[Operation]) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(operations))


def as_yaml(operations: Sequence[Operation]) -> bytes:
    """The document as YAML, in the same order."""
    import yaml  # only who asks for YAML pays for it

    # Through JSON, so that what the document shares is written out instead of becoming anchors.
    plain = msgspec.json.decode(as_json(operations))
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return bytes(yaml.dump(plain, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"))


def errors_of(operation: Operation) -> list[type[WagateError]]:
    """Every error that an operation can give: its own, and those of its kind."""
    found: list[type[WagateError]] = [BadRequest]
    if operation.capability:
        found += [Unauthorized, Forbidden]
    if operation.names:
        found.append(NotFound)
    if operation.body is not None or operation.method in ("POST", "PUT", "PATCH"):
        found.append(PayloadTooLarge)
    found += [MethodNotAllowed, *operation.errors, Internal, StorageUnavailable]
    return list(dict.fromkeys(found))


class _Schemas:
    """Every shape once, by name; `of` gives the schema of a type as a reference to them."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        kinds = [kind for operation in operations for kind in (operation.body, operation.answer) if _is_shape(kind)]
        kinds += [answers.ErrorBody, *CATALOGUE.values(), *_UNIONS.values()]
        self._unique: list[Any] = []
        for kind in kinds:
            if kind not in self._unique:
                self._unique.append(kind)
        queries = {operation.query for operation in operations}
        schemas, components = msgspec.json.schema_components(self._unique, ref_template=_REF + "{name}")
        self._schemas = [_tidy(schema) for schema in schemas]
        self.components: Document = {_name(name): _tidy(schema) for name, schema in components.items()}
        for name, kind in _UNIONS.items():
            self.components[name] = self._schemas[self._unique.index(kind)]
        self._name_unions()
        self._add_events()
        self._queries = {kind: _query(kind) for kind in queries}

    def of(self, kind: Any) -> Document:
        """The schema of a body's or an answer's type."""
        schema: Document = self._schemas[self._unique.index(kind)]
        return schema

    def query(self, kind: type[msgspec.Struct]) -> list[Document]:
        """The parameters of a query type."""
        return self._queries[kind]

    def _name_unions(self) -> None:
        named = {_members(self.components[name]): name for name in _UNIONS}
        own = {id(self.components[name]) for name in _UNIONS}

        def walk(node: Any) -> Any:
            if isinstance(node, dict):
                if "discriminator" in node and id(node) not in own and _members(node) in named:
                    return {"$ref": _REF + named[_members(node)]}
                return {key: walk(value) for key, value in node.items()} if id(node) not in own else node
            return [walk(value) for value in node] if isinstance(node, list) else node

        self.components = {name: walk(schema) for name, schema in self.components.items()}
        self._schemas = [
            {"$ref": _REF + name} if (name := named.get(_members(schema))) else walk(schema) for schema in self._schemas
        ]

    def _add_events(self) -> None:
        """One envelope a kind of event, and `Event` as their union."""
        refs: dict[str, str] = {}
        for event, payload in CATALOGUE.items():
            name = "".join(part.capitalize() for part in re.split(r"[._]", event)) + "Event"
            refs[event] = _REF + name
            self.components[name] = _envelope(event, self.of(payload), description=payload.__doc__ or event)
        self.components["Event"] = {
            "description": "One recorded fact; `event` says which.",
            "oneOf": [{"$ref": ref} for ref in refs.values()],
            "discriminator": {"propertyName": "event", "mapping": refs},
        }


def _envelope(event: str, payload: Document, *, description: str) -> Document:
    properties = {
        "schema": {"const": "v1"},
        "id": msgspec.json.schema(EventId),
        "event": {"const": event},
        "session": {"type": "string"},
        "organization": {"type": "string"},
        "timestamp": {"type": "integer", "minimum": 0},
        "payload": payload,
    }
    return {
        "title": event,
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _operation(operation: Operation, schemas: _Schemas) -> Document:
    needs = f"Needs the capability {' or '.join(f'`{each}`' for each in sorted(operation.capability))}."
    text = [operation.description, needs if operation.capability else "Open to everyone."]
    printed: Document = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": "\n\n".join(part for part in text if part),
        "parameters": [*_path(operation), *schemas.query(operation.query), *_headers(operation)],
        "security": [{name: []} for name in _schemes(operation)],
    }
    if operation.body is bytes:
        content: Document = {"*/*": {"schema": {}}}
        printed["requestBody"] = {"required": True, "description": _limit(operation), "content": content}
    elif operation.body is not None:
        required = not _has_defaults(operation.body)
        # Where nothing need be said, clients that encode their nothing as `null` are understood, too.
        taken = schemas.of(operation.body) if required else {"anyOf": [schemas.of(operation.body), {"type": "null"}]}
        content = {"application/json": {"schema": taken}}
        printed["requestBody"] = {"required": required, "description": _limit(operation), "content": content}
    printed["responses"] = {**_successes(operation, schemas), **_refusals(operation)}
    return printed


def _schemes(operation: Operation) -> tuple[str, ...]:
    """The credentials that an operation can be called with; no key holds the platform's role."""
    if not operation.capability:
        return ()
    return ("login",) if operation.capability == SUPER_ADMIN else ("key", "bearer", "login")


def _path(operation: Operation) -> Iterator[Document]:
    for name in operation.names:
        description, schema = _PARAMETERS.get(name, (f"The {name} in question.", _SEGMENT))
        yield {"name": name, "in": "path", "required": True, "description": description, "schema": dict(schema)}


def _headers(operation: Operation) -> Iterator[Document]:
    for header in operation.headers:
        yield {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.description,
            "schema": dict(header.schema),
        }


def _successes(operation: Operation, schemas: _Schemas) -> Document:
    found: Document = {}
    for status in operation.statuses:
        answer: Document = {"description": HTTPStatus(status).phrase, "headers": _every_header()}
        content: Document = {}
        if operation.answer is not None and status != HTTPStatus.NO_CONTENT:
            media_type = "application/octet-stream" if operation.answer is bytes else "application/json"
            content[media_type] = {"schema": {} if operation.answer is bytes else schemas.of(operation.answer)}
        if status != HTTPStatus.NO_CONTENT:
            content |= {also: {"schema": {}} for also in operation.also}
        if content:
            answer["content"] = content
        found[str(status)] = answer
    return found


def _refusals(operation: Operation) -> Document:
    by_status: dict[int, list[type[WagateError]]] = {}
    for error in errors_of(operation):
        by_status.setdefault(error.status, []).append(error)
    found: Document = {}
    for status, errors in sorted(by_status.items()):
        headers = _every_header()
        if RateLimited in errors:
            headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer"}}
        if MethodNotAllowed in errors:
            headers["Allow"] = {"description": "What the path takes.", "schema": {"type": "string"}}
        examples = {error.__name__: {"$ref": f"#/components/examples/{error.__name__}"} for error in errors}
        codes = ", ".join(dict.fromkeys(f"`{error.code}`" for error in errors))
        content = {"application/json": {"schema": {"$ref": _REF + "ErrorBody"}, "examples": examples}}
        found[str(status)] = {"description": codes, "headers": headers, "content": content}
    return found


def _example(error: type[WagateError]) -> Document:
    if error is BadRequest:
        told: WagateError = BadRequest.field("to", "is missing")
    elif error is Internal:
        told = Internal("something went wrong inside the gateway", requestId="req_0123456789abcdef01234567")
    elif error is RateLimited:
        told = RateLimited(retryAfterSeconds=12)
    elif error is MethodNotAllowed:
        told = MethodNotAllowed(allow="GET, HEAD")
    else:
        told = error()
    return {"summary": " ".join((error.__doc__ or "").split("\n")[0].split()), "value": answers.error_body(told)}


def _query(kind: type[msgspec.Struct]) -> list[Document]:
    (_,), components = msgspec.json.schema_components([kind], ref_template=_REF + "{name}")
    found = []
    for name, schema in components[kind.__name__].get("properties", {}).items():
        plain = _without_null(schema)
        description = plain.pop("description", "")
        found.append({"name": name, "in": "query", "required": False, "description": description, "schema": plain})
        if plain.get("type") == "array":
            found[-1] |= {"style": "form", "explode": False}
    return found


def _without_null(schema: Document) -> Document:
    """A query parameter is absent or has a value: `null` cannot be written in a URL."""
    rest = {key: value for key, value in schema.items() if key != "default" or value is not None}
    others = [part for part in rest.pop("anyOf", []) if part != {"type": "null"}]
    if len(others) == 1:
        return {**rest, **others[0]}
    return {**rest, "anyOf": others} if others else rest


def _tidy(node: Any) -> Any:
    """One schema in our words: `oneOf` beside a discriminator, plain names of lists, no default that means absent."""
    if isinstance(node, dict):
        tidied = {key: _tidy(value) for key, value in node.items() if not (key == "default" and value is None)}
        if "discriminator" in tidied and "anyOf" in tidied:
            tidied = {"oneOf": tidied.pop("anyOf"), **tidied}
        if tidied.get("required") == []:
            del tidied["required"]
        return tidied
    if isinstance(node, list):
        return [_tidy(value) for value in node]
    return _REF + _name(node.removeprefix(_REF)) if isinstance(node, str) and node.startswith(_REF) else node


def _name(name: str) -> str:
    found = re.fullmatch(r"Page_(.*)_", name)
    return f"{found[1]}List" if found else name


def _members(schema: Document) -> frozenset[str]:
    """The references of a union; what is none has no members."""
    return frozenset(part.get("$ref", "") for part in schema.get("oneOf", [])) or frozenset({""})


def _used(components: Document, paths: Document) -> Document:
    """The components that the paths lead to, and those that travel without a path: errors and events."""
    found = {"ErrorBody", "Event"}
    new: set[str] = set(_refs(paths)) | found
    while new:
        found |= new
        new = {ref for name in new for ref in _refs(components[name])} - found
    return {name: schema for name, schema in components.items() if name in found}


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if (ref := str(node.get("$ref", ""))).startswith(_REF):
            yield ref.removeprefix(_REF)
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _is_shape(kind: Any) -> bool:
    return kind is not None and kind is not bytes


def _has_defaults(kind: Any) -> bool:
    try:
        msgspec.json.decode(b"{}", type=kind)
    except msgspec.MsgspecError:
        return False
    return True


def _limit(operation: Operation) -> str:
    return f"At most {operation.max_body // MIB} MiB."


def _every_header() -> Document:
    return {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
