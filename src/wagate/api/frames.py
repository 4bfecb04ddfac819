"""WebSocket on the socket: the server's own protocol, with frames that many connections share.

What goes to a thousand readers is encoded once: a server's frames carry no mask, so their bytes are the same for all.
A connection takes whole frames while the client reads and says no otherwise; nobody waits for it. What clients say is
read and dropped, a message above 4 KiB ends the connection; pings are answered. There is no compression: it would cost
each connection memory and each frame time. Named in bootstrap as the server's protocol for upgrades.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import msgspec
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.http11 import Response

from wagate.api import answers
from wagate.api.operations import Reply
from wagate.errors import BadRequest
from wagate.model import ids
from wagate.model.realtime import Trouble

CONNECTION = "wagate.connection"
"""The ASGI extension that is the connection itself."""
MOST_INCOMING = 4096
"""How many bytes a client's message may have."""
GOING_AWAY = 1001

_CLOSE_SECONDS = 5.0
_HEARD_PER_SECOND = 64 * 1024
"""How many bytes a second a client may say, and at once: they are dropped, but reading them takes everybody's time."""
_STOP_SECONDS = 0.5
_SEND_BUFFER = 256 * 1024
_GONE_MS = 120_000

# The server's own lines would hold tickets.
_quiet = logging.getLogger("wagate.api.frames")
_quiet.setLevel(logging.ERROR)


def text_frame(text: bytes) -> bytes:
    """A whole text message as it goes out: RFC 6455, 5.2, one frame, no mask."""
    size = len(text)
    if size < 126:
        return b"\x81" + bytes((size,)) + text
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text


def trouble(sentence: str) -> bytes:
    """The frame that says why a connection is closed."""
    return text_frame(msgspec.json.encode(Trouble(error=sentence)))


class Connection(WebSocketsSansIOProtocol):
    """One connection. `on_change` is called when it takes again after it was full, `on_gone` when it has ended."""

    on_change: Callable[[], None] | None = None
    on_gone: Callable[[], None] | None = None
    request_id: str
    """The handshake's own, or a new one."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.logger = self.conn.logger = _quiet
        # Handshakes that are none are refused in the body that every error has.
        self.conn.reject = _rejection  # type: ignore[method-assign]
        self._heard = self._heard_at = 0.0
        self._listening: asyncio.TimerHandle | None = None

    def write(self, piece: bytes) -> bool:
        """Send whole frames if the client keeps up; False: nothing was sent."""
        if not self.writable.is_set() or self.close_sent or self.transport.is_closing():
            return False
        self.transport.write(piece)
        return True

    def finish(self, code: int, last: bytes = b"", *, within: float = _CLOSE_SECONDS) -> None:
        """Send `last` and close, also when the client does not read: after `within` seconds it is cut off."""
        if self.close_sent or self.transport.is_closing():
            return
        try:
            self.conn.send_close(code)
        except InvalidState:
            self.transport.close()
            return
        self.close_sent = True
        self.transport.write(last + b"".join(self.conn.data_to_send()))
        self._listen()
        self.close_timer = self.loop.call_later(within, self.transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The HTTP protocol hands over; it may have wrapped the transport."""
        super().connection_made(getattr(transport, "plain", transport))
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                # Whoever does not read should be known to be behind, and cost little; whoever is gone, be gone.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                # What nobody listens to should not pile up here, and the end that stands behind it be seen soon.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HEARD_PER_SECOND)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_MS)

    def data_received(self, data: bytes) -> None:
        """Parse; a handshake that cannot be read is refused."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()) or _rejection(400, "").serialize())
            self.transport.close()
        elif not self.close_sent:
            self._weigh(len(data))

    def _weigh(self, size: int) -> None:
        """Whoever says too much is not listened to for as long as that much may take."""
        now = self.loop.time()
        self._heard = max(self._heard - (now - self._heard_at) * _HEARD_PER_SECOND, 0.0) + size
        self._heard_at = now
        too_much = self._heard - _HEARD_PER_SECOND
        if too_much > 0 and self._listening is None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._listening = self.loop.call_later(too_much / _HEARD_PER_SECOND, self._listen)

    def _listen(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended."""
        if self._listening is not None:
            self._listening.cancel()
        super().connection_lost(exc)
        self._tell_gone()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self.on_change is not None:
            self.on_change()

    def shutdown(self) -> None:
        """The process stops: say so, and do not wait for long."""
        if self.handshake_complete and not self.close_sent:
            self.finish(GOING_AWAY, trouble("the gateway stops"), within=_STOP_SECONDS)
            self._tell_gone()
        else:
            super().shutdown()

    def handle_connect(self, event: Any) -> None:
        """The app is started, and told that it has the connection itself."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.request_id = ids.request_id(dict(self.scope["headers"]).get(b"x-request-id"))
            self.scope["extensions"][CONNECTION] = cast(Any, self)

    def handle_text(self, event: Any) -> None:
        """What clients say is dropped, each piece as it comes: of empty ones a message may have any number."""

    handle_bytes = handle_cont = handle_text

    def handle_ping(self) -> None:
        """Pings are answered; who sends them and takes no answer gets none kept."""
        pongs = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pongs)

    def handle_parser_exception(self) -> None:
        """The client does not speak the protocol, or too much of it."""
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self._tell_gone()

    def handle_close(self, event: Any) -> None:
        """The client closes, or answers our closing."""
        super().handle_close(event)
        self._tell_gone()

    async def send(self, message: Any) -> None:
        """What the app says. A refusal completes the handshake: without that the server's log calls it a defect."""
        if message["type"] == "websocket.accept":
            message = {**message, "headers": [(b"x-request-id", self.request_id.encode())]}
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def _tell_gone(self) -> None:
        if self.on_gone is not None:
            self.on_gone()


def _rejection(status: HTTPStatus | int, text: str) -> Response:
    sentence = "the WebSocket handshake is not valid"
    body = answers.as_bytes(Reply(body=answers.error_body(BadRequest(sentence, errors=[sentence], fields=[]))))
    headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Request-Id": ids.request_id(),
            "Connection": "close",
        }
    )
    return Response(int(HTTPStatus.BAD_REQUEST), HTTPStatus.BAD_REQUEST.phrase, headers, body)
