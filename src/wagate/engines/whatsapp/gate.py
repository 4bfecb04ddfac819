"""A gate before native code that is not safe for many sessions at once.

The library keeps its sessions in plain maps without a lock: a call that looks a session up while another begins or ends
aborts the whole process. A call touches the maps only as it enters. So beginnings and ends go alone, after every call
that has just entered has got past that point, and calls that last go on beside them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_ENTERED_SECONDS = 1.0
"""After this long inside, a call has looked its session up, however busy the machine is."""


class Gate:
    """Used by threads of one process."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._inside: dict[int, float] = {}
        self._changing = False
        self._count = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Enter as one of many."""
        with self._turn:
            while self._changing:
                self._turn.wait()
            self._count += 1
            mine = self._count
            self._inside[mine] = time.monotonic()
        try:
            yield
        finally:
            with self._turn:
                del self._inside[mine]
                self._turn.notify_all()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Enter alone; whoever is inside for long stays."""
        with self._turn:
            while self._changing:
                self._turn.wait()
            self._changing = True
            while (wait := self._until_past()) > 0:
                self._turn.wait(wait)
        try:
            yield
        finally:
            with self._turn:
                self._changing = False
                self._turn.notify_all()

    def _until_past(self) -> float:
        """Seconds until the latest that entered is surely past the maps."""
        latest = max(self._inside.values(), default=float("-inf"))
        return latest + _ENTERED_SECONDS - time.monotonic()
