"""What phones seal with the secret of an earlier message: its edits, and in communities the reactions to it.

The library hands such an envelope on as it came. What opens it is a key made of the message's secret, which the library
keeps in its store, and of the addresses of both authors: by phone or by LID, as their phones have them. A wrong key
opens nothing, so each is tried. Used by inbound.py, on threads.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import structlog

from wagate.engines.whatsapp import stored
from wagate.model.contacts import Person

log = structlog.get_logger(__name__)

EDIT, REACTION = b"Message Edit", b"Enc Reaction"
"""What an envelope is for: a part of its key."""

_SECONDS = 20.0


def opened(folder: Path, envelope: Any, use: bytes, *, author: Person, by: Person) -> bytes | None:
    """What is in an envelope; None if it cannot be opened. May wait.

    `author`: who wrote the message that it is about; `by`: who sealed it.
    """
    message = envelope.targetMessageKey.ID
    addresses = ([each for each in (person.lid, person.jid) if each] for person in (author, by))
    pairs = list(itertools.product(*addresses))
    for secret in _secrets(folder, message):
        for first, second in pairs:
            found = _opened(envelope, key_of(secret, message, first, second, use))
            if found is not None:
                return found
    return None


def key_of(secret: bytes, message: str, author: str, by: str, use: bytes) -> bytes:
    """The key of an envelope: 32 octets."""
    drawn = hmac.digest(bytes(32), secret, hashlib.sha256)
    return hmac.digest(drawn, message.encode() + author.encode() + by.encode() + use + b"\1", hashlib.sha256)


def _opened(envelope: Any, key: bytes) -> bytes | None:
    # Loaded here: most hosts never need it.
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(envelope.encIV, envelope.encPayload, None)
    except (InvalidTag, ValueError):
        return None


def _secrets(folder: Path, message: str) -> list[bytes]:
    """The secrets of all messages with this id, asked in another process: in this one the library has the store."""
    command = [sys.executable, "-I", "-S", stored.__file__, str(folder), message]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        log.exception("the secret of a message cannot be looked up")
        return []
    return [bytes.fromhex(line) for line in done.stdout.decode().split()]
