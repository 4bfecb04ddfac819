"""Sessions linked, started and stopped."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

from msgspec import UNSET

from wagate.api.compat.wasend.naming import moment
from wagate.api.compat.wasend.serving import served
from wagate.api.compat.wasend.sessions import Whole, whole
from wagate.api.operations import MANAGE, Call
from wagate.api.sessions import drawn
from wagate.errors import BadRequest, Conflict, NotFound
from wagate.gateway import Gateway, sessions
from wagate.model import Maybe, Shape
from wagate.model.organizations import Caller
from wagate.model.sessions import Session

_QR_SECONDS = 10.0


class QrPicture(Shape, frozen=True, kw_only=True):
    """The code to scan: `data` is a picture of it, a PNG in base64; `value` its text."""

    data: str
    mimetype: str = "image/png"
    value: str
    expires_at: Maybe[str] = UNSET


async def start_session(call: Call) -> Whole:
    """Connect a session, or begin to link it."""
    return await _moved(call, sessions.start)


async def stop_session(call: Call) -> Whole:
    """Disconnect a session; it stays linked."""
    return await whole(call, await sessions.stop(*_where(call)))


async def restart_session(call: Call) -> Whole:
    """Disconnect a session and connect it again, or begin to link it."""
    return await _moved(call, sessions.restart)


async def _moved(call: Call, verb: Callable[[Gateway, Caller, str], Awaitable[Session]]) -> Whole:
    linked = bool(call.found.wa_jid)
    return await whole(call, await (verb if linked else sessions.begin_linking)(*_where(call)))


async def session_qr(call: Call) -> QrPicture:
    """Get the QR code to scan; asking begins linking, and waits a while for the code."""
    await sessions.begin_linking(*_where(call))
    await sessions.wait(*_where(call), until=lambda now: now.status == "scan_qr_code", timeout=_QR_SECONDS)
    code = await sessions.qr(*_where(call))
    picture = await asyncio.to_thread(drawn, code.code, "png")
    return QrPicture(
        data=base64.b64encode(picture).decode(),
        value=code.code,
        expires_at=moment(code.expires_at) if isinstance(code.expires_at, int) else UNSET,
    )


def _where(call: Call) -> tuple[Gateway, Caller, str]:
    return call.gw, call.caller, call.path["session"]


_VERB = "A session that is not linked yet begins to link."
SERVED = [
    *(
        served(
            f"{verb}Session",
            f"POST /sessions/{{session}}/{verb}",
            run,
            sdk=f"{verb}Session",
            capability=MANAGE,
            answer=Whole,
            errors=(NotFound, Conflict),
            difference=difference,
        )
        for verb, run, difference in (
            ("start", start_session, _VERB),
            ("stop", stop_session, ""),
            ("restart", restart_session, _VERB),
        )
    ),
    *(
        served(
            id,
            f"GET /sessions/{{session}}/{path}",
            session_qr,
            sdk=sdk,
            capability=MANAGE,
            answer=QrPicture,
            errors=(NotFound, BadRequest, Conflict),
            difference="`data` is a PNG in base64, to be shown behind `data:image/png;base64,`; `value` is the code's "
            "text. The answer waits up to 10 seconds for a code, then it is 404.",
        )
        for id, path, sdk in (("retrieveQRCode", "auth/qr", "retrieveQRCode"), ("retrieveSessionQR", "qr", ""))
    ),
]
