"""A way to PostgreSQL's socket that can be shut, or stand open and let nothing through, beside the others' own."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path


class Door:
    """`host` is what to connect to in the place of the server's own folder."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.held = 0
        """What came in a jam, and waits."""
        self._open = asyncio.Event()
        self._open.set()
        self._shut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._leading: set[asyncio.Task[None]] = set()
        self._theirs = ""

    def shut(self) -> None:
        """Whoever is connected is cut off, and nobody comes in."""
        self._shut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def jam(self) -> None:
        """Connections stay, and nothing goes over them."""
        self._open.clear()

    def open(self) -> None:
        """As if nothing had been."""
        self._shut = False
        self.held = 0
        self._open.set()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        leading = asyncio.ensure_future(self._lead(reader, writer))
        self._leading.add(leading)
        leading.add_done_callback(self._leading.discard)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways: list[asyncio.Task[None]] = []
        self._writers.add(writer)
        try:
            if self._shut:
                return
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._theirs)
            self._writers.add(inner_writer)
            ways += map(asyncio.ensure_future, (self._carry(reader, inner_writer), self._carry(inner_reader, writer)))
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            inner_writer.close()
            self._writers.discard(inner_writer)
        except OSError:
            pass  # the server is gone: so is whoever came through here
        finally:
            for way in ways:
                way.cancel()
            writer.close()
            self._writers.discard(writer)

    async def _close(self) -> None:
        self.shut()
        for leading in list(self._leading):
            leading.cancel()
        await asyncio.gather(*self._leading, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                self.held += not self._open.is_set()
                await self._open.wait()
                writer.write(piece)
                await writer.drain()


@contextlib.asynccontextmanager
async def door(host: str) -> AsyncIterator[Door]:
    """A door to the server whose socket is in the folder `host`."""
    with tempfile.TemporaryDirectory(prefix="wagate-door-", dir="/tmp") as folder:
        made = Door(folder)
        made._theirs = str(Path(host) / ".s.PGSQL.5432")
        server = await asyncio.start_unix_server(made._enter, Path(folder) / ".s.PGSQL.5432")
        try:
            yield made
        finally:
            server.close()
            await made._close()
