"""Tickets for WebSockets."""

from __future__ import annotations

from typing import Any

from wagate.api.operations import EVENTS, SUPER_ADMIN, Call, Operation
from wagate.api.sockets import PATH
from wagate.errors import NotFound
from wagate.gateway import tickets
from wagate.model.realtime import TICKET_SECONDS, AskTicket, Ticket


async def create_ticket(call: Call) -> Any:
    """Make a ticket that opens one WebSocket, within 30 seconds.

    Connect to `url`. With `since`, everything after that event comes first, then what is new, without gap or repeat.
    The scope `firehose` needs the capability `super_admin`, every other `events`. A person's connection is closed after
    an hour, and when their login token is over, with 4401; it goes on with a new ticket and `since`.
    """
    secret = await tickets.issue(call.gw, call.caller, call.body)
    # Behind a proxy that ends TLS the client's own scheme is in this header; a wrong one harms who sent it.
    scheme = "wss" if call.header("x-forwarded-proto") == "https" else "ws"
    host = call.header("host")
    place = f"{scheme}://{host}{PATH}" if host else PATH
    return Ticket(ticket=secret, expires_in_seconds=TICKET_SECONDS, url=f"{place}?ticket={secret}")


OPERATIONS = [
    Operation(
        id="createRealtimeTicket",
        method="POST",
        path="/realtime/ticket",
        run=create_ticket,
        tag="events",
        capability=EVENTS | SUPER_ADMIN,
        body=AskTicket,
        answer=Ticket,
        errors=(NotFound,),
    )
]
