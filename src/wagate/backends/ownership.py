"""Who serves a SQLite file: at most one process at a time.

The claim is an `flock` on `<file>.lock`: the system drops it when the process ends, however it ends, so nothing is ever
stale. Short commands do not claim; they write beside the owner, one transaction after the other. The lock file is never
deleted: a name that comes and goes can be locked twice. Called by sqlite.py, maintenance.py (restore) and migrate.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


def create(file: Path) -> None:
    """Make an empty database file for its owner alone, if there is none.

    One that is there is not even opened: closing a second descriptor would drop the locks that SQLite holds on it in
    this process, and the next process to leave would take the log of changes for nobody's and remove it.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class AlreadyServed(RuntimeError):
    """Another process serves this file. The message is a sentence for the operator, and names the file."""


class Ownership:
    """A claim on a database file, held until `release` or the end of the process."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self.file = file
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def own(file: Path) -> Ownership:
    """Claim `file` for this process.

    Raises:
        AlreadyServed: another process holds it.
        OSError: the lock file cannot be made.
    """
    lock = file.with_name(file.name + ".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        process = f" (process {holder})" if holder else ""
        raise AlreadyServed(
            f"Another gateway{process} already uses {file}; stop it first, or give this one a database of its own."
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass  # a full disk must not keep the gateway from starting: the number is only there to be read
    return Ownership(file, descriptor)
