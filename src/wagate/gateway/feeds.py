"""Feeds: the live end of each organization's log, read once and shared by all who watch it in this process.

A reader stands at a position of the log. While it takes what comes it is live, and its feed writes to it directly: one
read of the log and one packing serve all. When it takes no more, or has not got there yet, its own `run` reads the log
from its position on and goes live again in one step with arriving at the feed's, so nothing is missed and nothing comes
twice. What a reader has not taken is kept nowhere but in the log; how far behind it falls is counted, and has an end.

Every open reader's key is looked at each second and at each hint, all in one query. Called by api.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec
import structlog
from msgspec import UnsetType

from wagate.backends.broker import Bell
from wagate.errors import CursorExpired, Unauthorized
from wagate.gateway import Gateway, events, keys
from wagate.model.events import Event
from wagate.model.organizations import Caller
from wagate.model.realtime import HEARTBEAT_SECONDS

MOST_BEHIND = 1000
"""How many events a reader may fall behind."""

Ending = Literal["slow", "revoked", "closing", "cursor_expired", "gone"]

_LIVE_ROWS, _REPLAY_ROWS = 250, 1000
_PIECE_BYTES = 64 * 1024
_POLL_SECONDS = 1.0
_KEYS_SECONDS = 0.5
_STALLED_SECONDS = 60.0
_PERSON_MS = 3_600_000
"""How long a person's reader may stay, and no longer than their login token is good; it resumes with a new ticket."""

log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class Outlet(Protocol):
    """Where a reader's bytes go. It tells the reader by `Reader.nudge` when it takes again."""

    def write(self, piece: bytes) -> bool:
        """Take a piece, whole; False: full, and nothing was taken."""
        ...


class Packing(Protocol):
    """How events look on the way out; one object for all readers of a kind, so that what it makes is shared."""

    kind: str
    """What the metrics call it."""

    def pack(self, event: Event, text: bytes) -> bytes:
        """One event, whose JSON is `text`."""
        ...

    def heartbeat(self, now: int) -> bytes:
        """A sign of life. `now`: epoch milliseconds."""
        ...

    def lost(self, oldest: str) -> bytes | None:
        """That the cursor has left the log, before everything from `oldest` on; None: the reader ends instead."""
        ...


class Wanted(msgspec.Struct, frozen=True):
    """What a reader is to see: of these sessions, of these names; None: all."""

    session_id: str | None = None
    names: frozenset[str] | None = None
    session_ids: frozenset[str] | None = None

    def takes(self, event: Event) -> bool:
        """Whether this one is wanted."""
        return (
            (self.session_id is None or event.session == self.session_id)
            and (self.names is None or event.event in self.names)
            and (self.session_ids is None or event.session in self.session_ids)
        )


def wanted(caller: Caller, *, session_id: str | None, names: frozenset[str] | None) -> Wanted:
    """What `caller` may see of what it asks for."""
    limit = None if isinstance(caller.session_ids, UnsetType) else caller.session_ids
    return Wanted(session_id, names, limit)


