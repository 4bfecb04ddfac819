"""What the library's complaints mean in our tree of errors. The one edge where its words are read."""

from __future__ import annotations

import re

import structlog

from wagate.engines import base
from wagate.errors import NoAnswer, NotFound, NotGroupAdmin, Refused, WagateError

log = structlog.get_logger(__name__)


class Complaint(Exception):
    """The library says that a call did not work, in its own words."""

    @property
    def code(self) -> int:
        """The number by which WhatsApp refused; 0 where the words tell none."""
        found = _CODE.search(str(self).lower())
        return 0 if found is None else int(found.group(1))


_CODE = re.compile(r"(?:server returned error |status |code[= ]|error )(\d{3})\b")
_LOST = ("websocket not connected", "websocket disconnected", "not logged in", "client is nil", "context canceled")
_NO_ANSWER = ("timed out", "deadline exceeded", "i/o timeout")
_REFUSALS: dict[int, type[WagateError]] = {401: NotGroupAdmin, 403: NotGroupAdmin, 404: NotFound}


def meant(complaint: Complaint, *, dispatched: bool) -> WagateError | base.ConnectionLost:
    """What it means. `dispatched`: the library may have put the request on the wire before it complained."""
    text = str(complaint)
    log.info("the library refused", said=text[:300], dispatched=dispatched)
    lower = text.lower()
    if any(word in lower for word in _LOST):
        return NoAnswer() if dispatched and "disconnected" in lower else base.ConnectionLost()
    if any(word in lower for word in _NO_ANSWER):
        return NoAnswer()
    if found := _CODE.search(lower):
        code = int(found.group(1))
        kind = _REFUSALS.get(code)
        if kind is NotFound:
            return NotFound()
        return (kind or Refused)(waCode=code)
    return NoAnswer() if dispatched else Refused("the network refused")
