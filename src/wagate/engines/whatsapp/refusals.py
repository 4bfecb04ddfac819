"""What the library's complaints mean in our tree of errors. The one edge where its words are read.

What is certain: a send of which the library complains before it wrote the message is certainly not sent, and where
that was for want of a line, it goes out on the next; one that it wrote and that was cut off may have gone out; one that
the network answered with a number was refused. Words that nobody knows leave a send uncertain, for it must never be
repeated by mistake.
"""

from __future__ import annotations

import re

import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.errors import NoAnswer, NotAMember, NotFound, NotGroupAdmin, RateLimited, Refused, WagateError
from wagate.model.contents import RevokeContent

log = structlog.get_logger(__name__)

REACH_OUT_LOCKED = 463
"""WhatsApp lets this account write to nobody new for a while; it does not say for how long."""

_NUMBER = re.compile(r"(?:server returned error|graphql error:|status code|status)[ =](\d{3})\b")
_DIGITS = re.compile(r"\d{7,}")
_IN_WORDS = {
    "don't have the permission to get the group's invite link": 401,
    "not participating in that group": 403,
    "that group does not exist": 404,
    "invite link is not valid": 406,
    "invite link has been revoked": 410,
    "has hidden their profile picture": 401,
    "does not have a profile picture": 404,
    "no lid found for": 404,
}
"""Refusals that the library tells by a sentence, and their numbers."""

_WRITTEN = (
    "waiting for message send response",
    "disconnected before message send",
    "failed to send message node",
)
"""A send's words when the message was written, or may have been."""

_BEFORE = (
    "failed to get ",
    "failed to encrypt",
    "failed to prepare",
    "failed to prefetch",
    "failed to marshal",
    "failed to create sender key",
    "failed to upload",
    "can't send message to ",
)
"""How a send's complaint begins when it failed before the message was written."""

_NO_LINE = ("websocket not connected", "websocket disconnected", "client is nil", "not logged in")
_NO_ANSWER = ("timed out", "deadline exceeded", "context canceled", "disconnected before")
_UNREACHED = ("failed to request media", "proxyconnect", "connection refused", "connection reset", "eof")


class Complaint(Exception):
    """The library says that a call did not work, in its own words."""

    @property
    def code(self) -> int:
        """The number by which WhatsApp refused; 0 where the words tell none."""
        words = str(self).lower()
        found = _NUMBER.search(words)
        return int(found[1]) if found else next((code for text, code in _IN_WORDS.items() if text in words), 0)


def meant(complaint: Complaint, want: wire.AnyWant) -> WagateError | base.ConnectionLost:
    """What it means for what was wanted."""
    log.info("the library refused", want=type(want).__name__, said=_DIGITS.sub("…", str(complaint))[:300])
    if isinstance(want, wire.Send):
        return _of_a_send(complaint, want)
    return _of_a_request(complaint)


def _of_a_send(complaint: Complaint, want: wire.Send) -> WagateError | base.ConnectionLost:
    words, code = str(complaint).lower(), complaint.code
    if _has(words, _WRITTEN) and not words.endswith("message node: websocket not connected"):
        return NoAnswer()
    if not code and _has(words, _NO_LINE):
        return base.NeverLeft()
    if code >= 500 or (not code and _has(words, (*_NO_ANSWER, *_UNREACHED))):
        return NoAnswer("WhatsApp could not be reached", certain=True)
    if code == REACH_OUT_LOCKED:
        return Refused("WhatsApp lets this account write to nobody new now", reason="timelocked", waCode=code)
    if code == 429:
        return RateLimited("WhatsApp says that this account sends too much", waCode=code)
    if code == 401 and isinstance(want.outgoing.content, RevokeContent):
        return Refused("only an admin of the group can revoke another's message", reason="not_allowed", waCode=code)
    if want.outgoing.chat.endswith("@g.us") and code in (401, 403, 404):
        return NotGroupAdmin(waCode=code) if code == 401 else Refused(reason="not_a_member", waCode=code)
    if code == 404:
        return Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=code)
    if code:
        return Refused(waCode=code)
    return Refused("the message could not be prepared") if words.startswith(_BEFORE) else NoAnswer()


def _of_a_request(complaint: Complaint) -> WagateError | base.ConnectionLost:
    words, code = str(complaint).lower(), complaint.code
    if not code and _has(words, _NO_ANSWER):
        return NoAnswer()
    if not code and _has(words, (*_NO_LINE, *_UNREACHED)):
        return base.ConnectionLost()
    if code >= 500:
        return NoAnswer(waCode=code)
    if code == 429:
        return RateLimited("WhatsApp says that this account asks too much", waCode=code)
    if code == 404:
        return NotFound(waCode=code)
    if "without pushname" in words:
        return Refused("the phone has not told this session the account's name yet", reason="no_name")
    return Refused(waCode=code) if code else Refused("the network refused")


def of_a_group(complaint: Complaint) -> WagateError | None:
    """What a number means where something was asked about a group; None: what it means anywhere."""
    match complaint.code:
        case 401:
            return NotGroupAdmin(waCode=401)
        case 403 | 404:
            return NotAMember(waCode=complaint.code)
    return None


def of_something(complaint: Complaint) -> WagateError | None:
    """The same where a channel, a picture or somebody's words were asked for: what is hidden from us is not there."""
    return NotFound() if complaint.code in (401, 403, 404) else None


def _has(words: str, any_of: tuple[str, ...]) -> bool:
    return any(text in words for text in any_of)
