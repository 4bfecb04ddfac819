"""A cheap HTTP client: one connection, one request at a time, no headers read but the length.

The client shares a machine with what it measures, so it does next to nothing: requests are bytes made beforehand, and
answers are kept as bytes.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any


class Gone(Exception):
    """The other side closed the connection; whether it took the request is not known."""


class Line(asyncio.Protocol):
    """A connection that is kept alive."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Gone())

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or self._answer is None:
            return
        named = self._buffer.find(b"content-length: ", 0, head)
        end = head + 4
        if named > 0:
            end += int(self._buffer[named + 16 : self._buffer.find(b"\r\n", named)])
        if len(self._buffer) >= end:
            answer, body = (int(self._buffer[9:12]), self._buffer[head + 4 : end])
            self._buffer = self._buffer[end:]
            self._answer.set_result((answer, body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            Gone: the connection ended first.
        """
        if self._transport.is_closing():
            raise Gone
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End it."""
        self._transport.close()


async def connect(port: int) -> Line:
    """A new connection to this machine."""
    return (await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port))[1]


class Caller:
    """Whoever calls with one key: makes the bytes of requests, and asks what need not be fast."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self._key = key

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """The bytes of a request below /api/v1."""
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        return (
            f"{method} /api/v1{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {self._key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        ).encode() + content

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer, on a connection of its own."""
        line = await connect(self.port)
        try:
            status, content = await line.ask(self.request(method, path, body))
        finally:
            line.close()
        return status, json.loads(content) if content else None

    async def get(self, path: str) -> Any:
        """The JSON of a GET that succeeds."""
        return await self.must("GET", path)

    async def must(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a request that succeeds."""
        status, found = await self.ask(method, path, body)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path} → {status}: {found}")
        return found

    async def everything(self, path: str, *, position: str = "cursor") -> list[Any]:
        """All rows of a list. `position`: the parameter that takes `nextCursor` (the event log's is `after`)."""
        rows: list[Any] = []
        mark, cursor = "&" if "?" in path else "?", ""
        while True:
            page = await self.get(f"{path}{mark}limit=200" + (f"&{position}={cursor}" if cursor else ""))
            rows += page["data"]
            if not page["data"] or not page["nextCursor"]:
                return rows
            cursor = page["nextCursor"]
