"""How long this process may act on the leases that it holds, by its own clocks.

A lease ends by the wall clock of whoever looks, so both clocks count here: the monotonic one, and the gateway's where
the database refused to renew (it may have been set, and a renewal mends that). What runs on leases is stopped when two
thirds of them have passed, which leaves a third for closing connections. Used by supervisor.py.
"""

from __future__ import annotations

import time

from wagate.clock import Clock

Moment = tuple[float, int]
"""Seconds of the monotonic clock, and milliseconds of the gateway's."""


class Tenure:
    """When the leases were renewed last. A new one counts as renewed: nothing is held before it is taken."""

    __slots__ = ("_clock", "_refused", "_renewed", "_span")

    def __init__(self, clock: Clock, span: float) -> None:
        self._clock = clock
        self._span = span
        self._refused = False
        self._renewed = self.moment()

    @property
    def tick(self) -> float:
        """Seconds between two looks."""
        return min(1.0, self._span / 30)

    def moment(self) -> Moment:
        """Now. A renewal counts from the moment before it was asked for."""
        return time.monotonic(), self._clock.now()

    def renewed(self, began: Moment) -> None:
        """The leases are whole again."""
        self._renewed, self._refused = began, False

    def refused(self) -> None:
        """The database could not be written."""
        self._refused = True

    @property
    def due(self) -> bool:
        """The leases should be renewed now."""
        return self._refused or self._passed(by_wall=True) >= self._span / 3

    @property
    def over(self) -> bool:
        """What runs on the leases must be stopped now."""
        return self._passed(by_wall=self._refused) >= self._span * 2 / 3

    @property
    def left(self) -> float:
        """Seconds until `over`."""
        return round(max(0.0, self._span * 2 / 3 - self._passed(by_wall=self._refused)), 1)

    def _passed(self, *, by_wall: bool) -> float:
        steady, wall = self._renewed
        passed = time.monotonic() - steady
        return max(passed, (self._clock.now() - wall) / 1000) if by_wall else passed
