"""The ASGI app: finds the operation, asks who calls, reads the body, runs it, and renders what came of it.

The order is fixed: route, credential, capability, existence, body. No body is read before the credential is accepted: a
refused one is drained up to 64 KiB or a second, so that a client that is still sending small things sees the answer; a
larger one is not read and the connection closes. Called by the HTTP server; built in bootstrap. It handles neither
signals nor start and stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import structlog

from wagate.api import answers, auth, bodies, pages, sockets, streams
from wagate.api.cursors import Signer
from wagate.api.dialects import Dialect
from wagate.api.operations import ANSWER, PREFIX, RESERVED, Call, Headers, Operation, Reply
from wagate.api.routing import Table
from wagate.api.spools import Spools
from wagate.backends.database import UnstorableValue
from wagate.errors import BadRequest, Forbidden, MethodNotAllowed, NotFound, WagateError
from wagate.gateway import Gateway
from wagate.model import ids
from wagate.telemetry import traces

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, bodies.Receive, Send], Awaitable[None]]
Observe = Callable[[str, int, float], None]
"""Told of every answer: the operation's id (empty for an unknown path), the status, the seconds it took."""

log = structlog.get_logger(__name__)

_ONCE = frozenset({b"x-api-key", b"authorization", b"idempotency-key", b"content-type", b"content-length"})
_CLOSE = (b"connection", b"close")
_PAGES = frozenset({b"", *(segment.encode() for segment in RESERVED - {"api", "sandbox", "wasend"})})
"""The first segments of pages, of which no trace is recorded."""
_JSON = (b"content-type", b"application/json")
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
_ALLOW_HEADERS = "Authorization, Content-Type, X-Api-Key, Idempotency-Key, X-Request-Id, Last-Event-ID, Prefer"
_EXPOSE_HEADERS = b"X-Request-Id, Retry-After"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiOptions:
    """The operator's choices about the API. Times in seconds.

    `checks` are asked by `/readyz`: each returns when its part works and raises when it does not. `metrics` prints the
    metrics; without `metrics_token` they are not shown here. `log_answers`: also those that are no refusals, at level
    debug; asking the logger each time would cost more than the check.
    """

    sandbox: bool = True
    cors_origins: tuple[str, ...] = ()
    body_timeout: float = 30.0
    checks: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    metrics: Callable[[], bytes] | None = None
    metrics_token: str | None = None
    observe: Observe | None = None
    log_answers: bool = False


def build(
    gw: Gateway,
    *,
    operations: Iterable[Operation],
    signer: Signer,
    options: ApiOptions,
    dialects: Sequence[Dialect] = (),
) -> App:
    """The app over `operations`, those of `dialects` and the open pages included.

    Raises:
        ValueError: two operations claim one method and path, or one id.
    """
    present = [operation for operation in operations if options.sandbox or not operation.sandbox]
    everything = [*present, *(operation for dialect in dialects for operation in dialect.operations)]
    if len({operation.id for operation in everything}) != len(everything):
        raise ValueError("two operations have one id")
    api = _Api(gw, signer, options, dialects)
    for operation in present:
        api.add(PREFIX + operation.path, operation)
    for path, page in pages.pages(present, checks=options.checks, metrics=options.metrics, token=options.metrics_token):
        api.add(path, page)
    api.add(sockets.PATH, sockets.page())
    for dialect in dialects:
        for base in dialect.bases:
            for operation in dialect.operations:
                api.add(base + operation.path, operation, dialect)
    return api


class _Ready:
    """An operation with all that can be made ready beforehand."""

    __slots__ = ("body", "dialect", "names", "operation", "path", "query")

    def __init__(self, operation: Operation, path: str, dialect: Dialect | None) -> None:
        self.operation = operation
        self.path = path
        self.dialect = dialect
        self.names = operation.names
        self.body = bodies.BodyReader(operation)
        self.query = bodies.QueryReader(operation.query)


