"""What a request is refused with, and how the sandbox's own errors read on the wire."""

from __future__ import annotations

from wagate.errors import BadRequest, Conflict, NotAMember, NotFound, NotGroupAdmin, Refused, WagateError

TEXTS = {
    400: "bad-request",
    401: "not-authorized",
    403: "forbidden",
    404: "item-not-found",
    405: "not-allowed",
    406: "not-acceptable",
    409: "conflict",
    410: "gone",
    419: "resource-limit",
    429: "rate-overlimit",
    500: "internal-server-error",
    501: "feature-not-implemented",
    503: "service-unavailable",
}


class Refusal(Exception):
    """A request is answered with an error of this code."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(f"{code} {text or TEXTS.get(code, '')}")
        self.code = code
        self.text = text or TEXTS.get(code, "error")


def wire_code(error: WagateError) -> int:
    """The code by which WhatsApp refuses what the rules of the sandbox refuse."""
    details = getattr(error, "details", None) or {}
    if isinstance(code := details.get("waCode"), int):
        return code
    codes: list[tuple[type[WagateError], int]] = [
        (NotGroupAdmin, 401),
        (NotAMember, 403),
        (NotFound, 404),
        (Conflict, 409),
        (BadRequest, 406),
        (Refused, 403),
    ]
    return next((code for kind, code in codes if isinstance(error, kind)), 500)
