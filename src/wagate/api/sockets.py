"""WebSocket: a ticket becomes a connection that shows its organization's log, live or from an event on.

Everything that can be refused is refused before the upgrade, with the status and the body that every other error has.
Then the first frame is `connected`, and each event is one JSON text. Called by app.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import structlog

from wagate.api import answers
from wagate.api.frames import CONNECTION, GOING_AWAY, Connection, text_frame, trouble
from wagate.api.operations import OPEN, PREFIX, Call, Operation, Reply
from wagate.errors import BadRequest, Forbidden, NotFound, Unauthorized, WagateError
from wagate.gateway import Gateway, feeds, organizations, tickets
from wagate.gateway.feeds import Ending, Reader
from wagate.gateway.tickets import Redeemed
from wagate.model.events import Event
from wagate.model.organizations import Caller
from wagate.model.realtime import HEARTBEAT_SECONDS, Connected, CursorLost, Ping

PATH = PREFIX + "/realtime"
SLOW, REVOKED = 4408, 4401

_TICKET = re.compile(rb"(?:^|&)ticket=(rt_[0-9A-Za-z]{43})(?![0-9A-Za-z])")
_CLOSINGS: dict[Ending, tuple[int, str]] = {
    "slow": (SLOW, f"the reader is {feeds.MOST_BEHIND} frames behind; connect again with since"),
    "revoked": (REVOKED, "the credential is no longer good"),
    "closing": (GOING_AWAY, "the gateway stops"),
    "cursor_expired": (SLOW, "the reader's position has left the log; connect again with since"),
}
_NEW_ORGANIZATIONS_SECONDS = 1.0

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

log = structlog.get_logger(__name__)


class _Frames:
    """Events as WebSocket frames."""

    kind = "websocket"

    def pack(self, event: Event, text: bytes) -> bytes:
        """One event is one text message."""
        return text_frame(text)

    def heartbeat(self, now: int) -> bytes:
        """A ping that clients see."""
        return text_frame(msgspec.json.encode(Ping(timestamp=now)))

    def lost(self, oldest: str) -> bytes:
        """Say so, and go on."""
        return text_frame(msgspec.json.encode(CursorLost(oldest=oldest)))


_FRAMES = _Frames()


class _FirehoseFrames(_Frames):
    """As those of one log, but for the signs of life: one connection shows many logs."""

    def heartbeat(self, now: int) -> bytes:
        """None of each."""
        return b""


_FIREHOSE_FRAMES = _FirehoseFrames()


async def serve(gw: Gateway, scope: Scope, receive: Receive, send: Send, *, origins: frozenset[bytes]) -> None:
    """One connection, from its handshake to its end. `origins`: the web pages that may open one."""
    await receive()
    connection: Connection = scope["extensions"][CONNECTION]
    named = connection.request_id
    structlog.contextvars.bind_contextvars(request_id=named)
    try:
        opened = await _admit(gw, scope, origins)
    except WagateError as error:
        await _refuse(send, answers.of_error(error), named)
        return
    except Exception as defect:
        await _refuse(send, answers.of_defect(defect, None, named), named)
        return
    try:
        if opened.scope == "firehose":
            await _firehose(gw, opened, connection, send)
        else:
            await _organization(gw, opened, connection, send)
    except WagateError as error:
        if not connection.handshake_complete:
            await _refuse(send, answers.of_error(error), named)
            return
        connection.finish(REVOKED if isinstance(error, Unauthorized) else 1011, trouble(error.message))


def page() -> Operation:
    """What a plain request to the WebSocket's path is told."""
    return Operation(id="realtime", method="GET", path="", run=_plain, tag="pages", capability=OPEN, query=_Any)


class _Any(msgspec.Struct, frozen=True):
    """Whatever is asked."""

    ticket: str | None = None


async def _plain(call: Call) -> Reply:
    given = _TICKET.search(b"ticket=" + (call.query.ticket or "").encode())
    if given is None:
        raise Unauthorized("the ticket is missing, malformed, used or expired")
    await tickets.must_be_known(call.gw, given[1].decode())
    raise BadRequest("this is a WebSocket: ask for the upgrade")


