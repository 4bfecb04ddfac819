"""The proxy by which clients come, HTTP CONNECT and SOCKS5 on one port: they ask for names, nobody looks one up."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fnmatch

from tests.emulator.certificates import NAMES

_SOCKS = b"\x05"
_BY_NAME, _CONNECT, _PLAIN, _PASSWORD = 3, 1, 0, 2


class Proxy:
    """Leads WhatsApp's names to the emulator's TLS port and refuses every other.

    `asked`: each `name:port` in order; `refused`: those that nobody may ask for; `callers`: the user and password of
    each who gave any. While `shut` it turns everybody away.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.callers: list[str] = []
        self.shut = False
        self._target = port
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a port of the system's choice."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the door and every tunnel."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    def cut(self) -> None:
        """Break every tunnel at once, as a network does that fails."""
        for tunnel in list(self._tunnels):
            tunnel.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            first = await reader.readexactly(1)
            speak = self._socks if first == _SOCKS else self._http
            if await speak(first, reader, writer):
                await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tunnels.discard(task)
            writer.close()

    def _may_go(self, name: str, port: int | str) -> bool:
        """Note who is asked for; whether the way is open."""
        known = any(fnmatch.fnmatch(name, pattern) for pattern in NAMES)
        (self.asked if known else self.refused).append(f"{name}:{port}")
        return known and not self.shut

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, _, rest = head.partition(" ")
        name, _, port = rest.partition(" ")[0].rpartition(":")
        for line in head.split("\r\n"):
            if line.lower().startswith("proxy-authorization: basic "):
                self.callers.append(base64.b64decode(line.rpartition(" ")[2]).decode())
        if method == "CONNECT" and self._may_go(name, port):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            return True
        status = b"503 Service Unavailable" if self.shut else b"403 Forbidden"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return False

    async def _socks(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        method = _PASSWORD if _PASSWORD in methods else _PLAIN
        writer.write(bytes((5, method)))
        if method == _PASSWORD:
            await reader.readexactly(1)
            given = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in ("user", "password")]
            self.callers.append(b":".join(given).decode())
            writer.write(b"\x01\x00")
        _, command, _, kind = await reader.readexactly(4)
        if kind != _BY_NAME:
            # An address: somebody looked a name up, which no client of ours may do.
            self.refused.append("by address")
            writer.write(b"\x05\x02\x00\x01" + bytes(6))
            await writer.drain()
            return False
        name = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        goes = command == _CONNECT and self._may_go(name, port)
        writer.write((b"\x05\x00" if goes else b"\x05\x02") + b"\x00\x01" + bytes(6))
        await writer.drain()
        return goes

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
        pipes = [asyncio.ensure_future(_pipe(reader, their_writer)), asyncio.ensure_future(_pipe(their_reader, writer))]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            their_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
