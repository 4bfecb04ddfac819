"""Receivers of webhooks on this machine: one that is well, one that fails by chance, one that is slow, one in order.

They outlive every gateway, check every signature, and remember what came, how often, and in which order.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from bench.readers import Envelope, digest
from wagate import verify_webhook

SECRET = "whsec_c29hayBvZiB3ZWJob29rcyBhbmQgcmVhZGVycw=="


@dataclass
class Receiver:
    """One webhook's end. `fails`: the share of posts that it refuses; `slow`: seconds, at least and at most."""

    name: str
    events: list[str] = field(default_factory=lambda: ["*"])
    fails: float = 0.0
    slow: tuple[float, float] = (0.0, 0.0)
    ordered: bool = False
    came: dict[str, bytes] = field(default_factory=dict)
    """Digest by event id."""
    taken: set[str] = field(default_factory=set)
    lanes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By session, the ids in which they came; a repeat only where it is not of the one before."""
    posts: int = 0
    repeats: int = 0
    """Posts of what had been answered with 2xx before."""
    wrong: list[str] = field(default_factory=list)
    moved: float = 0.0

    def wish(self, url: str) -> dict[str, Any]:
        """The body that makes its webhook."""
        retry = {"policy": "constant", "delaySeconds": 1, "attempts": 50}
        chosen = {"events": self.events, "ordered": self.ordered, "retryPolicy": retry, "secret": SECRET}
        return {"url": f"{url}/{self.name}", **chosen}

    def wants(self, event: Envelope) -> bool:
        return "*" in self.events or event.event in self.events

    def take(self, headers: Any, body: bytes) -> Envelope:
        """Look at a post."""
        self.posts += 1
        self.moved = time.monotonic()
        found = msgspec.json.decode(body, type=Envelope)
        try:
            verify_webhook(body, headers, SECRET)
        except ValueError as refused:
            self.wrong.append(f"{found.id}: {refused}")
        if headers.get("webhook-id") != found.id or headers.get("x-webhook-request-id") != found.id:
            self.wrong.append(f"{found.id}: its headers name another")
        now = digest(body)
        if self.came.setdefault(found.id, now) != now:
            self.wrong.append(f"{found.id}: came again with another body")
        self.repeats += found.id in self.taken
        lane = self.lanes[found.session]
        if not lane or lane[-1] != found.id:
            lane.append(found.id)
        return found


class Receivers:
    """All of them behind one port. `watch` tells when the first delivery of what was recorded earlier comes."""

    def __init__(self, chance: random.Random, *each: Receiver) -> None:
        self.each = {receiver.name: receiver for receiver in each}
        self.url = ""
        self._chance = chance
        self._backlog: tuple[float, asyncio.Future[float]] | None = None

    def watch(self, before: float) -> asyncio.Future[float]:
        """The moment (of `time.monotonic`) at which an event comes that was recorded before then (epoch seconds)."""
        found: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._backlog = (before * 1000, found)
        return found

    async def post(self, request: web.Request) -> web.Response:
        """Take a post, as its receiver does."""
        receiver = self.each[request.match_info["name"]]
        event = receiver.take(request.headers, await request.read())
        if self._backlog is not None and event.timestamp < self._backlog[0] and not self._backlog[1].done():
            self._backlog[1].set_result(time.monotonic())
        if receiver.slow[1]:
            await asyncio.sleep(self._chance.uniform(*receiver.slow))
        if self._chance.random() < receiver.fails:
            return self._refusal(request)
        receiver.taken.add(event.id)
        return web.Response(status=204)

    def _refusal(self, request: web.Request) -> web.Response:
        way = self._chance.randrange(3)
        if way == 0 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=(500, 503, 302)[way], headers={"location": "/elsewhere"} if way == 2 else None)


@contextlib.asynccontextmanager
async def receiving(receivers: Receivers) -> AsyncIterator[Receivers]:
    """Receive for as long as the context lasts."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/{name}", receivers.post)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receivers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receivers
    finally:
        await runner.cleanup()
