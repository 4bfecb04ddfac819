"""What becomes of a line: what the library's events say of how it stands."""

from __future__ import annotations

import time
from typing import Literal

import structlog

from wagate.engines import base
from wagate.engines.whatsapp.library import Library
from wagate.model.sessions import Reason

log = structlog.get_logger(__name__)

ABOUT_THE_LINE = frozenset({3, 4, 6, 7, 8, 9, 10, 12})
"""Events that say how the line stands; the others say what came over it."""

_DEAF_AFTER = 2
"""Pings without an answer. One goes out every 20 to 30 seconds and is waited for 10: the second is missed at most 80
seconds after the last sign of life."""

_FAILURES: dict[int, Reason] = {2: "unlinked", 3: "temp_banned", 4: "banned", 5: "banned", 6: "client_outdated"}
"""Why WhatsApp refused to let the session in, by the library's number: 401, 402, 403, 406 and 405 on the wire."""

Meaning = base.Ended | Literal["online", "lost"] | None


def meaning(library: Library, code: int, body: bytes) -> Meaning:
    """What an event of `ABOUT_THE_LINE` says; None: nothing to act on."""
    match code:
        case 3:
            return "online"
        case 4:
            return "lost" if library.read("KeepAliveTimeout", body).ErrorCount >= _DEAF_AFTER else None
        case 6:
            return _ended(_FAILURES.get(library.read("LoggedOut", body).Reason, "unlinked"))
        case 7:
            return _ended("replaced")
        case 8:
            ban = library.read("TemporaryBan", body)
            log.warning("WhatsApp banned the account for a time", code=ban.Code, seconds=ban.Expire)
            return _ended("temp_banned", until=int(time.time() + ban.Expire) * 1000 if ban.Expire else None)
        case 9:
            reason = _FAILURES.get(library.read("ConnectFailure", body).Reason)
            return "lost" if reason is None else _ended(reason)
        case 10:
            log.error("WhatsApp takes this version of its library no more: install a newer wagate")
            return _ended("client_outdated")
        case 12:
            return "lost"
    return None


def _ended(reason: Reason, *, until: int | None = None) -> base.Ended:
    """What needs linking anew is logged out; what waits for the operator or for time has failed."""
    return base.Ended(status="logged_out" if reason in ("unlinked", "banned") else "failed", reason=reason, until=until)
