"""Who is online and who types, as far as it is known now: memory alone, no task and no timer for anybody.

A session that watches somebody hears of them until its link or this process ends. A session counts as online from when
it says so until it says otherwise or its line ends.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

WATCHED = 1_000
"""How many people one session watches at once; the ones watched longest ago are let go."""


class Typing(NamedTuple):
    """What somebody does in a chat: `to` is the other's number, or a group's JID."""

    to: str
    media: Literal["text", "audio"]


class Presences:
    """Presence in one network; people by number."""

    def __init__(self) -> None:
        self._watched: dict[str, dict[str, None]] = {}
        self._watchers: dict[str, dict[str, None]] = {}
        self._present: dict[str, set[str]] = {}
        self.typing: dict[str, Typing] = {}

    def watch(self, session: str, number: str) -> None:
        """A session hears of somebody from now on."""
        watched = self._watched.setdefault(session, {})
        watched.pop(number, None)
        watched[number] = None
        self._watchers.setdefault(number, {})[session] = None
        if len(watched) > WATCHED:
            oldest = next(iter(watched))
            del watched[oldest]
            self._unwatch(session, oldest)

    def watchers(self, number: str) -> list[str]:
        """The sessions that hear of somebody."""
        return list(self._watchers.get(number, ()))

    def enter(self, session: str, number: str) -> None:
        """A session shows its account as online."""
        self._present.setdefault(number, set()).add(session)

    def exit(self, session: str, number: str) -> bool:
        """A session no longer does; whether it did."""
        present = self._present.get(number)
        shown = present is not None and session in present
        if present is not None:
            present.discard(session)
        if not present:
            self._present.pop(number, None)
            self.typing.pop(number, None)
        return shown

    def shows(self, session: str, number: str) -> bool:
        """Whether this session shows its account as online."""
        return session in self._present.get(number, ())

    def present(self, number: str) -> bool:
        """Whether any session shows this account as online."""
        return number in self._present

    def forget(self, session: str) -> None:
        """The session is linked no more."""
        for number in self._watched.pop(session, ()):
            self._unwatch(session, number)

    def _unwatch(self, session: str, number: str) -> None:
        watchers = self._watchers[number]
        del watchers[session]
        if not watchers:
            del self._watchers[number]
