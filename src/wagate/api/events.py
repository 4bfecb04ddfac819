"""The event log, read by pulling."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wagate.api.lists import MOST, USUAL, Page, PlainPage
from wagate.api.operations import EVENTS, Call, Operation
from wagate.errors import CursorExpired, NotFound
from wagate.gateway import events, sessions
from wagate.gateway.events import Wish
from wagate.model import Ask
from wagate.model.events import Event


class EventsQuery(Ask, frozen=True, kw_only=True):
    """Which events."""

    after: Annotated[str | None, msgspec.Meta(description="Events after this id; absent: from the oldest kept.")] = None
    limit: Annotated[int | None, msgspec.Meta(description="How many at most: 0 or absent is 50, most is 200.")] = None
    events: Annotated[str | None, msgspec.Meta(description="Names, separated by commas; absent or `*`: all.")] = None
    session: Annotated[str | None, msgspec.Meta(description="Only this session's.")] = None
    wait: Annotated[float, msgspec.Meta(ge=0, description="Seconds to wait for something, at most 30.")] | None = None


async def list_events(call: Call) -> Any:
    """Read the organization's event log.

    `nextCursor` is always the last id that was read: give it as `after` to go on, also when `data` is empty.
    """
    query: EventsQuery = call.query
    if query.session:
        await sessions.get(call.gw, call.caller, query.session)
    names = frozenset(name.strip() for name in (query.events or "*").split(","))
    wish = Wish(
        after=query.after or None,
        limit=min(max(query.limit, 1), MOST) if query.limit else USUAL,
        names=None if "*" in names else names,
        session_id=query.session or None,
    )
    found, cursor = await events.read_or_wait(call.gw, call.caller, wish, wait=min(query.wait or 0.0, 30.0))
    return PlainPage(data=found, next_cursor=cursor)


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
    )
]
