"""Files that belong to the operator alone: the data directory, the secret key, the demo key."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from wagate.config import Settings


class CannotStart(RuntimeError):
    """The gateway refuses to start. The message is a sentence for the operator."""


def secret(settings: Settings) -> bytes:
    """The secret key: as set, or as kept in the data directory, where the first start makes it."""
    if settings.secret_key:
        return settings.secret_key.encode()
    if not settings.secret_key_file.exists():
        write_private(settings.secret_key_file, secrets.token_urlsafe(48) + "\n")
    return settings.secret_key_file.read_bytes().strip()


def make_private(directory: Path) -> None:
    """See to it that the directory is there; a new one is open to its owner alone."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"Cannot make the data directory {directory}: {error.strerror}.") from error


def write_private(file: Path, text: str) -> None:
    """Readable by its owner alone, and whole or not there at all."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
