"""The API behind a real server on a real socket, and a client that can misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from tests.support.files import blob_store
from tests.support.parts import with_tables
from wagate.api.app import ApiOptions, build
from wagate.api.cursors import Signer
from wagate.api.dialects import Dialect
from wagate.api.operations import Operation
from wagate.api.wire import Protocol
from wagate.backends.broker import LocalBroker
from wagate.backends.doors import Closed
from wagate.clock import ManualClock
from wagate.gateway import Gateway, Rules, keys, organizations
from wagate.model.organizations import Capability, CreateKey, NewKey

SIGNER = Signer(b"0123456789abcdef0123456789abcdef")


@asynccontextmanager
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway on an empty database in memory."""
    db = await with_tables()
    try:
        yield Gateway(
            db=db, broker=LocalBroker(), clock=ManualClock(), rules=Rules(node="test"), blobs=blob_store(),
            http=Closed(),
        )  # fmt: skip
    finally:
        await db.close()


async def key(gw: Gateway, *capabilities: Capability, organization: str | None = None) -> NewKey:
    """A key with these capabilities, of a fresh organization unless one is named."""
    owner = organization or (await organizations.create(gw, "test")).id
    return await keys.create(gw, owner, CreateKey(name="test", permissions=list(capabilities)))


@asynccontextmanager
async def serving(
    gw: Gateway,
    operations: Iterable[Operation],
    options: ApiOptions | None = None,
    dialects: Sequence[Dialect] = (),
) -> AsyncIterator[int]:
    """The port of a running server with these operations."""
    app = build(gw, operations=operations, signer=SIGNER, options=options or ApiOptions(), dialects=dialects)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    loop = asyncio.create_task(server.main_loop())
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await loop
        await server.shutdown()


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    repeated: list[tuple[str, str]] = field(default_factory=list)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json()["error"]["code"])


class Line:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *parts: bytes | str) -> None:
        """Write, as far as the other side takes it."""
        for part in parts:
            self.writer.write(part.encode() if isinstance(part, str) else part)
        await self.writer.drain()

    async def answer(self, *, head: bool = False) -> Answer:
        """Read one answer."""
        async with asyncio.timeout(60):
            start = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = start.decode("latin-1").strip().split("\r\n")
            headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
            found = dict(headers)
            length = 0 if head else int(found.get("content-length", 0))
            return Answer(int(first.split()[1]), found, await self.reader.readexactly(length), headers)

    async def ended(self) -> bool:
        """Whether the other side closes, now or soon."""
        try:
            async with asyncio.timeout(60):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def line(port: int) -> AsyncIterator[Line]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def request(method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """The bytes of a request; header names are written with underscores."""
    named = {"host": "test", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body is not None:
        named.setdefault("content-length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


async def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """One request on a connection of its own."""
    async with line(port) as connection:
        await connection.say(request(method, path, body, **headers))
        return await connection.answer(head=method == "HEAD")