class _Exchange:
    """One request on its way to its answer. `unread`: a body was announced and not read to its end. `dialect`: the one
    that the answer is given in, as far as that is known; None: our own.
    """

    __slots__ = (
        "dialect", "headers", "operation", "receive", "repeats", "request_id", "route", "scope", "send", "unread",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: bodies.Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        # Names are lower case by ASGI's word.
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.repeats = len(self.headers) != len(scope["headers"]) and _repeats(scope["headers"])
        self.operation: Operation | None = None
        self.dialect: Dialect | None = None
        self.route = ""
        self.unread = b"transfer-encoding" in self.headers or self.headers.get(b"content-length", b"0") != b"0"
        self.request_id = ids.request_id(self.headers.get(b"x-request-id"))

    def refused(self, error: WagateError) -> Reply:
        """The answer that tells of `error`."""
        return answers.of_error(error) if self.dialect is None else self.dialect.refuse(error)

    def failed(self, defect: Exception) -> Reply:
        """The answer to a defect of ours, which is logged."""
        return answers.of_defect(defect, self.operation, self.request_id, self.refused)

    def keep(self, headers: Headers) -> None:
        """Say how long the connection stays open, where the dialect does."""
        if self.dialect is not None and b"close" not in self.headers.get(b"connection", b"").lower():
            headers += self.dialect.kept

    def span(self) -> traces.Span:
        """The trace that the caller goes on with, or a new one; health and metrics are not recorded."""
        parent = traces.continued(self.headers.get(b"traceparent"))
        if parent is not None and len(self.headers) != len(self.scope["headers"]):
            # One that is given twice is none.
            parent = parent if [name for name, _ in self.scope["headers"]].count(b"traceparent") == 1 else None
        path = self.scope["raw_path"]
        if not path.startswith(b"/api/") and path[1:].partition(b"/")[0] in _PAGES:
            return traces.Span(parent or traces.begin(), None)
        return traces.span(self.scope["method"], parent, kind="server")

    def told(self, status: int) -> dict[str, str | int | bool]:
        """The request as its span tells of it: of the path its pattern alone, for it holds numbers."""
        told = {
            "http.request.method": self.scope["method"],
            "http.response.status_code": status,
            "url.scheme": self.scope["scheme"],
        }
        route = {"http.route": self.route} if self.route else {}
        return {**told, **route, "wagate.request.id": self.request_id}

    def length(self) -> int | None:
        """The announced length of the body in bytes; None when it comes in chunks."""
        if b"transfer-encoding" in self.headers:
            return None
        return int(self.headers.get(b"content-length", b"0"))


def _repeats(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a header that decides something is there more than once."""
    names = [name for name, _ in headers if name in _ONCE]
    return len(names) != len(set(names))


class _Api:
    def __init__(self, gw: Gateway, signer: Signer, options: ApiOptions, dialects: Sequence[Dialect]) -> None:
        self._gw = gw
        self._signer = signer
        self._options = options
        self._dialects = dialects
        self._table: Table[_Ready] = Table()
        for segment in RESERVED:
            self._table.reserve(segment)
        self._origins = frozenset(origin.encode("latin-1") for origin in options.cors_origins)

    def add(self, path: str, operation: Operation, dialect: Dialect | None = None) -> None:
        """Mount an operation under its full path."""
        ready = _Ready(operation, path, dialect)
        self._table.add(operation.method, path, ready, colons=dialect is not None)

    async def __call__(self, scope: Scope, receive: bodies.Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await sockets.serve(self._gw, scope, receive, send, origins=self._origins)
            return
        started = perf_counter()
        exchange = _Exchange(scope, receive, send)
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        with exchange.span() as here:
            traces.current.set(here.traceparent)
            status = await self._serve(exchange)
            if here.recorded and status is not None:
                here.error = str(status) if status >= 500 else None
                here.tell(exchange.told(status), name=f"{scope['method']} {exchange.route}".rstrip())
        if status is not None and self._options.observe is not None:
            name = exchange.operation.id if exchange.operation else ""
            self._options.observe(name, status, perf_counter() - started)

    async def _serve(self, exchange: _Exchange) -> int | None:
        """Answer; the status that went out, None where nobody is there any more."""
        scope = exchange.scope
        try:
            reply = await self._answer(exchange)
        except WagateError as error:
            reply = exchange.refused(error)
        except UnstorableValue:
            reply = exchange.refused(BadRequest("a text holds characters that cannot be stored"))
        except bodies.ClientGone:
            return None
        except Exception as defect:
            reply = exchange.failed(defect)
        status = await self._give(exchange, reply)
        name = exchange.operation.id if exchange.operation else ""
        if status >= 400:
            log.info("refused", operation=name, method=scope["method"], status=status)
        elif self._options.log_answers:
            log.debug("answered", operation=name, method=scope["method"], status=status)
        return status

    async def _answer(self, exchange: _Exchange) -> Reply:
        scope = exchange.scope
        found = self._table.find(scope["raw_path"])
        if found is None:
            exchange.dialect = next((each for each in self._dialects if each.owns(scope["raw_path"])), None)
            raise NotFound("there is nothing at this path")
        place, values = found
        ready = place.get(scope["method"])
        if ready is None:
            exchange.dialect = place.any.dialect
            if scope["method"] == "OPTIONS" and self._preflight(exchange):
                return Reply(status=204, headers=_preflight_headers(place.allow))
            raise MethodNotAllowed(allow=place.allow)
        exchange.dialect = ready.dialect
        operation = exchange.operation = ready.operation
        exchange.route = ready.path
        call = Call(operation, self._gw, self._signer)
        call.headers, call.request_id = exchange.headers, exchange.request_id
        if scope["method"] == "HEAD":
            call.head = True
        if exchange.repeats:
            # Whoever stands in front of us may have judged the other one.
            raise BadRequest("a header that may be given once is given twice")
        if operation.capability:
            call.caller = await auth.identify(self._gw, exchange.headers)
            if operation.capability.isdisjoint(call.caller.capabilities):
                raise Forbidden(f"this needs the capability {' or '.join(sorted(operation.capability))}")
        if None in values:
            raise NotFound
        call.path = dict(zip(ready.names, values, strict=True))  # type: ignore[arg-type]
        if operation.find is not None:
            call.found = await operation.find(call)
        call.query = ready.query.decode(scope["query_string"])
        if operation.spooled:
            return await self._spooled(exchange, ready, call)
        if not ready.body.ignored:
            call.body = await self._body(exchange, ready)
        return answers.of_result(await operation.run(call), operation)

    async def _body(self, exchange: _Exchange, ready: _Ready) -> Any:
        raw = b""
        if exchange.unread:
            limit = _limit(exchange, ready.operation)
            raw = await bodies.read(exchange.receive, limit, timeout=self._options.body_timeout)
            exchange.unread = False
        return ready.body.decode(raw, exchange.headers.get(b"content-type"))

    async def _spooled(self, exchange: _Exchange, ready: _Ready, call: Call) -> Reply:
        """Run an operation whose body goes to disk as it arrives; what nobody adopted of it is deleted."""
        operation, timeout = ready.operation, self._options.body_timeout
        limit = _limit(exchange, operation)
        async with Spools(self._gw.blobs.spooling) as spools:
            call.spools = spools
            if ready.body.raw:
                call.body = await bodies.read_file(exchange.receive, limit, spools, timeout=timeout)
                exchange.unread = False
            else:
                content_type = exchange.headers.get(b"content-type")
                if content_type is not None:
                    bodies.judge_type(content_type)
                raw = b""
                if exchange.unread:
                    raw = await bodies.read_spooled(exchange.receive, limit, spools, timeout=timeout)
                    exchange.unread = False
                call.body = ready.body.decode(raw, content_type)
            return answers.of_result(await operation.run(call), operation)

    async def _give(self, exchange: _Exchange, reply: Reply) -> int:
        """Send the answer; returns the status that went out."""
        if type(reply.body) is answers.Streamed:
            return await self._stream(exchange, reply, reply.body)
        try:
            body = answers.as_bytes(reply)
        except Exception as defect:
            reply = exchange.failed(defect)
            body = answers.as_bytes(reply)
        headers = self._headers(exchange, reply, len(body))
        head = exchange.scope["method"] == "HEAD"
        if head:
            body = b""
        if exchange.dialect is not None and not exchange.unread:
            exchange.keep(headers)
        # The usual answer goes out in one piece, where the server takes it so.
        at_once = exchange.scope.get("extensions", {}).get(ANSWER)
        usual = reply.body is not None and not (head or reply.headers or exchange.unread)
        if usual and at_once is not None and at_once(reply.status, headers, body):
            return reply.status
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        if exchange.unread:
            small = _small(exchange)
            if small and await bodies.drain(exchange.receive):
                exchange.keep(headers)
            else:
                headers.append(_CLOSE)
                if not small:
                    # Answer first, so that who is still sending can see why, then read a little of it and close.
                    await exchange.send(start)
                    await exchange.send({"type": "http.response.body", "body": body, "more_body": True})
                    await bodies.drain(exchange.receive)
                    await exchange.send({"type": "http.response.body", "body": b""})
                    return reply.status
        await exchange.send(start)
        await exchange.send({"type": "http.response.body", "body": body})
        return reply.status

    async def _stream(self, exchange: _Exchange, reply: Reply, body: answers.Streamed) -> int:
        """Send an answer in pieces for as long as the client takes them; returns the status that went out."""
        headers = self._headers(exchange, reply, body.length)
        if exchange.unread:
            headers.append(_CLOSE)
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        if exchange.scope["method"] == "HEAD" or body.length == 0:
            await exchange.send(start)
            await exchange.send({"type": "http.response.body", "body": b""})
            return reply.status
        async with contextlib.aclosing(body.pieces()) as pieces:
            try:
                piece = await anext(pieces)
            except WagateError as error:
                return await self._give(exchange, exchange.refused(error))
            except Exception as defect:
                return await self._give(exchange, exchange.failed(defect))
            await exchange.send(start)
            # Who has announced a body that nobody reads is not watched: watching would read it.
            watched = None if exchange.unread else exchange.receive
            await streams.pour(exchange.send, piece, pieces, receive=watched, timeout=self._options.body_timeout)
        return reply.status

    def _headers(self, exchange: _Exchange, reply: Reply, length: int | None) -> Headers:
        headers = [(b"x-request-id", exchange.request_id.encode("ascii")), _NOSNIFF]
        if reply.body is not None:
            json = reply.media_type == "application/json"
            headers.append(_JSON if json else (b"content-type", reply.media_type.encode("latin-1")))
        if length is not None and reply.status not in (204, 304):
            headers.append((b"content-length", b"%d" % length))
        if reply.headers:
            headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        if "cache-control" not in reply.headers:
            headers.append(_NO_STORE)
        if self._origins:
            headers.append((b"vary", b"Origin"))
            origin = exchange.headers.get(b"origin")
            if origin in self._origins:
                headers.append((b"access-control-allow-origin", origin))
                headers.append((b"access-control-expose-headers", _EXPOSE_HEADERS))
        return headers

    def _preflight(self, exchange: _Exchange) -> bool:
        return exchange.headers.get(b"origin") in self._origins and (
            b"access-control-request-method" in exchange.headers
        )


def _limit(exchange: _Exchange, operation: Operation) -> int:
    """How many bytes of the body to read at most.

    Raises:
        PayloadTooLarge: more are announced.
    """
    length = exchange.length()
    if length is not None and length > operation.max_body:
        raise bodies.too_large(operation.max_body)
    return operation.max_body


def _small(exchange: _Exchange) -> bool:
    """Whether the body can be read out of the way, so that the connection can be kept.

    Reading would make the server say "100 Continue" to a client that waits for it: such a body is never asked for.
    """
    length = exchange.length()
    return length is not None and length <= bodies.DRAIN_BYTES and b"expect" not in exchange.headers


def _preflight_headers(allow: str) -> dict[str, str]:
    return {
        "access-control-allow-methods": allow,
        "access-control-allow-headers": _ALLOW_HEADERS,
        "access-control-max-age": "600",
    }
