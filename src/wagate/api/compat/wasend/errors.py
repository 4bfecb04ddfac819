"""What the dialect's clients are told when something goes wrong.

Every error has one body, `{success: false, error, message, statusCode}`: programs written from the documentation read
`error`, the SDK reads `message`, and both are the same sentence. The statuses are our own but for one: a session that
is not connected is 503 here, because the SDK shows its users nothing but the number, and 501 means that it never will.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wagate.api import answers
from wagate.api.operations import Reply
from wagate.errors import SessionNotConnected, Unavailable, WagateError


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The body of every error. `message` is never empty, and a text: the SDK gives anything else to its callers raw.

    Where a request does several things one after the other, `applied` is what was done all the same, and `failed` what
    was not, each with its `id` and `reason`.
    """

    success: bool
    error: str
    message: str
    status_code: int
    applied: list[Any] = []
    failed: list[Any] = []


def refuse(error: WagateError) -> Reply:
    """The answer that tells of `error`, with the headers that every API of ours gives it."""
    native = answers.of_error(error)
    status = Unavailable.status if isinstance(error, SessionNotConnected) else error.status
    sentence = error.message or error.code
    body = Failure(
        success=False,
        error=sentence,
        message=sentence,
        status_code=status,
        applied=error.details.get("applied", []),
        failed=error.details.get("failed", []),
    )
    return Reply(status=status, body=body, headers=native.headers)
