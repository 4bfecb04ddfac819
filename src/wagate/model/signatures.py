"""How a delivery is signed, and how its receiver checks that.

Two signatures over one body: `X-Webhook-Hmac`, HMAC-SHA512 with the newest secret; and the one of Standard Webhooks,
with the newest and, for a day after a rotation, with the one before. Called by gateway/deliveries, and by users' own
code as `wagate.verify_webhook`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from standardwebhooks.webhooks import Webhook as Standard

from wagate.errors import BadRequest

STANDARD_PREFIX: Final = "whsec_"
OURS: Final = frozenset(
    {
        "content-type", "x-webhook-request-id", "x-webhook-timestamp", "x-webhook-hmac", "x-webhook-hmac-algorithm",
        "webhook-id", "webhook-timestamp", "webhook-signature", "traceparent", "tracestate",
    }
)  # fmt: skip
"""The headers of a delivery, in small letters. A customer's header of such a name is left out.

Of a trace as well: one fixed `traceparent` would tie all deliveries of a webhook into one trace without end.
"""


class SignatureRefused(ValueError):
    """The body is not what the gateway signed with this secret, or it is too old. The message says which."""


def key_of(secret: str) -> bytes:
    """The key of the Standard Webhooks signature: the base64 part of a `whsec_…` secret, else its own bytes.

    Raises:
        BadRequest: it begins with `whsec_`, and no base64 follows.
    """
    if not secret.startswith(STANDARD_PREFIX):
        return secret.encode()
    written = secret.removeprefix(STANDARD_PREFIX)
    try:
        key = base64.b64decode(written + "=" * (-len(written) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key:
        raise BadRequest.field("secret", f"begins with {STANDARD_PREFIX}, and no base64 follows")
    return key


def headers_of(event_id: str, body: bytes, now: int, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of a delivery at `now` (epoch milliseconds). `secrets`: the newest first; none: not signed."""
    headers = {
        "Content-Type": "application/json",
        "X-Webhook-Request-Id": event_id,
        "X-Webhook-Timestamp": str(now),
        "webhook-id": event_id,
        "webhook-timestamp": str(now // 1000),
    }
    if secrets:
        headers["X-Webhook-Hmac"] = hmac.digest(secrets[0].encode(), body, hashlib.sha512).hex()
        headers["X-Webhook-Hmac-Algorithm"] = "sha512"
        moment, text = datetime.fromtimestamp(now // 1000, UTC), body.decode()
        headers["webhook-signature"] = " ".join(_standard(each).sign(event_id, moment, text) for each in secrets)
    return headers


def verify(
    body: bytes, headers: Mapping[str, str], secret: str, *, tolerance: float = 300, now: int | None = None
) -> Any:
    """The event in `body`, if the gateway signed exactly these bytes with `secret`, at most `tolerance` seconds ago.

    Takes the previous secret for a day after a rotation. `headers` in any case; `now` in epoch milliseconds.

    Raises:
        SignatureRefused: anything else.
    """
    told = {name.lower(): value for name, value in headers.items()}
    id, signed, stamp = (told.get(f"webhook-{name}", "") for name in ("id", "signature", "timestamp"))
    if not (id and signed and stamp):
        raise SignatureRefused("it is not signed: a header is missing")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise SignatureRefused("its timestamp is not one")
    present = time.time() if now is None else now / 1000
    if abs(present - int(stamp)) > tolerance:
        raise SignatureRefused("its timestamp is too far from now")
    try:
        expected = _standard(secret).sign(id, datetime.fromtimestamp(int(stamp), UTC), body.decode())
    except (ValueError, OverflowError, OSError):
        raise SignatureRefused("it is no text, or of no time") from None
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in signed.split(" ")):
        raise SignatureRefused("no signature of it was made with this secret")
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise SignatureRefused("its body is not JSON") from None


@lru_cache(maxsize=4096)
def _standard(secret: str) -> Standard:
    return Standard(key_of(secret))
