"""Whether everything that was acknowledged is there, exactly once. Speed bought with a loss counts nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Count:
    """How acknowledgements and what was found go together, in numbers of ids."""

    acknowledged: int
    missing: int = 0
    repeated: int = 0
    unasked: int = 0

    @property
    def good(self) -> bool:
        """Whether a run with this count counts. Nothing acknowledged proves nothing."""
        return self.acknowledged > 0 and not (self.missing or self.repeated or self.unasked)

    def __str__(self) -> str:
        if self.good:
            return f"{self.acknowledged:,} of {self.acknowledged:,} exactly once"
        return (
            f"of {self.acknowledged:,}: {self.missing} lost, {self.repeated} repeated, {self.unasked} never asked for"
        )


def exactly_once(acknowledged: Iterable[str], found: Iterable[str], *, unanswered: int = 0) -> Count:
    """Compare ids. `unanswered`: requests cut off before an answer; so many may be found or not.

    An id that was acknowledged twice is repeated, too: two requests must not be told of one message.
    """
    told, seen = Counter(acknowledged), Counter(found)
    repeated = {id for times in (told, seen) for id, often in times.items() if often > 1}
    return Count(
        acknowledged=len(told),
        missing=len(told.keys() - seen.keys()),
        repeated=len(repeated),
        unasked=max(0, len(seen.keys() - told.keys()) - unanswered),
    )


def added(counts: Iterable[Count]) -> Count:
    """All of them as one."""
    every = list(counts)
    return Count(
        acknowledged=sum(each.acknowledged for each in every),
        missing=sum(each.missing for each in every),
        repeated=sum(each.repeated for each in every),
        unasked=sum(each.unasked for each in every),
    )
