"""A way to PostgreSQL's socket that can be shut, or stand open and let nothing through, beside the others' own."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
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


class Beside:
    """A door on an event loop of its own, for tests that are no coroutines."""

    def __init__(self, dsn: str, way: Door, loop: asyncio.AbstractEventLoop) -> None:
        self.dsn = f"{dsn.partition('host=')[0]}host={way.host}"
        """The address that `dsn` is, by this way."""
        self._way = way
        self._loop = loop

    def jam(self) -> None:
        """As the door's."""
        self._loop.call_soon_threadsafe(self._way.jam)

    def open(self) -> None:
        """As the door's."""
        self._loop.call_soon_threadsafe(self._way.open)


@contextlib.contextmanager
def beside(dsn: str) -> Iterator[Beside]:
    """A door to the server of this address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    standing = door(dsn.partition("host=")[2])
    try:
        yield Beside(dsn, asyncio.run_coroutine_threadsafe(standing.__aenter__(), loop).result(10), loop)
    finally:
        asyncio.run_coroutine_threadsafe(standing.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
