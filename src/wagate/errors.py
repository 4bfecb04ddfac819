"""Every error that a client can be told, drawn as a tree.

    WagateError
    ├── BadRequest ─────────── 400 validation_error
    ├── Unauthorized ───────── 401 unauthorized
    ├── Forbidden ──────────── 403 forbidden
    ├── NotFound ───────────── 404 not_found
    │   └── NotAMember             the account is not in the group
    ├── MethodNotAllowed ───── 405 method_not_allowed
    ├── Conflict ───────────── 409 conflict
    ├── Gone ───────────────── 410 gone
    │   └── CursorExpired      410 cursor_expired
    ├── PayloadTooLarge ────── 413 payload_too_large
    ├── RangeNotSatisfiable ── 416 range_not_satisfiable
    ├── Refused ────────────── 422 refused: the network said no
    │   └── NotGroupAdmin      403 forbidden: the network said no for lack of rights
    ├── RateLimited ────────── 429 rate_limited
    ├── NotPerformed ───────── 501 not_implemented
    │   ├── SessionNotConnected
    │   └── UnsupportedByEngine
    ├── Unavailable ────────── 503 gateway_unavailable
    │   └── StorageUnavailable     the database cannot be written now
    ├── NoAnswer ───────────── 504 no_answer
    └── Internal ───────────── 500 internal

`code` and `status` are what clients see and never change. `retry` says whether the same request may succeed later as it
stands. `certain` says whether the failure is certain: false means that what was asked may have happened all the same.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class WagateError(Exception):
    """The root: an error with a stable code, an HTTP status and details for the client."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False
    certain: ClassVar[bool] = True

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        doc = (type(self).__doc__ or "").strip().split("\n")[0].rstrip(".")
        self.message = message or (doc if doc.startswith("WhatsApp") else doc[:1].lower() + doc[1:])
        self.details: dict[str, Any] = details
        super().__init__(self.message)


class BadRequest(WagateError):
    """The request is not valid."""

    code, status = "validation_error", 400

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        super().__init__(message, **details)
        self.details.setdefault("errors", [self.message])
        self.details.setdefault("fields", [])

    @classmethod
    def field(cls, path: str, message: str) -> BadRequest:
        """One field is wrong; `path` names it as the client wrote it."""
        sentence = f"{path}: {message}" if path else message
        return cls(sentence, errors=[sentence], fields=[{"path": path, "message": message}])


class Unauthorized(WagateError):
    """The credential is missing, malformed, expired or revoked."""

    code, status = "unauthorized", 401


class Forbidden(WagateError):
    """The credential lacks the capability."""

    code, status = "forbidden", 403


class NotFound(WagateError):
    """Not found."""

    code, status = "not_found", 404


class NotAMember(NotFound):
    """Group not found."""

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        super().__init__(message, **{"reason": "not_a_member", **details})


class MethodNotAllowed(WagateError):
    """The method is not allowed on this path."""

    code, status = "method_not_allowed", 405


class Conflict(WagateError):
    """The request conflicts with the present state."""

    code, status = "conflict", 409


class Gone(WagateError):
    """No longer kept."""

    code, status = "gone", 410


class CursorExpired(Gone):
    """The cursor has left the log."""

    code = "cursor_expired"


class PayloadTooLarge(WagateError):
    """The body is too large."""

    code, status = "payload_too_large", 413


class RangeNotSatisfiable(WagateError):
    """The range begins behind the end."""

    code, status = "range_not_satisfiable", 416


class Refused(WagateError):
    """WhatsApp refused."""

    code, status = "refused", 422

    def __init__(self, message: str | None = None, /, *, reason: str = "not_allowed", **details: Any) -> None:
        super().__init__(message, **{"reason": reason, "certain": True, **details})


class NotGroupAdmin(Refused):
    """This session's account is not an admin of the group."""

    code, status = "forbidden", 403

    def __init__(self, message: str | None = None, /, *, reason: str = "not_group_admin", **details: Any) -> None:
        super().__init__(message, reason=reason, **details)


class RateLimited(WagateError):
    """The session's send budget is spent."""

    code, status, retry = "rate_limited", 429, True


class NotPerformed(WagateError):
    """The session cannot do this."""

    code, status = "not_implemented", 501


class SessionNotConnected(NotPerformed):
    """The session is not connected."""

    retry = True

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        super().__init__(message, **{"reason": "session_not_connected", **details})


class UnsupportedByEngine(NotPerformed):
    """The session's engine does not perform this."""

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        super().__init__(message, **{"reason": "unsupported_by_engine", **details})


class Unavailable(WagateError):
    """The node that holds the session does not answer."""

    code, status, retry = "gateway_unavailable", 503, True


class StorageUnavailable(Unavailable):
    """The database cannot be written now."""


class NoAnswer(WagateError):
    """WhatsApp did not answer in time."""

    code, status, retry, certain = "no_answer", 504, False, False

    def __init__(self, message: str | None = None, /, *, certain: bool = False, **details: Any) -> None:
        super().__init__(message, **{"certain": certain, **details})


class Internal(WagateError):
    """Something went wrong inside the gateway."""


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it travels between processes and rests in rows: its class's name, its message, its details."""

    kind: str
    message: str
    details: dict[str, Any] = {}


def to_wire(error: WagateError) -> WireError:
    """The error in a form that can be stored or sent."""
    return WireError(kind=type(error).__name__, message=error.message, details=error.details)


def from_wire(wire: WireError) -> WagateError:
    """The error again; a kind that is unknown here becomes `Internal`."""
    kind = _KINDS.get(wire.kind, Internal)
    error = kind.__new__(kind)
    WagateError.__init__(error, wire.message, **wire.details)
    return error


def _tree(root: type[WagateError]) -> dict[str, type[WagateError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


_KINDS = _tree(WagateError)
