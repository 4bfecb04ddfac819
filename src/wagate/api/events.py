"""The event log, read by pulling, and as a stream of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

import msgspec

from wagate.api.answers import Streamed
from wagate.api.lists import MOST, USUAL, Page, PlainPage
from wagate.api.operations import EVENTS, Call, HeaderParameter, Operation, Reply
from wagate.errors import CursorExpired, NotFound
from wagate.gateway import events, feeds, sessions
from wagate.gateway.events import Wish
from wagate.model import Ask
from wagate.model.events import Event


class StreamQuery(Ask, frozen=True, kw_only=True):
    """Which events a stream is to show."""

    events: Annotated[str | None, msgspec.Meta(description="Names, separated by commas; absent or `*`: all.")] = None
    session: Annotated[str | None, msgspec.Meta(description="Only this session's.")] = None


class EventsQuery(StreamQuery, frozen=True, kw_only=True):
    """Which events."""

    after: Annotated[str | None, msgspec.Meta(description="Events after this id; absent: from the oldest kept.")] = None
    limit: Annotated[int | None, msgspec.Meta(description="How many at most: 0 or absent is 50, most is 200.")] = None
    wait: Annotated[float, msgspec.Meta(ge=0, description="Seconds to wait for something, at most 30.")] | None = None


async def list_events(call: Call) -> Any:
    """Read the organization's event log.

    `nextCursor` is always the last id that was read: give it as `after` to go on, also when `data` is empty.
    """
    query: EventsQuery = call.query
    if query.session:
        await sessions.get(call.gw, call.caller, query.session)
    wish = Wish(
        after=query.after or None,
        limit=min(max(query.limit, 1), MOST) if query.limit else USUAL,
        names=_names(query),
        session_id=query.session or None,
    )
    found, cursor = await events.read_or_wait(call.gw, call.caller, wish, wait=min(query.wait or 0.0, 30.0))
    return PlainPage(data=found, next_cursor=cursor)


async def stream_events(call: Call) -> Any:
    """Follow the organization's event log as server-sent events.

    Each has the event's id, its name, and the envelope as data. With the header `Last-Event-ID` everything after that
    id comes first, without gap or repeat; without it, what is new. A comment every 20 seconds shows that the stream
    lives. Who falls 1,000 events behind, and whose key is revoked, is cut off.
    """
    query: StreamQuery = call.query
    if query.session:
        await sessions.get(call.gw, call.caller, query.session)
    since = call.header("last-event-id") or None
    if since is not None:
        events.number_of(since, field="Last-Event-ID")
        await events.check_kept(call.gw, call.caller.organization_id, since)
    headers = {"x-accel-buffering": "no"}
    body = Streamed(length=None, pieces=lambda: _stream(call, query, since))
    return Reply(body=body, media_type="text/event-stream", headers=headers)


class _Blocks:
    """Events as the blocks of a stream."""

    kind = "stream"

    def pack(self, event: Event, text: bytes) -> bytes:
        """JSON has no line ends of its own, so one line holds it."""
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.id.encode(), event.event.encode(), text)

    def heartbeat(self, now: int) -> bytes:
        """A comment."""
        return b": ping\n\n"

    def lost(self, oldest: str) -> None:
        """The stream ends; the next request is told by its status."""


_BLOCKS = _Blocks()


class _Basin:
    """One piece on its way from a reader to the answer: no more is taken until that one went out."""

    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge
        self._piece = b""
        self._filled = asyncio.Event()

    def write(self, piece: bytes) -> bool:
        """Take a piece where there is none."""
        if self._piece:
            return False
        self._piece = piece
        self._filled.set()
        return True

    def close(self, _: object = None) -> None:
        """Nothing more will come."""
        self._filled.set()

    async def take(self) -> bytes:
        """The next piece; empty when nothing more will come."""
        await self._filled.wait()
        self._filled.clear()
        piece, self._piece = self._piece, b""
        self._nudge()
        return piece


async def _stream(call: Call, query: StreamQuery, since: str | None) -> AsyncGenerator[bytes, None]:
    wish = feeds.wanted(call.caller, session_id=query.session or None, names=_names(query))
    reader = await feeds.follow(call.gw, call.caller, wish, packing=_BLOCKS, outlet=_Basin)
    try:
        if since is not None:
            reader.position = since
        # Whoever sees this misses nothing from here on.
        yield b": connected\n\n"
        basin: Any = reader.outlet
        running = asyncio.create_task(reader.run())
        running.add_done_callback(basin.close)
        while piece := await basin.take():
            yield piece
    finally:
        reader.leave()


def _names(query: StreamQuery) -> frozenset[str] | None:
    names = frozenset(name.strip() for name in (query.events or "*").split(","))
    return None if "*" in names else names


OPERATIONS = [
    Operation(
        id="listEvents",
        method="GET",
        path="/events",
        run=list_events,
        tag="events",
        capability=EVENTS,
        query=EventsQuery,
        answer=Page[Event],
        errors=(NotFound, CursorExpired),
    ),
    Operation(
        id="streamEvents",
        method="GET",
        path="/events/stream",
        run=stream_events,
        tag="events",
        capability=EVENTS,
        query=StreamQuery,
        also=("text/event-stream",),
        headers=(HeaderParameter(name="Last-Event-ID", description="Everything after this event comes first."),),
        errors=(NotFound, CursorExpired),
    ),
]
