"""Secrets of customers at rest: sealed with a key that the database does not hold.

AES-256-GCM under a sub-key of `WAGATE_SECRET_KEY`. What a text is about is sealed with it, so that one moved to another
row does not open there. Made by bootstrap; called by gateway/webhooks.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_FORM = "1."
"""Stands before what is sealed in this way, for the day when there is another."""


class CannotOpen(Exception):
    """It was sealed with another key, about something else, or was changed."""


class Sealer:
    """Seals texts and opens them again. None: a process that holds no key, such as a short command."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key` has 32 bytes."""
        self._cipher = None if key is None else AESGCM(key)

    def seal(self, text: str, *, about: str) -> str:
        """`text`, unreadable without the key.

        Raises:
            CannotOpen: there is no key here.
        """
        nonce = os.urandom(_NONCE)
        sealed = self._keyed().encrypt(nonce, text.encode(), about.encode())
        return _FORM + base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, about: str) -> str:
        """The text that was sealed about this.

        Raises:
            CannotOpen: see there.
        """
        try:
            if not sealed.startswith(_FORM):
                raise ValueError
            raw = base64.b64decode(sealed.removeprefix(_FORM), validate=True)
            return self._keyed().decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (ValueError, InvalidTag):
            raise CannotOpen("a secret cannot be opened: WAGATE_SECRET_KEY is not the one it was sealed with") from None

    def _keyed(self) -> AESGCM:
        if self._cipher is None:
            raise CannotOpen("there is no key here")
        return self._cipher
