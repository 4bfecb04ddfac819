"""Sessions: link WhatsApp accounts, start and stop them."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import segno

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import MANAGE, READ, SEND, Call, Operation, Reply
from wagate.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NoAnswer,
    NotFound,
    SessionNotConnected,
    Unavailable,
    UnsupportedByEngine,
)
from wagate.gateway import actions, sessions
from wagate.model import actions as live
from wagate.model import jid
from wagate.model.actions import RequestCode
from wagate.model.chats import SetPresence
from wagate.model.sessions import (
    CreateSession,
    Me,
    PairingCode,
    QrCode,
    RequestPairingCode,
    Session,
    UpdateSession,
)

LOOK = READ | MANAGE
LIVE = (NotFound, SessionNotConnected, UnsupportedByEngine, Unavailable, NoAnswer)
"""What anything live may raise."""


async def find(call: Call) -> Session:
    """The session that the path names; other nouns below a session use it too."""
    return await sessions.get(call.gw, call.caller, call.path["session"])


async def list_sessions(call: Call) -> Any:
    """List the organization's sessions."""
    window = lists.window(call, one_page=True)
    rows, following = await sessions.page(call.gw, call.caller, window)
    return lists.page(call, rows, following)


async def create_session(call: Call) -> Any:
    """Create a session, and with `start` begin to link it."""
    return await sessions.create(call.gw, call.caller, call.body)


async def get_session(call: Call) -> Any:
    """Get a session."""
    return await find(call)


async def update_session(call: Call) -> Any:
    """Change a session's settings; absent ones stay."""
    return await sessions.update(call.gw, call.caller, call.path["session"], call.body)


async def delete_session(call: Call) -> None:
    """Delete a session, its keys and its stored data.

    Nothing is unlinked on the phone.
    """
    await sessions.delete(call.gw, call.caller, call.path["session"])


async def session_me(call: Call) -> Any:
    """Get the account behind a session."""
    return await sessions.me(call.gw, call.caller, call.path["session"])


async def session_qr(call: Call) -> Any:
    """Get the QR code to scan.

    Asking begins linking; 404 until a code is ready. With `Accept: image/png` or `image/svg+xml` it is a picture.
    """
    code = await sessions.qr(call.gw, call.caller, call.path["session"])
    accepted = call.header("accept") or ""
    for media_type, kind in (("image/png", "png"), ("image/svg+xml", "svg")):
        if media_type in accepted:
            # Not on the event loop: it takes 20 ms.
            picture = await asyncio.to_thread(drawn, code.code, kind)
            return Reply(body=picture, media_type=media_type)
    return code


async def session_pairing_code(call: Call) -> Any:
    """Link by a code that is typed on the phone."""
    action = RequestCode(phone=jid.phone(call.body.phone))
    return await actions.ask_for_code(call.gw, call.caller, call.path["session"], action)


async def start_session(call: Call) -> Any:
    """Connect a linked session; nothing happens if it runs."""
    return await sessions.start(call.gw, call.caller, call.path["session"])


async def stop_session(call: Call) -> Any:
    """Disconnect a session; it stays linked."""
    return await sessions.stop(call.gw, call.caller, call.path["session"])


async def restart_session(call: Call) -> Any:
    """Disconnect a session and connect it again."""
    return await sessions.restart(call.gw, call.caller, call.path["session"])


async def logout_session(call: Call) -> Any:
    """Unlink a session from its account; stored data stays."""
    return await sessions.logout(call.gw, call.caller, call.path["session"])


async def set_presence(call: Call) -> None:
    """Show the account as online, or not."""
    action = live.SetPresence(online=call.body.state == "online")
    await actions.ask(call.gw, call.caller, call.path["session"], action)


def drawn(text: str, kind: str) -> bytes:
    """A QR code as a picture: `png` or `svg`. Takes 20 ms."""
    out = io.BytesIO()
    segno.make(text, error="l").save(out, kind=kind, scale=8, border=4)
    return out.getvalue()


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    return Operation(id=id, method=method, path=path, run=run, tag="sessions", **more)


_LINKING = (NotFound, BadRequest)
OPERATIONS = [
    _operation(
        "listSessions", "GET", "/sessions", list_sessions, capability=LOOK, query=ListQuery, answer=Page[Session]
    ),
    _operation(
        "createSession",
        "POST",
        "/sessions",
        create_session,
        capability=MANAGE,
        body=CreateSession,
        answer=Session,
        statuses=(201,),
        errors=(BadRequest, Forbidden),
    ),
    _operation(
        "getSession", "GET", "/sessions/{session}", get_session, capability=LOOK, answer=Session, errors=(NotFound,)
    ),
    _operation(
        "updateSession",
        "PATCH",
        "/sessions/{session}",
        update_session,
        capability=MANAGE,
        body=UpdateSession,
        answer=Session,
        errors=(NotFound, BadRequest),
        find=find,
    ),
    _operation(
        "deleteSession",
        "DELETE",
        "/sessions/{session}",
        delete_session,
        capability=MANAGE,
        statuses=(204,),
        errors=(NotFound,),
    ),
    _operation(
        "sessionMe", "GET", "/sessions/{session}/me", session_me, capability=LOOK, answer=Me, errors=(NotFound,)
    ),
    _operation(
        "sessionQR",
        "GET",
        "/sessions/{session}/qr",
        session_qr,
        capability=MANAGE,
        answer=QrCode,
        also=("image/png", "image/svg+xml"),
        errors=_LINKING,
    ),
    _operation(
        "sessionPairingCode",
        "POST",
        "/sessions/{session}/pairing-code",
        session_pairing_code,
        capability=MANAGE,
        body=RequestPairingCode,
        answer=PairingCode,
        errors=(*_LINKING, Conflict, UnsupportedByEngine, Unavailable, NoAnswer),
        find=find,
    ),
    *(
        _operation(
            f"{verb}Session",
            "POST",
            f"/sessions/{{session}}:{verb}",
            run,
            capability=MANAGE,
            answer=Session,
            errors=(NotFound, BadRequest),
            find=find,
        )
        for verb, run in (
            ("start", start_session),
            ("stop", stop_session),
            ("restart", restart_session),
            ("logout", logout_session),
        )
    ),
    _operation(
        "setPresence",
        "PUT",
        "/sessions/{session}/presence",
        set_presence,
        capability=SEND,
        body=SetPresence,
        statuses=(204,),
        errors=(*LIVE, BadRequest),
        find=find,
    ),
]
