"""Whose turn it is: round-robin over organizations, and within each over its webhooks; a pure queue.

Nobody has more under way than allowed: so many of a webhook, of an organization, and of all together. What is slow or
dead fills its own share and nobody else's. Held by the deliverer.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from wagate.gateway.attempts import Due

OF_A_WEBHOOK: Final = 4
OF_AN_ORGANIZATION: Final = 128
OF_ALL: Final = 800
"""Fewer than the connections that the door has."""


class _Lane:
    """A webhook's share."""

    def __init__(self, organization_id: str) -> None:
        self.organization_id = organization_id
        self.waiting: deque[Due] = deque()
        self.running = 0


class Turns:
    """What waits, and what is under way."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        # Webhooks that could go on, by organization; the organizations in the order of their turns.
        self._able: dict[str, dict[str, None]] = {}
        self._running: dict[str, int] = {}
        self._total = 0

    def load(self, webhook_id: str) -> int:
        """How many deliveries of a webhook wait or are under way."""
        lane = self._lanes.get(webhook_id)
        return 0 if lane is None else len(lane.waiting) + lane.running

    def put(self, due: Due) -> None:
        """Behind the others of its webhook."""
        webhook = due.receiver.webhook
        lane = self._lanes.setdefault(webhook.id, _Lane(webhook.organization_id))
        lane.waiting.append(due)
        self._offer(webhook.id, lane)

    def next(self) -> Due | None:
        """What is to be begun now; it is under way until `done`. None: nothing may begin."""
        if self._total >= OF_ALL:
            return None
        for organization_id in self._able:
            if self._running.get(organization_id, 0) < OF_AN_ORGANIZATION:
                return self._begin(organization_id)
        return None

    def done(self, due: Due) -> None:
        """It is not under way any more."""
        webhook = due.receiver.webhook
        lane = self._lanes[webhook.id]
        lane.running -= 1
        self._total -= 1
        self._running[webhook.organization_id] -= 1
        if not self._running[webhook.organization_id]:
            del self._running[webhook.organization_id]
        if lane.waiting:
            self._offer(webhook.id, lane)
        elif not lane.running:
            del self._lanes[webhook.id]

    def drop(self, webhook_id: str) -> list[Due]:
        """Forget what waits of a webhook, and give it back; what is under way goes on."""
        lane = self._lanes.get(webhook_id)
        if lane is None or not lane.waiting:
            return []
        dropped = list(lane.waiting)
        lane.waiting.clear()
        able = self._able.get(lane.organization_id, {})
        able.pop(webhook_id, None)
        if not able:
            self._able.pop(lane.organization_id, None)
        if not lane.running:
            del self._lanes[webhook_id]
        return dropped

    def _begin(self, organization_id: str) -> Due:
        able = self._able.pop(organization_id)
        webhook_id = next(iter(able))
        del able[webhook_id]
        if able:
            self._able[organization_id] = able
        lane = self._lanes[webhook_id]
        due = lane.waiting.popleft()
        lane.running += 1
        self._total += 1
        self._running[organization_id] = self._running.get(organization_id, 0) + 1
        self._offer(webhook_id, lane)
        return due

    def _offer(self, webhook_id: str, lane: _Lane) -> None:
        """To the end of its organization's queue, and that to the end of all, unless they stand there already."""
        if lane.waiting and lane.running < OF_A_WEBHOOK:
            self._able.setdefault(lane.organization_id, {}).setdefault(webhook_id)
