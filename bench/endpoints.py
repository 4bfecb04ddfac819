"""Endpoints that webhooks are delivered to, in the client's process: bare protocols that keep what came as bytes.

One that is well answers 200 at once, a slow one after five seconds. Of the dead ones the first half answers 500, the
other half refuses the connection. Each has a port of its own, as each customer has a host of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["well", "failing", "refusing", "slow"]
SLOW_SECONDS = 5.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_FAILING = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@dataclass(kw_only=True)
class Post:
    """One that came: when (epoch seconds), and all its bytes."""

    at: float
    raw: bytes

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def headers(self) -> dict[str, str]:
        """In small letters."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@dataclass(kw_only=True)
class Endpoint:
    """Where one webhook is delivered."""

    kind: Kind
    port: int = 0
    posts: list[Post] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


class _Line(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (head := buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(buffer, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(buffer) < end:
                break
            self._endpoint.posts.append(Post(at=time.time(), raw=buffer[:end]))
            buffer = buffer[end:]
            self._answer()
        self._buffer = buffer

    def _answer(self) -> None:
        if self._endpoint.kind == "slow":
            asyncio.get_running_loop().call_later(SLOW_SECONDS, self._say, _WELL)
        else:
            self._say(_WELL if self._endpoint.kind == "well" else _FAILING)

    def _say(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


@contextlib.asynccontextmanager
async def endpoints(kinds: list[Kind]) -> AsyncIterator[list[Endpoint]]:
    """Endpoints of these kinds, for as long as the context lasts."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for kind in kinds:
            endpoint = Endpoint(kind=kind)
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            endpoint.port = listener.getsockname()[1]
            if kind != "refusing":
                server = await loop.create_server(lambda endpoint=endpoint: _Line(endpoint), sock=listener)
                stack.callback(server.close)
            made.append(endpoint)
        yield made
