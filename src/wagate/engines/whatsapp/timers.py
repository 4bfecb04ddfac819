"""How long messages last in a chat, as a session has heard: what is sent there must say so, or it stays for good.

Kept beside the session's keys: of two, it is said again only with the next message. Used by the threads of one line.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

_FILE = "timers"


class Timers:
    """By chat, in seconds; a chat that is not here keeps its messages."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._lock = threading.Lock()
        self._seconds: dict[str, int] | None = None

    def of(self, chat: str) -> int:
        """How long messages last; 0: for good. May wait for a disk."""
        with self._lock:
            return self._known().get(chat, 0)

    def note(self, chat: str, seconds: int) -> None:
        """This was heard of a chat. May wait for a disk."""
        with self._lock:
            known = self._known()
            if known.get(chat, 0) == seconds:
                return
            known[chat] = seconds
            self._seconds = {each: lasts for each, lasts in known.items() if lasts}
            try:
                part = self._file.with_suffix(".part")
                part.touch(0o600)
                part.write_bytes(msgspec.json.encode(self._seconds))
                part.replace(self._file)
            except OSError:
                log.exception("how long messages last is not kept")

    def _known(self) -> dict[str, int]:
        if self._seconds is None:
            try:
                self._seconds = msgspec.json.decode(self._file.read_bytes(), type=dict[str, int])
            except (OSError, msgspec.MsgspecError):
                self._seconds = {}
        return self._seconds
