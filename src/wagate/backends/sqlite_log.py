"""Moving SQLite's write-ahead log into the database file, beside the commits.

SQLite does it inside whichever commit makes the log long, and everyone who waits for that commit waits for it: 30 ms
and more, several times a second under load. Here a thread of its own moves the bulk on a connection of its own; what
was written meanwhile is little, and the committing thread moves that, so that the log begins anew. Used by
sqlite_writer.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

_COMMITS = 1000
"""After how many commits the log is moved: some 30 MB, which a start after a crash reads in a fraction of a second."""
LONG = 64 << 20
"""Bytes from which on the log is moved however few commits made it: under load a commit is of many callers. A log that
begins anew is cut to this length, so a longer file is a longer log."""
_SELDOM = 16
"""Commits between two looks at the file."""
_MOVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpointer:
    """Counts commits, and moves the log now and then. In memory there is none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._wanted = threading.Event()
        self._moved = False
        self._closed = False
        self._commits = 0
        self._thread: threading.Thread | None = None
        if path != ":memory:":
            self._thread = threading.Thread(target=self._run, name="sqlite-checkpoint", daemon=True)
            self._thread.start()

    def look(self, connection: sqlite3.Connection) -> None:
        """A commit was made on this connection. Called on the committing thread; never fails."""
        self._commits += 1
        if self._moved:
            self._moved, self._commits = False, 0
            with contextlib.suppress(sqlite3.Error):
                connection.execute(_MOVE).fetchall()
        elif self._commits >= _COMMITS or (self._commits % _SELDOM == 0 and self._is_long()):
            self._commits = 0
            self._wanted.set()

    def _is_long(self) -> bool:
        try:
            return os.stat(f"{self._path}-wal").st_size > LONG
        except OSError:
            return False

    def close(self) -> None:
        """Stop; whoever closes the database's last connection moves the rest."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            # Cleared before the work: a wish that comes meanwhile, such as to close, is not forgotten.
            self._wanted.clear()
            if self._closed:
                return
            # On a full disk it fails; the committing thread tries again after its next commit.
            with contextlib.suppress(sqlite3.Error):
                self._move()
            self._moved = True

    def _move(self) -> None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=5.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL").fetchall()
            connection.execute(_MOVE).fetchall()
