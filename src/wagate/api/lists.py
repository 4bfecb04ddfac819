"""Lists: `limit`, `cursor`, and cursors that cannot be forged.

A cursor is the position that a gateway's list function returned, with a tag that binds it to the operation and the
organization it was given to: a changed one, another list's, or another organization's is refused. Called by noun files.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wagate.api.operations import Call
from wagate.errors import BadRequest
from wagate.gateway import Window
from wagate.model import Ask, Shape

T = TypeVar("T")

USUAL, MOST = 50, 200
EVERYTHING = 1_000_000_000
"""The limit of a one-page list that was asked for without limit and cursor."""

_TAG_BYTES = 16
_LONGEST = 4096


class ListQuery(Ask, frozen=True, kw_only=True):
    """What every list takes; filters are added by subclasses."""

    limit: (
        Annotated[int, msgspec.Meta(description="How many at most: 0 or absent is 50, else clamped to 1…200.")] | None
    ) = None
    cursor: Annotated[str, msgspec.Meta(description="`nextCursor` of the page before.")] | None = None


class Page(Shape, Generic[T], frozen=True, kw_only=True):
    """A part of a list. An empty `nextCursor` means that there is no more."""

    data: list[T]
    next_cursor: str


class PlainPage(Shape, frozen=True, kw_only=True):
    """A page on its way out, whatever it holds."""

    data: Sequence[Any]
    next_cursor: str = ""


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


def window(call: Call, *, one_page: bool = False) -> Window:
    """What part `call.query` (a `ListQuery`) asks for. `one_page`: everything, unless limit or cursor is given.

    Raises:
        BadRequest: the cursor is broken.
    """
    query: ListQuery = call.query
    if one_page and query.limit is None and not query.cursor:
        return Window(EVERYTHING, None)
    limit = min(max(query.limit, 1), MOST) if query.limit else USUAL
    return Window(limit, call.signer.read(_scope(call), query.cursor) if query.cursor else None)


def page(call: Call, rows: Sequence[Any], following: list[Any] | None) -> PlainPage:
    """The answer: `rows`, and the cursor for position `following` (None: there is no more)."""
    return PlainPage(data=rows, next_cursor="" if following is None else call.signer.sign(_scope(call), following))


def derive(secret: bytes, label: str) -> bytes:
    """A sub-key of 32 bytes for one purpose: HKDF-SHA256 of the gateway's secret with `label`. Called by bootstrap."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"wagate " + label.encode()).derive(secret)


def _scope(call: Call) -> str:
    return f"{call.operation.id}\0{call.caller.organization_id}"


def _plain(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
