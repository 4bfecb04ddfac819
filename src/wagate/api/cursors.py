"""Cursors that cannot be forged, and the sub-keys that the gateway's secret gives for one purpose each.

Called by lists (sign, read) and bootstrap (derive).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wagate.errors import BadRequest

_TAG_BYTES = 16
_LONGEST = 4096


class Signer:
    """Signs positions into cursors and reads them back. The key is a sub-key of its own, of at least 16 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a signing key has at least 16 bytes")
        self._key = key

    def sign(self, scope: str, position: list[Any]) -> str:
        """The cursor for `position`, good within `scope` only."""
        text = msgspec.json.encode(position)
        return base64.urlsafe_b64encode(self._tag(scope, text) + text).rstrip(b"=").decode()

    def read(self, scope: str, cursor: str) -> list[Any]:
        """The position that was signed.

        Raises:
            BadRequest: the cursor was not made by `sign` with this key and scope.
        """
        try:
            if len(cursor) > _LONGEST:
                raise ValueError
            signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            text = signed[_TAG_BYTES:]
            # Written back it must be the same text: base64 has several spellings of one thing.
            if not hmac.compare_digest(self._tag(scope, text), signed[:_TAG_BYTES]) or _plain(signed) != cursor:
                raise ValueError
            return msgspec.json.decode(text, type=list[Any])
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            raise BadRequest.field("cursor", "is not a cursor that this list gave") from None

    def _tag(self, scope: str, text: bytes) -> bytes:
        return hmac.digest(self._key, scope.encode() + b"\0" + text, hashlib.sha256)[:_TAG_BYTES]


def derive(secret: bytes, label: str) -> bytes:
    """A sub-key of 32 bytes for one purpose: HKDF-SHA256 of the gateway's secret with `label`. Called by bootstrap."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"wagate " + label.encode()).derive(secret)


def _plain(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
