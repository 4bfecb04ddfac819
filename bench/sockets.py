"""A cheap WebSocket client: frames are counted as they come, kept as bytes, and read after the clock has stopped."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

_HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_SMALL = 4096
"""What one who never reads takes into its own socket."""


class Watcher(asyncio.Protocol):
    """One connection that reads. `on_frames(n)` is told how many text frames came."""

    def __init__(self, on_frames: Callable[[int], None]) -> None:
        self.frames = 0
        self.last = 0.0
        self.parts: list[bytes] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self._on_frames = on_frames
        self._left = 0
        self._rest = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("refused"))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            data = self._handshake(data)
            if not data:
                return
        self.parts.append(data)
        frames, self._left, self._rest = counted(data, self._left, self._rest)
        if frames:
            self.frames += frames
            self.last = time.perf_counter()
            self._on_frames(frames)

    def _handshake(self, data: bytes) -> bytes:
        self._rest += data
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return b""
        self._rest = b""
        if head.startswith(b"HTTP/1.1 101 "):
            self.opened.set_result(None)
            return rest
        self.opened.set_exception(RuntimeError(head.decode()))
        return b""

    def texts(self) -> list[bytes]:
        """The texts of all frames so far, taken apart only now."""
        return texts(b"".join(self.parts))

    def say(self, text: bytes) -> None:
        """Send a short text, masked with zeros."""
        self.transport.write(b"\x81" + bytes((0x80 | len(text),)) + bytes(4) + text)


def counted(data: bytes, left: int, rest: bytes) -> tuple[int, int, bytes]:
    """How many frames end in `data`, how many bytes of the next are still to come, and its cut-off head.

    `left` and `rest` are what the piece before gave. Frames are whole messages without a mask.
    """
    frames, at, size = 0, 0, len(data)
    if rest:
        data, rest = rest + data, b""
        size = len(data)
    if left:
        if left > size:
            return 0, left - size, b""
        at, frames = left, 1
    while size - at >= 2:
        short = data[at + 1]
        head = 2 if short < 126 else 4 if short == 126 else 10
        if size - at < head:
            break
        end = at + head + (short if head == 2 else int.from_bytes(data[at + 2 : at + head], "big"))
        if end > size:
            return frames, end - size, b""
        frames, at = frames + 1, end
    return frames, 0, data[at:]


def texts(data: bytes) -> list[bytes]:
    """The texts of whole frames."""
    found, at = [], 0
    while at < len(data):
        short = data[at + 1]
        head = 2 if short < 126 else 4 if short == 126 else 10
        end = at + head + (short if head == 2 else int.from_bytes(data[at + 2 : at + head], "big"))
        found.append(data[at + head : end])
        at = end
    return found


async def watch(port: int, path: str, on_frames: Callable[[int], None] = lambda count: None) -> Watcher:
    """A connection that reads, behind its handshake."""
    loop = asyncio.get_running_loop()
    _, watcher = await loop.create_connection(lambda: Watcher(on_frames), "127.0.0.1", port)
    watcher.transport.write(_HANDSHAKE % path.encode())
    await watcher.opened
    return watcher


async def sleeper(port: int, path: str) -> socket.socket:
    """A connection that never reads again once it is open."""
    loop = asyncio.get_running_loop()
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    line.setblocking(False)
    await loop.sock_connect(line, ("127.0.0.1", port))
    await loop.sock_sendall(line, _HANDSHAKE % path.encode())
    answer = await loop.sock_recv(line, 512)
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise RuntimeError(answer.decode())
    return line
