"""An operation is data: method, path, capability, input, answer, errors, and the function that runs it.

Each noun file exports `OPERATIONS: list[Operation]`; routing, the gate, OpenAPI and the tests that try every operation
with every credential are made from these lists and from nothing else. An operation's summary and description are its
function's docstring, because one text should serve both readers.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wagate.api.cursors import Signer
from wagate.api.spools import Spools
from wagate.errors import WagateError
from wagate.gateway import Gateway
from wagate.model import Ask
from wagate.model.organizations import Caller

PREFIX = "/api/v1"
RESERVED = frozenset(
    {"api", "app", "assets", "auth", "sandbox", "wasend", "docs", "healthz", "readyz", "metrics", ".well-known"}
)
"""First path segments that belong to the gateway itself; no session id ever equals one."""

OPEN: frozenset[str] = frozenset()
READ: frozenset[str] = frozenset({"read"})
SEND: frozenset[str] = frozenset({"send"})
MANAGE: frozenset[str] = frozenset({"manage"})
EVENTS: frozenset[str] = frozenset({"events"})
SUPER_ADMIN: frozenset[str] = frozenset({"super_admin"})

Headers = list[tuple[bytes, bytes]]
"""Header names, lower case, and their values, as they go out."""
ANSWER = "wagate.answer"
"""The ASGI extension of our own server that takes a whole answer at once: `(status, headers, body) -> bool`."""

KIB = 1024
MIB = 1024 * KIB

MEDIA_BODY = 22 * MIB
"""A body with one file of the largest size, in base64."""

SEND_BODY = 88 * MIB
"""A body with the largest album, in base64."""


class Nothing(Ask, frozen=True, kw_only=True):
    """A body or a query without any field: an empty one is taken, a field is refused."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is more than its body.

    `body` is encoded as JSON unless it is `bytes`, which go out as they are with `media_type`; None is no body at all.
    Header names are lower case.
    """

    status: int = 200
    body: Any = None
    media_type: str = "application/json"
    headers: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderParameter:
    """A request header that an operation reads, for OpenAPI. The operation itself judges the value."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


class Call:
    """One request, as an operation's function sees it.

    `path` holds the decoded path segments by name, `query` and `body` the operation's own types (None where it has
    none), `found` what the operation's `find` returned. For an open operation `caller` is `NOBODY`. `head`: only the
    answer's headers are wanted. `spools`: the files of a spooled operation's request, which go when it is answered.
    """

    __slots__ = (
        "body", "caller", "found", "gw", "head", "headers", "operation", "path", "query", "request_id", "signer",
        "spools",
    )  # fmt: skip

    spools: Spools

    def __init__(self, operation: Operation, gw: Gateway, signer: Signer) -> None:
        self.operation = operation
        self.gw = gw
        self.signer = signer
        self.caller: Caller = NOBODY
        self.path: dict[str, str] = {}
        self.query: Any = None
        self.body: Any = None
        self.found: Any = None
        self.headers: dict[bytes, bytes] = {}
        self.request_id = ""
        self.head = False

    def header(self, name: str) -> str | None:
        """The request header with this name (any case), or None."""
        value = self.headers.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")


NOBODY = Caller(organization_id="", capabilities=frozenset())
"""The caller of an open operation."""

Run = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What clients can ask for, once.

    `path` is below `PREFIX`; a `{name}` is one segment, a verb follows a colon (`/sessions/{session}:start`,
    `/sessions/{session}/groups:join`). `capability`: any one of them is enough; empty is open to everyone.

    `body`: a msgspec type, or `bytes` for raw bytes, or None. A type that `{}` satisfies makes the body optional. None
    on POST, PUT and PATCH takes only an empty body or `{}`, on other methods a body is ignored. `query`: a struct whose
    fields are all optional. Unknown fields are refused in both.

    `max_body`: how many bytes the body may have. `spooled`: it goes to disk as it arrives. JSON goes on without its
    long `data` strings, to be had by `media_file(text, call.spools)`, and what remains may have 1 MiB; raw bytes are
    one file, and `call.body` is that `SpoolFile`.

    `answer`: the type of the success body, None for none. `statuses`: the success statuses, the usual one first: it is
    given to whatever `run` returns, unless that is a `Reply`; returning None gives no body. `also` names further media
    types of the answer.

    `errors`: what it can raise beyond what every operation can. `find` runs after the capability check and before the
    body is read: it raises NotFound for what does not exist; what it returns is `call.found`. `sandbox`: it exists only
    while the sandbox is on.
    """

    id: str
    method: str
    path: str
    run: Run
    tag: str
    capability: frozenset[str]
    body: Any = None
    query: type[msgspec.Struct] = Nothing
    answer: Any = None
    statuses: tuple[int, ...] = (200,)
    errors: tuple[type[WagateError], ...] = ()
    also: tuple[str, ...] = ()
    headers: tuple[HeaderParameter, ...] = ()
    max_body: int = MIB
    spooled: bool = False
    find: Run | None = None
    sandbox: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(part.partition("}")[0] for part in self.path.split("{")[1:])

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring, in one line."""
        return " ".join(self._text[0].split())

    @property
    def description(self) -> str:
        """What the docstring says beyond the first paragraph."""
        return self._text[1]

    @property
    def _text(self) -> tuple[str, str]:
        head, _, rest = (inspect.getdoc(self.run) or self.id).partition("\n\n")
        return head.rstrip(".") if head.count(". ") == 0 else head, rest.strip()
