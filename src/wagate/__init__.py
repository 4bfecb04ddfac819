"""wagate: a self-hosted, multi-tenant WhatsApp gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def verify_webhook(body: bytes, headers: Mapping[str, str], secret: str, *, tolerance_seconds: float = 300) -> Any:
    """The event of a webhook's delivery, for programs that receive them.

    `body` is the raw body, exactly as it came; `headers` are the request's, their names in any case.

    Raises:
        ValueError: it was not signed with this secret, was changed on the way, or is older than `tolerance_seconds`.
    """
    from wagate.model import signatures

    return signatures.verify(body, headers, secret, tolerance=tolerance_seconds)
