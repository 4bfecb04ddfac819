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
        self._keep(b"", awaited=0)
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Gone())

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._awaited:
            return
        buffer = b"".join(self._parts)
        head = buffer.find(b"\r\n\r\n")
        end = 0 if head < 0 else head + 4 + _length(buffer, head)
        if len(buffer) < end or head < 0 or self._answer is None:
            self._keep(buffer, awaited=end)
            return
        answer, body = (int(buffer[9:12]), buffer[head + 4 : end])
        self._keep(buffer[end:], awaited=0)
        self._answer.set_result((answer, body))

    def _keep(self, rest: bytes, *, awaited: int) -> None:
        # A large answer is put together once, when it is whole.
        self._parts, self._size, self._awaited = [rest], len(rest), awaited

    @property
    def answered(self) -> bool:
        """Whether the last request has its answer."""
        return self._answer is None or self._answer.done()

    async def ask(self, *request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request, given in one or more parts.

        Raises:
            Gone: the connection ended first.
        """
        if self._transport.is_closing():
            raise Gone
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines(request)
        return await self._answer

    def close(self) -> None:
        """End it."""
        self._transport.close()


def _length(buffer: bytes, head: int) -> int:
    """What the header says of the body's length; 0 when it says nothing."""
    named = buffer.find(b"content-length: ", 0, head)
    return int(buffer[named + 16 : buffer.find(b"\r\n", named)]) if named > 0 else 0


async def connect(port: int) -> Line:
    """A new connection to this machine."""
    return (await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port))[1]


class Caller:
    """Whoever calls with one key: makes the bytes of requests, and asks what need not be fast."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """The bytes of a request below /api/v1."""
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        return (
            f"{method} /api/v1{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {self.key}\r\n"
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