class Reader:
    """One who watches a log: `run` until it ends, then `leave`. Positions are event ids, empty before the first."""

    def __init__(self, feed: Feed, caller: Caller, wish: Wanted, *, packing: Packing, outlet: Outlet) -> None:
        self.feed = feed
        self.caller = caller
        self.wish = wish
        self.packing = packing
        self.outlet = outlet
        self.position = ""
        self.live = False
        self.missed: int | None = None
        """How many wanted events it is behind; None until it was live for the first time."""
        self.ending: Ending | None = None
        self.digest = ""
        self.until: int | None = None
        self._nudged: asyncio.Future[None] | None = None

    def nudge(self) -> None:
        """Something changed: the outlet takes again, or the reader has ended."""
        if self._nudged is not None and not self._nudged.done():
            self._nudged.set_result(None)

    def end(self, why: Ending) -> None:
        """No more goes out. The first reason counts."""
        if self.ending is None:
            self.ending = why
            self.live = False
            self.nudge()

    async def run(self) -> Ending:
        """Bring the log to the outlet until something ends it; what that was."""
        while self.ending is None:
            try:
                await (self._rest() if self.live else self._catch_up())
            except CursorExpired as expired:
                # The log's days went by faster than this reader.
                self.end("cursor_expired")
                log.info("a reader's position left the log", oldest=expired.details.get("oldest"))
            except Exception:
                log.exception("the log cannot be read; trying again", organization=self.feed.organization_id)
                await self._pause()
        return self.ending or "gone"

    def leave(self) -> None:
        """Be forgotten. Idempotent."""
        self.end("gone")
        self.feed.forget(self)

    async def _catch_up(self) -> None:
        """Read from the position to where the feed stands, and go live there."""
        while self.ending is None:
            # No await between this and going live: whatever the feed reads next comes to this reader, too.
            if self.position >= self.feed.head:
                self.live, self.missed = True, 0
                return
            goal = self.feed.head
            try:
                found = await self.feed.after(self.position)
            except CursorExpired as expired:
                oldest = str(expired.details["oldest"])
                frame = self.packing.lost(oldest)
                if frame is None:
                    raise
                await self._give(frame)
                self.position = ""
                continue
            if not found:
                self.position = max(self.position, goal)
            await self._replay(found)

    async def _replay(self, found: list[Event]) -> None:
        """Give a piece of the log; the position follows what was taken, for that is what being behind is counted by."""
        pieces: list[bytes] = []
        ids: list[str] = []
        size = 0
        for event in found:
            if self.wish.takes(event):
                pieces.append(self.packing.pack(event, _encode(event)))
                ids.append(event.id)
                size += len(pieces[-1])
            if size >= _PIECE_BYTES or event is found[-1]:
                if pieces:
                    await self._give(b"".join(pieces))
                if self.ending is not None:
                    return
                self.position = event.id
                if self.missed is not None:
                    self.missed = max(self.missed - sum(id <= self.feed.head for id in ids), 0)
                pieces, ids, size = [], [], 0
                # Writing never waits while the outlet takes: others must get their turn.
                await asyncio.sleep(0)

    async def _give(self, piece: bytes) -> None:
        while self.ending is None and not self.outlet.write(piece):
            # Who is behind live is judged by how far; who never got there, by whether it takes anything at all.
            await self._rest(_STALLED_SECONDS if self.missed is None else None)

    async def _pause(self) -> None:
        """Wait a second, or until it has ended."""
        asyncio.get_running_loop().call_later(_POLL_SECONDS, self.nudge)
        await self._rest()

    async def _rest(self, seconds: float | None = None) -> None:
        """Wait for a nudge; whoever waits longer than `seconds` is too slow."""
        if self.ending is not None:
            return
        self._nudged = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._nudged
        except TimeoutError:
            self.end("slow")
        finally:
            self._nudged = None


class Feed:
    """One organization's log, followed while somebody reads it."""

    def __init__(self, gw: Gateway, organization_id: str) -> None:
        self._gw = gw
        self.organization_id = organization_id
        self.head = ""
        self.readers: set[Reader] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, head: str) -> None:
        """Follow the log behind `head`."""
        self.head = head
        self._tasks = [asyncio.create_task(work) for work in (self._follow(), self._beat())]

    def forget(self, reader: Reader) -> None:
        """A reader left; the last one ends the feed."""
        if reader in self.readers:
            self.readers.discard(reader)
            self._gw.broker.publish("readers", (reader.ending or "gone").encode())
        if not self.readers:
            for task in self._tasks:
                task.cancel()
            self._tasks.clear()
            if self._gw.feeds.get(self.organization_id) is self:
                del self._gw.feeds[self.organization_id]

    async def after(self, position: str) -> list[Event]:
        """A piece of the log behind `position`.

        Raises:
            CursorExpired: the log no longer leads on from there.
        """
        found = await events.following(self._gw, self.organization_id, position, limit=_REPLAY_ROWS)
        if position:
            # Behind the reading: what leaves the log in between is told, not skipped.
            await events.check_kept(self._gw, self.organization_id, position)
        return found

    async def _follow(self) -> None:
        with Bell(self._gw.broker, f"events.{self.organization_id}") as bell:
            while True:
                bell.rung = False
                try:
                    found = await events.following(self._gw, self.organization_id, self.head, limit=_LIVE_ROWS)
                    if found:
                        self._deliver(found)
                except Exception:
                    log.exception("a log cannot be followed; trying again", organization=self.organization_id)
                    found = []
                if len(found) == _LIVE_ROWS:
                    await asyncio.sleep(0)
                else:
                    # The hint may be lost: look again every second all the same.
                    await bell.wait(_POLL_SECONDS)

    def _deliver(self, found: list[Event]) -> None:
        """Give to everyone who is live, without waiting for anyone."""
        self.head = found[-1].id
        events.tell_lag(self._gw, found[0].timestamp)
        texts = [_encode(event) for event in found]
        packed: dict[tuple[Packing, Wanted], tuple[bytes, int]] = {}
        for reader in list(self.readers):
            if reader.ending is not None or (not reader.live and reader.missed is None):
                continue
            if reader.position >= found[0].id:
                # It started, or caught up, behind where this piece begins.
                piece, count = _packed(reader, [pair for pair in zip(found, texts, strict=True)
                                                if pair[0].id > reader.position])  # fmt: skip
            else:
                way = (reader.packing, reader.wish)
                if way not in packed:
                    packed[way] = _packed(reader, list(zip(found, texts, strict=True)))
                piece, count = packed[way]
            if reader.live and (not piece or reader.outlet.write(piece)):
                reader.position = max(reader.position, self.head)
                continue
            reader.missed = (reader.missed or 0) + count
            if reader.missed >= MOST_BEHIND:
                reader.end("slow")
            elif reader.live:
                reader.live = False
                reader.nudge()

    async def _beat(self) -> None:
        while True:
            await self._gw.clock.sleep(HEARTBEAT_SECONDS)
            now = self._gw.clock.now()
            for reader in list(self.readers):
                if reader.ending is None:
                    reader.outlet.write(reader.packing.heartbeat(now))


