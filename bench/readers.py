"""Readers of the event log who go away and come back: by WebSocket, by server-sent events, by pulling.

Each keeps nothing but the ids and digests of what it has seen, and goes on behind the last of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from abc import ABC, abstractmethod

import aiohttp
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.lives import GONE, Life

Seen = tuple[str, bytes]
"""An event as it came: its id, and the digest of its bytes."""

STILL = 60.0
"""Seconds without a byte after which a connection is dead: three heartbeats."""


class Envelope(msgspec.Struct):
    """What is looked at of an event. Frames that are none have no id."""

    event: str
    id: str = ""
    session: str = ""
    timestamp: int = 0


class Page(msgspec.Struct, rename="camel"):
    """A page of the log, each event as its bytes."""

    data: list[msgspec.Raw]
    next_cursor: str


def digest(body: bytes) -> bytes:
    """Sixteen bytes that stand for an event's."""
    return hashlib.blake2b(body, digest_size=16).digest()


class Reader(ABC):
    """Reads for as long as it is let; each reading ends by chance, or because the gateway dies."""

    def __init__(self, life: Life, first: Seen, chance: random.Random) -> None:
        self.life = life
        self.chance = chance
        self.seen = [first]
        self.resumed = 0
        """How often it went on behind what it had, and something came."""
        self.moved = time.monotonic()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            before = len(self.seen)
            try:
                await self.read(self.chance.randint(1, 1500))
            except (*GONE, WebSocketException, msgspec.DecodeError, EOFError):
                # Nobody there, or cut off in the middle: the same in the next life.
                await asyncio.sleep(0.02)
            self.resumed += len(self.seen) > before

    @abstractmethod
    async def read(self, most: int) -> None:
        """Read at most so many events; may end in any way."""

    def take(self, body: bytes) -> bool:
        """Keep it if it is an event."""
        found = msgspec.json.decode(body, type=Envelope)
        if found.id:
            self.seen.append((found.id, digest(body)))
            self.moved = time.monotonic()
        return bool(found.id)


class BySocket(Reader):
    """WebSocket; goes away without a word."""

    async def read(self, most: int) -> None:
        status, body = await self.life.ask("POST", "/realtime/ticket", {"since": self.seen[-1][0]})
        if status != 200:
            raise EOFError
        async with connect(json.loads(body)["url"], open_timeout=5, max_size=None, close_timeout=0.1) as line:
            while most:
                most -= self.take(await asyncio.wait_for(line.recv(decode=False), STILL))
            line.transport.abort()


class ByStream(Reader):
    """Server-sent events."""

    async def read(self, most: int) -> None:
        asked = {"x-api-key": self.life.key, "last-event-id": self.seen[-1][0]}
        patience = aiohttp.ClientTimeout(sock_connect=5, sock_read=STILL)
        async with self.life.http.get(
            f"{self.life.url}/api/v1/events/stream", headers=asked, timeout=patience
        ) as stream:
            if stream.status != 200:
                raise EOFError
            async for line in stream.content:
                if line.startswith(b"data: ") and line.endswith(b"\n"):
                    most -= self.take(line[6:-1])
                if not most:
                    stream.close()
                    return


class ByPull(Reader):
    """Long polls, of a page at a time."""

    async def read(self, most: int) -> None:
        while most > 0:
            limit = self.chance.randint(1, 200)
            path = f"/events?after={self.seen[-1][0]}&limit={limit}&wait=1"
            # A reader that dies while it waits.
            seconds = 0.05 if self.chance.random() < 0.02 else 30.0
            status, body = await self.life.ask("GET", path, seconds=seconds)
            if status != 200:
                raise EOFError
            for each in msgspec.json.decode(body, type=Page).data:
                self.take(bytes(each))
                most -= 1


KINDS: tuple[type[Reader], ...] = (BySocket, ByStream, ByPull)


async def whole_log(life: Life) -> list[tuple[Envelope, bytes]]:
    """Every event, oldest first, with its bytes."""
    found: list[tuple[Envelope, bytes]] = []
    after = ""
    while True:
        status, body = await life.ask("GET", "/events?limit=200" + (f"&after={after}" if after else ""))
        if status != 200:
            raise RuntimeError(f"the log answered {status}: {body[:500]!r}")
        page = msgspec.json.decode(body, type=Page)
        if not page.data:
            return found
        found += [(msgspec.json.decode(each, type=Envelope), bytes(each)) for each in page.data]
        after = page.next_cursor
