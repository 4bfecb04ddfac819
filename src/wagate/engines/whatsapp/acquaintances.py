"""Whom the account's phone has in its address book, and how businesses call themselves.

The library takes this over from the phone some seconds after linking, and whenever the phone's owner changes it, and
tells nobody. So it is looked at: soon after the phone has shared the keys by which it can be read, and from time to
time. Used by line.py and performing.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from wagate.engines.whatsapp.addresses import text_of

_SOON = (2.0, 20.0)
"""Seconds after the keys came: most is there at once, a large address book takes longer."""
_SECONDS = 600.0

Look = Callable[[], Awaitable[None]]
"""Looks at all contacts, and tells what is new of them."""


class Acquaintances:
    """The names as they were told last; made on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: dict[str, tuple[str, str]] = {}
        self._keys = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self, contacts: Iterable[Any], look: Look) -> None:
        """These are told just now; from now on look again."""
        self.end()
        self._told.clear()
        self.new(contacts)
        self._task = self._loop.create_task(self._watch(look))

    def end(self) -> None:
        """Look no more. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def new(self, contacts: Iterable[Any]) -> list[Any]:
        """The contacts that have other names than those that were told last; now these are told."""
        found = []
        for each in contacts:
            names = (each.Info.FullName, each.Info.BusinessName)
            if any(names) and self._told.get(who := text_of(each.JID)) != names:
                self._told[who] = names
                found.append(each)
        return found

    def keys_came(self) -> None:
        """The phone has shared keys. Called on threads that read."""
        with contextlib.suppress(RuntimeError):  # the host is ending, and its loop with it
            self._loop.call_soon_threadsafe(self._keys.set)

    async def _watch(self, look: Look) -> None:
        while True:
            try:
                async with asyncio.timeout(_SECONDS):
                    await self._keys.wait()
            except TimeoutError:
                await look()
                continue
            self._keys.clear()
            for seconds in _SOON:
                await asyncio.sleep(seconds)
                await look()
