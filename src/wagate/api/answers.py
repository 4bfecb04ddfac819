"""What clients are told: answers and errors as status, headers and bytes.

Every error of every route has one body, `{"error": {code, message, details?}}`; it shows nothing of our insides.
Called by app and pages.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Literal

import msgspec
import structlog
from msgspec import UNSET, Meta

from wagate.api.operations import Operation, Reply
from wagate.errors import (
    Internal,
    MethodNotAllowed,
    RangeNotSatisfiable,
    Unauthorized,
    WagateError,
)
from wagate.model import Maybe, Shape

Code = Literal[
    "validation_error", "unauthorized", "forbidden", "not_found", "method_not_allowed", "conflict", "gone",
    "cursor_expired", "payload_too_large", "range_not_satisfiable", "refused", "rate_limited", "not_implemented",
    "gateway_unavailable", "no_answer", "internal",
]  # fmt: skip

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("wagate.api")


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a `Reply` that goes out in pieces: `length` bytes, no more and no fewer; None: until it ends.

    `pieces` is called at most once, and what it returns is closed when nobody takes any more. What it raises before
    the first piece becomes the answer.
    """

    length: int | None
    pieces: Callable[[], AsyncGenerator[bytes, None]]


class ErrorFacts(Shape, frozen=True, kw_only=True):
    """What went wrong."""

    code: Annotated[Code, Meta(description="Stable; branch on this, never on the message.")]
    message: Annotated[str, Meta(description="A sentence for people.")]
    details: Annotated[Maybe[dict[str, Any]], Meta(description="More, by code; absent when there is no more.")] = UNSET


class ErrorBody(Shape, frozen=True, kw_only=True):
    """The body of every error."""

    error: ErrorFacts


def of_error(error: WagateError) -> Reply:
    """The answer that tells a client of `error`."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    elif isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.details.get('size', 0)}"
    elif isinstance(error, MethodNotAllowed):
        headers["allow"] = error.details.get("allow", "")
    if (seconds := error.details.get("retryAfterSeconds")) is not None:
        headers["retry-after"] = str(seconds)
    return Reply(status=error.status, body=error_body(error), headers=headers)


def error_body(error: WagateError) -> dict[str, Any]:
    """The body that tells of `error`."""
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details:
        told["details"] = error.details
    return {"error": told}


def of_defect(
    defect: Exception, operation: Operation | None, request_id: str, told: Callable[[WagateError], Reply] = of_error
) -> Reply:
    """The answer to what should never happen, as `told` puts it.

    The log gets where it happened, but no value that a client sent.
    """
    _log.error(
        "an operation failed unexpectedly",
        operation=operation.id if operation else None,
        error=type(defect).__name__,
        trace="".join(traceback.format_tb(defect.__traceback__)),
    )
    return told(Internal("something went wrong inside the gateway", requestId=request_id))


def as_bytes(reply: Reply) -> bytes:
    """The body as it goes out."""
    body = reply.body
    if body is None:
        return b""
    return body if type(body) is bytes else _encode(body)


def of_result(result: Any, operation: Operation) -> Reply:
    """The answer made of what an operation's function returned."""
    if isinstance(result, Reply):
        return result
    return Reply(status=operation.statuses[0], body=result)
