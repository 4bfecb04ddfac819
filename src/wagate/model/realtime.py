"""Realtime connections: the tickets that open them, and the frames that are no events."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wagate.model import Ask, Line, Millis, Shape
from wagate.model.events import EventId

HEARTBEAT_SECONDS = 20
"""How often a connection is told that it lives."""
TICKET_SECONDS = 30
"""How long a ticket may wait to be used."""

Scope = Literal["organization", "session", "firehose"]


class AskTicket(Ask, frozen=True, kw_only=True):
    """What a connection is to show. `session` counts only where the scope is `session`."""

    scope: Annotated[Scope, Meta(description="`firehose`: every organization, for the platform's operators.")] = (
        "organization"
    )
    session: Annotated[Line, Meta(max_length=64, description="Only this session's events.")] | None = None
    events: (
        Annotated[
            list[Annotated[Line, Meta(max_length=64)]],
            Meta(max_length=100, description='Names; absent or `["*"]`: all, `[]`: none.'),
        ]
        | None
    ) = None
    since: Annotated[Line, Meta(max_length=64, description="Replay everything after this event's id first.")] | None = (
        None
    )


class Ticket(Shape, frozen=True, kw_only=True):
    """A credential for one connection, good once and for `expiresInSeconds`. `url` opens it and holds the ticket."""

    ticket: str
    expires_in_seconds: int
    url: str


class Connected(Shape, frozen=True, kw_only=True):
    """The first frame: what is recorded from now on will come."""

    event: Literal["connected"] = "connected"
    heartbeat_seconds: int = HEARTBEAT_SECONDS
    timestamp: Millis


class Ping(Shape, frozen=True, kw_only=True):
    """The connection lives."""

    event: Literal["ping"] = "ping"
    timestamp: Millis


class CursorLost(Shape, frozen=True, kw_only=True):
    """`since` has left the log: everything from the oldest event on follows."""

    event: Literal["cursor_expired"] = "cursor_expired"
    oldest: EventId


class Trouble(Shape, frozen=True, kw_only=True):
    """Why the connection is closed next."""

    event: Literal["error"] = "error"
    error: str