async def _admit(gw: Gateway, scope: Scope, origins: frozenset[bytes]) -> Redeemed:
    if scope["raw_path"] != PATH.encode():
        raise NotFound("there is nothing at this path")
    given = [value for name, value in scope["headers"] if name.lower() == b"origin"]
    if any(origin not in origins for origin in given):
        raise Forbidden("this origin is not among WAGATE_CORS_ORIGINS")
    # A client that adds the ticket to the URL that has it already is understood.
    ticket = _TICKET.search(scope["query_string"])
    if ticket is None:
        raise Unauthorized("the ticket is missing, malformed, used or expired")
    return await tickets.redeem(gw, ticket[1].decode())


async def _refuse(send: Send, reply: Reply, request_id: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    headers.append((b"x-request-id", request_id.encode()))
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answers.as_bytes(reply)})


async def _reader(gw: Gateway, opened: Redeemed, caller: Caller, connection: Connection) -> Reader:
    wish = feeds.wanted(caller, session_id=opened.session_id, names=opened.names)
    packing = _FIREHOSE_FRAMES if opened.scope == "firehose" else _FRAMES
    return await feeds.follow(gw, caller, wish, packing=packing, outlet=lambda nudge: connection)


async def _beat(gw: Gateway, connection: Connection) -> None:
    while True:
        await gw.clock.sleep(HEARTBEAT_SECONDS)
        connection.write(_FRAMES.heartbeat(gw.clock.now()))


def _greet(gw: Gateway, connection: Connection) -> None:
    connection.write(text_frame(msgspec.json.encode(Connected(timestamp=gw.clock.now()))))


async def _organization(gw: Gateway, opened: Redeemed, connection: Connection, send: Send) -> None:
    # The position is taken before the greeting: whoever was greeted misses nothing.
    reader = await _reader(gw, opened, opened.caller, connection)
    try:
        connection.on_change, connection.on_gone = reader.nudge, lambda: reader.end("gone")
        await send({"type": "websocket.accept"})
        _greet(gw, connection)
        if opened.since is not None:
            reader.position = opened.since
        _finish(connection, await reader.run())
    finally:
        reader.leave()


async def _firehose(gw: Gateway, opened: Redeemed, connection: Connection, send: Send) -> None:
    """Every organization's log, live; organizations that are made meanwhile join."""
    readers: dict[str, tuple[Reader, asyncio.Task[Ending]]] = {}
    over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def ended(why: Ending) -> None:
        if not over.done():
            over.set_result(why)

    def changed() -> None:
        for reader, _ in readers.values():
            reader.nudge()

    async def join(organization_id: str, *, since: str | None = None) -> None:
        caller = msgspec.structs.replace(opened.caller, organization_id=organization_id)
        reader = await _reader(gw, opened, caller, connection)
        if since is not None:
            reader.position = since
        task = asyncio.create_task(reader.run())
        task.add_done_callback(lambda done: ended("gone" if done.cancelled() else done.result()))
        readers[organization_id] = (reader, task)

    connection.on_change, connection.on_gone = changed, lambda: ended("gone")
    beating = asyncio.create_task(_beat(gw, connection))
    try:
        for each in await organizations.all_of_them(gw):
            await join(each.id)
        await send({"type": "websocket.accept"})
        _greet(gw, connection)
        while not over.done():
            await asyncio.wait([over], timeout=_NEW_ORGANIZATIONS_SECONDS)
            for each in await organizations.all_of_them(gw):
                if each.id not in readers and not over.done():
                    # All of a new one's log is news.
                    await join(each.id, since="")
        _finish(connection, over.result())
    finally:
        beating.cancel()
        for reader, task in readers.values():
            reader.leave()
            task.cancel()


def _finish(connection: Connection, why: Ending) -> None:
    if why in _CLOSINGS:
        code, sentence = _CLOSINGS[why]
        log.info("a connection is closed", why=why)
        connection.finish(code, trouble(sentence))
