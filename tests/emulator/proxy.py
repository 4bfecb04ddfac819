"""The HTTP CONNECT proxy by which the client comes: it asks for names, none of which is ever looked up."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch

from tests.emulator.certificates import NAMES


class Proxy:
    """Leads WhatsApp's names to the emulator's TLS port and refuses every other.

    `asked`: each `name:port` in order; `refused`: those that nobody may ask for. While `shut` it answers 503 to all.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.refused: list[str] = []
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
            await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tunnels.discard(task)
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.decode("latin-1").partition(" ")
        wanted = rest.partition(" ")[0]
        name = wanted.rpartition(":")[0]
        if method != "CONNECT" or not any(fnmatch.fnmatch(name, known) for known in NAMES):
            self.refused.append(wanted)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        self.asked.append(wanted)
        if self.shut:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
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
