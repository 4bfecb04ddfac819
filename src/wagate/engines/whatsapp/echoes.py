"""Changes that are told twice: by the answer to our own action, and by the network's notice of it. Each is told once.

An action's change must be told before the action is answered, and the notice may come before, after or never. Pure:
times are given, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

_APART_SECONDS = 60.0
"""An answer and its notice are never further apart; after that, the same change is another one."""


class Echoes:
    """What one side told and the other has not, by what changed."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bool, Hashable], deque[float]] = {}

    def tell(self, change: Hashable, *, ours: bool, now: float) -> bool:
        """Whether this is to be told: not if the other side has told it already. `ours`: from an action's answer."""
        others = self._waiting.get((not ours, change))
        while others and now - others[0] > _APART_SECONDS:
            others.popleft()
        if others:
            others.popleft()
            return False
        if len(self._waiting) > 1000:
            self._forget(now)
        self._waiting.setdefault((ours, change), deque()).append(now)
        return True

    def _forget(self, now: float) -> None:
        old = [key for key, times in self._waiting.items() if not times or now - times[-1] > _APART_SECONDS]
        for key in old:
            del self._waiting[key]
