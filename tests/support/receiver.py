"""A server on this machine that says exactly what it is told to, right or wrong, and a customers' door to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from wagate.backends.guard import Guard
from wagate.backends.http import PIECE, CustomerDoor, Fetched

HERE = Guard.parse(["127.0.0.1/32", "::1"])
"""Lets out to this machine and, as every guard does, to public addresses. Tests dial 127.0.0.1 and ::1 only."""

LONG = 60.0
"""Seconds; never reached."""

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]] | bytes


@dataclass
class Receiver:
    """A server on this machine that says exactly what it was told to, and remembers what it was asked."""

    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody who was served has gone."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = head.lower().partition("content-length: ")[2].partition("\r")[0]
                self.bodies.append(await reader.readexactly(int(length or 0)))
                self.heads.append(head)
                reply = self.replies[self.paths[-1]]
                if isinstance(reply, bytes):
                    writer.write(reply)
                    await writer.drain()
                else:
                    await reply(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def receiving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, **replies: Reply
) -> AsyncIterator[Receiver]:
    """A running receiver; each of `replies` is what it says to the path of that name."""
    receiver = Receiver(replies={f"/{name}": reply for name, reply in replies.items()})
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@contextmanager
def beside(**replies: Reply) -> Iterator[Receiver]:
    """A receiver on an event loop in a thread of its own: it outlives every gateway."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served = receiving(**replies)
    try:
        yield asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def to(location: str, status: str = "302 Found") -> bytes:
    return answer(b"see there", f"Location: {location}", status=status)


def bodiless(*headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers]).encode() + b"\r\n\r\n"


async def forever(writer: asyncio.StreamWriter) -> None:
    """A body that does not end, as fast as it is taken."""
    writer.write(bodiless("Connection: close"))
    while True:
        writer.write(b"x" * PIECE)
        await writer.drain()


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(bodiless("Content-Length: 1000000"))
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.write(bodiless("Content-Length: 1000") + b"x" * 100)
    await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def door(guard: Guard = HERE, **names: list[str]) -> AsyncIterator[CustomerDoor]:
    """A customers' door; `names` are what the resolver knows, and each ends in `.test`."""

    async def resolve(host: str, port: int) -> list[str]:
        assert port
        try:
            return names[host.removesuffix(".test")]
        except KeyError:
            raise socket.gaierror(socket.EAI_NONAME, "unknown") from None

    opened = CustomerDoor(guard, resolve=resolve)
    try:
        yield opened
    finally:
        await opened.close()


async def fetch(opened: CustomerDoor, url: str, *, most_bytes: int = 1000, **more: int) -> tuple[Fetched, bytes]:
    """What came, and that what went into the sink is the same."""
    pieces: list[bytes] = []

    async def keep(piece: bytes) -> None:
        assert len(piece) <= PIECE
        assert sum(map(len, pieces)) + len(piece) <= most_bytes
        pieces.append(piece)

    fetched = await opened.get(url, sink=keep, most_bytes=most_bytes, timeout=LONG, **more)
    assert fetched.size == sum(map(len, pieces))
    return fetched, b"".join(pieces)
