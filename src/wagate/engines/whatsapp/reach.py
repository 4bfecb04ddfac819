"""Whether WhatsApp can be reached by a way (a proxy, or none), as its sessions find: where several in a row cannot, one
tries for all, and the others wait.

A hundred sessions need not find out a hundred times that a network is down, start hosts for it, or come back in one
moment. One that cannot connect beside others that can is nobody's sign and waits for nobody. Called by connection.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog

from wagate.engines import base

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_SIGNS = 3
_FIRST_REST, _MOST_REST = 1.0, 30.0
_REMIND_SECONDS = 900.0
_PATIENCE_SECONDS = 45.0
"""As long as a connection may take that nobody answers: who logs out waits no longer than ever."""


class _Way:
    """One way: who failed on it since anybody was let in, and who tries while it is down, not before `next`."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(_AT_ONCE)
        self.probe = asyncio.Lock()
        self.up = asyncio.Event()
        self.up.set()
        self.failed: set[str] = set()
        self.tries = 0
        self.rest = self.next = 0.0
        self.since = self.told = 0.0

    @property
    def down(self) -> bool:
        return not self.up.is_set()


class Reach:
    """The ways of one engine. `rest`: seconds between two tries of a way that is down, the first and the most;
    `patience`: how long a session waits for its turn before it is told so.
    """

    def __init__(
        self, rest: tuple[float, float] = (_FIRST_REST, _MOST_REST), *, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._rest = rest
        self._patience = patience
        self._ways: dict[str, _Way] = {}

    async def attempt(self, proxy: str | None, session_id: str, go: Callable[[], Awaitable[None]]) -> None:
        """Connect a session when it may try; what `go` raises is raised.

        Raises:
            NotTried: it was not its turn for as long as one may wait.
            ConnectionLost: not now.
            LinkEnded: WhatsApp answered, and does not want this session.
        """
        name = _name(proxy)
        way = self._ways.setdefault(name, _Way())
        async with contextlib.AsyncExitStack() as turn:
            try:
                async with asyncio.timeout(self._patience):
                    await _turn(way, turn)
            except TimeoutError:
                raise base.NotTried from None
            await self._go(name, way, session_id, go)

    async def _go(self, name: str, way: _Way, session_id: str, go: Callable[[], Awaitable[None]]) -> None:
        try:
            await go()
        except base.ConnectionLost:
            self._failed(name, way, session_id)
            raise
        except base.LinkEnded:
            self._reached(name, way)
            raise
        else:
            self._reached(name, way)

    def _reached(self, name: str, way: _Way) -> None:
        if way.down:
            seconds = round(time.monotonic() - way.since)
            log.info("WhatsApp is reached again", way=name, tries=way.tries, seconds=seconds)
        way.failed.clear()
        way.tries = 0
        way.up.set()

    def _failed(self, name: str, way: _Way, session_id: str) -> None:
        way.tries += 1
        first, now = session_id not in way.failed, time.monotonic()
        way.failed.add(session_id)
        if way.down:
            way.rest = min(way.rest * 2, self._rest[1])
            way.next = now + _jittered(way.rest)
            if now - way.told >= _REMIND_SECONDS:
                way.told = now
                log.warning("WhatsApp is still not reached", way=name, tries=way.tries, seconds=round(now - way.since))
        elif len(way.failed) >= _SIGNS:
            way.up.clear()
            way.rest, way.since, way.told = self._rest[0], now, now
            way.next = now + _jittered(way.rest)
            log.warning("WhatsApp cannot be reached: one session tries for all", way=name)
        elif first:
            log.warning("a session cannot connect", session=session_id, way=name)


def _name(proxy: str | None) -> str:
    """A way without what is secret of it."""
    if proxy is None:
        return "direct"
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def _turn(way: _Way, turn: contextlib.AsyncExitStack) -> None:
    """Wait until one may try; `turn` holds what belongs to that."""
    await turn.enter_async_context(way.room)
    while way.down:
        async with contextlib.AsyncExitStack() as probe:
            await probe.enter_async_context(way.probe)
            if way.down:
                await _until(way.up, way.next - time.monotonic())
            if way.down:
                turn.push_async_exit(probe.pop_all())
                return


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.25)


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
