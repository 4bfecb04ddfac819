"""The platform's own views, above all organizations. No key holds `super_admin`: it is a person's role."""

from __future__ import annotations

from typing import Any

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import SUPER_ADMIN, Call, Operation
from wagate.errors import Conflict, NotFound, SessionNotConnected
from wagate.gateway import backfills, sessions
from wagate.model.backfills import BackfillJob
from wagate.model.sessions import Session


async def admin_list_sessions(call: Call) -> Any:
    """List the sessions of all organizations."""
    rows, following = await sessions.page_of_all(call.gw, lists.window(call))
    return lists.page(call, rows, following)


async def admin_start_session_backfill(call: Call) -> Any:
    """Read a session's contacts and groups anew from WhatsApp; messages are not read."""
    return await backfills.start(call.gw, call.path["session"])


async def admin_session_backfill_status(call: Call) -> Any:
    """Get how far the newest backfill of a session is."""
    return await backfills.get(call.gw, call.path["session"])


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    return Operation(
        id=id, method=method, path="/admin/sessions" + path, run=run, tag="admin", capability=SUPER_ADMIN, **more
    )


OPERATIONS = [
    _operation("adminListSessions", "GET", "", admin_list_sessions, query=ListQuery, answer=Page[Session]),
    _operation(
        "adminStartSessionBackfill",
        "POST",
        "/{session}:backfill",
        admin_start_session_backfill,
        answer=BackfillJob,
        statuses=(202,),
        errors=(NotFound, Conflict, SessionNotConnected),
    ),
    _operation(
        "adminSessionBackfillStatus",
        "GET",
        "/{session}/backfill",
        admin_session_backfill_status,
        answer=BackfillJob,
        errors=(NotFound,),
    ),
]
