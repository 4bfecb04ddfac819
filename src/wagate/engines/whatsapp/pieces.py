"""Pieces of history that the library fetches: pointed to by a message of the phone's, and told when they are here.

The pointer is acknowledged at once, and nobody gives it a second time: a session that ends before its pieces are here
has lost them. Used by line.py.
"""

from __future__ import annotations

import asyncio
import contextlib

from wagate.engines.whatsapp.library import Library

_MESSAGE, _HISTORY = 17, 13
_PATIENCE, _LITTLE_PATIENCE = 4.0, 1.0
"""After this long without any news a piece is given up: the library does not say that it could not fetch one. The
shorter is for a host that must end.
"""


class Pieces:
    """The pieces of one beginning of a session that are on their way; made on the event loop."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._missing = 0
        self._patience = _PATIENCE

    def heard(self, code: int, body: bytes) -> None:
        """An event of the library's, on one of its threads."""
        if code == _HISTORY:
            self._count(-1)
        elif code == _MESSAGE and _points(self._library, body):
            self._count(1)

    async def come(self) -> None:
        """Return when none is missing, or none comes any more."""
        with contextlib.suppress(TimeoutError):
            while self._missing > 0:
                self._news.clear()
                async with asyncio.timeout(self._patience):
                    await self._news.wait()
        self._missing = 0

    def hurry(self) -> None:
        """There is little time from now on."""
        self._patience = _LITTLE_PATIENCE
        self._news.set()

    def _count(self, change: int) -> None:
        with contextlib.suppress(RuntimeError):  # the host is ending, and its loop with it
            self._loop.call_soon_threadsafe(self._change, change)

    def _change(self, change: int) -> None:
        self._missing += change
        self._news.set()


def _points(library: Library, body: bytes) -> bool:
    try:
        said = library.read("Message", body).Message
    except Exception:  # whoever tells it will find that it cannot be read
        return False
    return bool(said.HasField("protocolMessage") and said.protocolMessage.HasField("historySyncNotification"))
