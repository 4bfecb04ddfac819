"""Which session killed a host, as far as one can tell. Pure: times are given.

Sessions share a host, and native code that dies takes all of them along. Those for which something was under way are
suspects and live alone from then on, so that the next death shows who it was; three deaths of one are enough. Where
nothing was under way, once may be the machine's doing: they come back together, and who was there a second time is a
suspect. Eight hosts for eight sessions cost ten times the memory of one.
"""

from __future__ import annotations

from collections.abc import Collection

DEATHS = 3
"""So many deaths of hosts, and a session is given up."""

PROBATION_SECONDS = 600.0
"""A suspect that has lived alone for this long is trusted again."""


class Blame:
    """Counts of one engine; session ids are the keys."""

    def __init__(self) -> None:
        self._deaths: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._met: dict[str, float] = {}

    def died(self, present: Collection[str], under_way: Collection[str], now: float) -> list[str]:
        """A host died with these sessions. Whoever must be given up now."""
        suspects = [id for id in present if id in under_way] or self._there_before(present, now)
        given_up = []
        for id in suspects:
            self._since[id] = now
            # Among several it need not have been this one: only who was alone is counted without a doubt.
            sure = len(suspects) == 1
            self._deaths[id] = self._deaths.get(id, 0) + (1 if sure else 0)
            if self._deaths[id] >= DEATHS:
                given_up.append(id)
                self.forget(id)
        return given_up

    def alone(self, id: str, now: float) -> bool:
        """This session must have a host of its own for now."""
        since = self._since.get(id)
        if since is not None and now - since >= PROBATION_SECONDS:
            self.forget(id)
            return False
        return since is not None

    def forget(self, id: str) -> None:
        """This session is trusted as any other."""
        self._deaths.pop(id, None)
        self._since.pop(id, None)
        self._met.pop(id, None)

    def _there_before(self, present: Collection[str], now: float) -> list[str]:
        """Nothing was under way: who was there when that happened before, or is there alone."""
        met = [id for id in present if now - self._met.get(id, float("-inf")) < PROBATION_SECONDS]
        self._met.update(dict.fromkeys(present, now))
        return list(present) if len(present) == 1 else met
