"""HTTP on the socket: the server's own parser, with an end to what a stranger may send before a request begins.

The server takes request lines and headers of any size and waits for them forever. Here a head may take 64 KiB and 30
seconds, and what is no HTTP at all is told so in the body that every other error has. Named in bootstrap as the
server's protocol.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from wagate.api import answers
from wagate.api.operations import ANSWER, KIB, Headers, Reply
from wagate.errors import BadRequest

HEAD_BYTES = 64 * KIB
HEAD_SECONDS = 30.0
IDLE_SECONDS = 75
"""For how long an idle connection is kept open after an answer; a promise that answers may tell of is shorter."""
_TOO_LARGE = 431


class _Joining:
    """A transport that sends an answer's head together with its body: one system call, one segment."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def write(self, chunk: bytes) -> None:
        """Hold a head back until its body comes, or until this turn of the loop ends."""
        if self._head:
            chunk, self._head = self._head + chunk, b""
        elif chunk.startswith(b"HTTP/1.1 ") and chunk.endswith(b"\r\n\r\n"):
            self._head = chunk
            self._loop.call_soon(self._flush)
            return
        self._transport.write(chunk)

    def close(self) -> None:
        """Close when everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    @property
    def plain(self) -> asyncio.Transport:
        """The transport itself, for who takes the connection over; what was held back goes out first."""
        self._flush()
        return self._transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _answer(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> bool:
    """Write a whole answer at once; False: nothing was done, because this one needs the server's own way.

    The caller promises that the names are lower case, that the values hold no line ends, and that `content-length` is
    the body's.
    """
    if cycle.flow.write_paused or cycle.disconnected or not cycle.keep_alive or cycle.response_started:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    parts = [STATUS_LINE[status]]
    for name, value in cycle.default_headers + headers:
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", body)
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    cycle.on_response()
    return True


class Protocol(HttpToolsProtocol):
    """One connection. `HEAD_BYTES` may be exceeded by what one read brings."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected: it has `HEAD_SECONDS` to say what it wants."""
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, _Joining(transport))
        # The server's own log of requests would hold paths, and paths hold phone numbers.
        self.access_log = False
        self._in_head = False
        self._began = False
        self._head = 0
        self._late: asyncio.TimerHandle | None = None
        self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what belongs to a head that is not complete yet."""
        self._began = False
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if self._late is None:
            self._start_waiting()
        # A read that began this head may hold the end of the request before: it does not count.
        if not self._began:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self._refuse(_TOO_LARGE, "the request's line and headers are larger than 64 KiB")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = self._began = True
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete; the app takes over."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """The app is started, and told that it may answer in one piece."""
        extensions: dict[str, Any] = {ANSWER: partial(_answer, cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        self._refuse(400, "the request is not valid HTTP")

    def _refuse(self, status: int, sentence: str) -> None:
        self._stop_waiting()
        body = answers.as_bytes(Reply(body=answers.error_body(BadRequest(sentence, errors=[sentence], fields=[]))))
        lines = [
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"x-request-id: req_%s\r\n" % secrets.token_hex(12).encode(),
            b"connection: close\r\n\r\n",
            body,
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()

    def _start_waiting(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()