def _packed(reader: Reader, pairs: list[tuple[Event, bytes]]) -> tuple[bytes, int]:
    pieces = [reader.packing.pack(event, text) for event, text in pairs if reader.wish.takes(event)]
    return b"".join(pieces), len(pieces)


async def follow(
    gw: Gateway, caller: Caller, wish: Wanted, *, packing: Packing, outlet: Callable[[Callable[[], None]], Outlet]
) -> Reader:
    """A reader at the log's present end; set `position` for another beginning before it runs. The caller must `leave`.

    `outlet` makes the reader's outlet from the function that tells the reader of changes.

    Raises:
        Unauthorized: the caller's key is no longer there.
    """
    standing = None
    key_id = None if isinstance(caller.key_id, UnsetType) else caller.key_id
    if key_id is not None:
        standing = (await keys.standing(gw, [key_id])).get(key_id)
        if standing is None:
            raise Unauthorized
    position = await events.head(gw, caller.organization_id)
    feed = gw.feeds.get(caller.organization_id)
    if feed is None:
        feed = gw.feeds[caller.organization_id] = Feed(gw, caller.organization_id)
        feed.start(position)
    reader = Reader(feed, caller, wish, packing=packing, outlet=_Nowhere())
    reader.outlet = outlet(reader.nudge)
    reader.position = position
    if standing is not None:
        reader.digest, reader.until = standing.digest, standing.expires_at
    else:
        reader.until = gw.clock.now() + _PERSON_MS
        if not isinstance(caller.login_until, UnsetType):
            reader.until = min(reader.until, caller.login_until)
    feed.readers.add(reader)
    _keep_watch(gw)
    return reader


class _Nowhere:
    def write(self, piece: bytes) -> bool:
        return False


def count(gw: Gateway) -> dict[str, int]:
    """How many readers are open in this process, by kind."""
    return Counter(reader.packing.kind for reader in _all(gw))


def _keep_watch(gw: Gateway) -> None:
    """Look after the readers' keys for as long as there are readers."""
    task: asyncio.Task[Any] | None = gw.underway.get("keys of readers")
    if task is None or task.done():
        gw.underway["keys of readers"] = asyncio.create_task(_watch(gw))


async def _watch(gw: Gateway) -> None:
    with Bell(gw.broker, "keys", "closing") as bell, Bell(gw.broker, "closing") as closing:
        while gw.feeds:
            bell.rung = False
            if closing.rung:
                for reader in _all(gw):
                    reader.end("closing")
                return
            try:
                await _judge(gw)
            except Exception:
                log.exception("the keys of readers cannot be looked at; trying again")
            await bell.wait(_KEYS_SECONDS)


async def _judge(gw: Gateway) -> None:
    """End the readers whose credential is no longer good."""
    named = {reader.caller.key_id for reader in _all(gw) if reader.digest}
    standing = await keys.standing(gw, [str(id) for id in named]) if named else {}
    now = gw.clock.now()
    for reader in _all(gw):
        found = standing.get(str(reader.caller.key_id)) if reader.digest else None
        # Those that came while the question was asked are looked at next time.
        asked = not reader.digest or reader.caller.key_id in named
        if asked and ((reader.digest and (found is None or found.digest != reader.digest)) or _over(reader, now)):
            reader.end("revoked")


def _over(reader: Reader, now: int) -> bool:
    return reader.until is not None and reader.until <= now


def _all(gw: Gateway) -> list[Reader]:
    return [reader for feed in gw.feeds.values() for reader in feed.readers]
