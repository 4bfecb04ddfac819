"""Where people are and where they type, as far as a session has heard since it came online. Memory, and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TypeVar

from msgspec import UNSET

from wagate.model.chats import ChatPresence, PresenceHeard

T = TypeVar("T")

_REMEMBERED = 1_000
_TYPES_SECONDS = 25.0
"""Whoever types says so again before this: who has not was cut off."""


class Whereabouts:
    """Used by the threads of one line; times in seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: OrderedDict[str, PresenceHeard] = OrderedDict()
        self._typing: OrderedDict[str, tuple[float, PresenceHeard]] = OrderedDict()

    def forget(self) -> None:
        """The line ended: nothing is known any more."""
        with self._lock:
            self._present.clear()
            self._typing.clear()

    def heard(self, report: PresenceHeard, now: float) -> bool:
        """Somebody came, went, types or has ceased to; false when somebody is where they were, said once more."""
        with self._lock:
            if report.chat:
                _keep(self._typing, report.chat, (now, report))
                return True
            before = self._present.get(report.person)
            _keep(self._present, report.person, report)
            if report.state == "unavailable":
                self._typing.pop(report.person, None)
            return report != before

    def of(self, chat: str, now: float) -> ChatPresence:
        """Who types in this chat; else, of a person, whether they are there."""
        with self._lock:
            at, typing = self._typing.get(chat, (0.0, None))
            present = self._present.get(chat)
        if typing is not None and typing.state == "composing" and now - at < _TYPES_SECONDS:
            return ChatPresence(from_=typing.person, state="composing", chat_jid=chat, media=typing.media)
        if present is None:
            group = chat if chat.endswith("@g.us") else UNSET
            return ChatPresence(from_=chat, state="unknown", chat_jid=group)
        away = True if present.state == "unavailable" else UNSET
        return ChatPresence(from_=chat, state=present.state, last_seen=present.last_seen, unavailable=away)


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
