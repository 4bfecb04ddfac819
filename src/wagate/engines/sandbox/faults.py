"""Faults on request: what is to go wrong next, how often or how long, for whom.

Kept in the network's state, so a fault that was asked for outlives a restart. A counted fault is used up where it
strikes; whoever took one writes `changes` with what it did.
"""

from __future__ import annotations

import msgspec

from wagate.model.sandbox import Fault, FaultKind

KEY = "faults"


class _Due(msgspec.Struct, kw_only=True, omit_defaults=True):
    kind: FaultKind
    session: str | None = None
    left: int | None = None
    until: int | None = None


_decoder = msgspec.json.Decoder(list[_Due])


class Faults:
    """The faults of one network, oldest first."""

    def __init__(self) -> None:
        self._due: list[_Due] = []
        self.changed = False

    def load(self, text: str | None) -> None:
        """Take up what was kept."""
        self._due = _decoder.decode(text) if text else []

    def changes(self) -> dict[str, str | None]:
        """What is to be kept now; whoever asks puts it."""
        self.changed = False
        return {KEY: msgspec.json.encode(self._due).decode() if self._due else None}

    def add(self, fault: Fault, now: int) -> None:
        """Something is to go wrong: `count` times (once unless told), or for `seconds`, or until either ends."""
        count = fault.count if fault.count is not None or fault.seconds is not None else 1
        until = None if fault.seconds is None else now + round(fault.seconds * 1000)
        self.changed = True
        self._due.append(_Due(kind=fault.kind, session=fault.session, left=count, until=until))

    def take(self, kind: FaultKind, session: str, now: int) -> bool:
        """Whether this goes wrong for the session now; a counted fault is used up by one."""
        if not self._due:
            return False
        self._due = [due for due in self._due if due.until is None or due.until > now]
        for place, due in enumerate(self._due):
            if due.kind == kind and due.session in (None, session):
                if due.left is not None:
                    self.changed = True
                    due.left -= 1
                    if due.left <= 0:
                        del self._due[place]
                return True
        return False

    def awaits(self, kind: FaultKind, session: str, now: int) -> bool:
        """Whether `take` would say yes."""
        return any(
            due.kind == kind and due.session in (None, session) and (due.until is None or due.until > now)
            for due in self._due
        )
