"""What the library keeps of a session, looked at while the library has it not."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

FILE = "keys.db"
"""The library's store in a session's folder."""


def has_keys(folder: Path) -> bool:
    """Whether a phone has accepted this session, and it was not logged out since.

    Raises:
        OSError: that cannot be said now; an account must not be given up for it.
    """
    file = folder / FILE
    if not file.exists():
        return False
    # Not read-only: what a host that was killed left in the log belongs into the file first.
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=5)) as store:
            table = store.execute("SELECT 1 FROM sqlite_master WHERE name = 'whatsmeow_device'").fetchone()
            return table is not None and store.execute("SELECT 1 FROM whatsmeow_device LIMIT 1").fetchone() is not None
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
