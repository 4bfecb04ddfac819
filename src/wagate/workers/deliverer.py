"""Delivers to webhooks: looks what is due, claims it in batches, posts, and settles in batches.

Hints say whose log has grown; once a second all webhooks are looked at, which finds what hints did not tell: retries,
and what an earlier life left. `Turns` decides what begins; each attempt is a task of its own, so that nobody waits for
a slow receiver but what is on its way to that one. Started and stopped by bootstrap.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from wagate.errors import StorageUnavailable
from wagate.gateway import Gateway, attempts
from wagate.gateway.attempts import Attempt, Due, Place
from wagate.telemetry import traces
from wagate.workers.turns import OF_A_WEBHOOK, Turns

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_AHEAD = 4 * OF_A_WEBHOOK
"""How many deliveries of a webhook are claimed at most: they must be done before their lease ends."""
_WEBHOOKS = 50
"""How many webhooks are claimed for in one transaction."""
_COMPANY_SECONDS = 0.002
"""How long a hint waits for others before the database is asked."""


class Deliverer:
    """One process's deliveries. `run` until cancelled, then `close`."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._turns = Turns()
        self._hinted: set[str] = set()
        self._more: dict[Place, None] = {}
        self._mine: set[tuple[str, str]] = set()
        # Webhooks that changed since the last claim began, and what was claimed for them as they were before.
        self._changed: set[str] = set()
        self._old: list[Due] = []
        self._tried: list[tuple[Due, Attempt]] = []
        self._woken, self._results = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stops = [gw.broker.subscribe("deliveries", self._hint), gw.broker.subscribe("webhooks", self._change)]

    async def start(self, *, alone: bool) -> None:
        """Free what an earlier life had claimed. `alone`: no other process uses this database."""
        await attempts.reap(self._gw, everyone=alone)

    async def run(self) -> None:
        """Deliver, for ever."""
        settling = asyncio.ensure_future(self._settle_all())
        try:
            await self._look_for_ever()
        finally:
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)

    async def close(self) -> None:
        """End what is under way; it is delivered again in the next life. What has ended is written down."""
        for stop in self._stops:
            stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StorageUnavailable):
            await self._settle()
            await attempts.reap(self._gw, everyone=False)

    async def _look_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: it may swallow a cancellation that comes together with the hint.
                async with asyncio.timeout_at(look_at):
                    await self._woken.wait()
                await asyncio.sleep(_COMPANY_SECONDS)
            self._woken.clear()
            try:
                await self._release()
                if loop.time() >= look_at:
                    look_at = loop.time() + _LOOK_SECONDS
                    self._hinted.clear()
                    await self._claim(await attempts.hungry(self._gw))
                elif self._hinted:
                    hinted = list(self._hinted)
                    self._hinted.clear()
                    await self._claim(await attempts.hungry(self._gw, hinted))
                await self._claim([])
            except StorageUnavailable:
                log.warning("database cannot be written; nothing is delivered")
                await asyncio.sleep(0.5)
            except Exception:
                # Without this loop nothing would ever be delivered again.
                log.exception("round failed")
                await asyncio.sleep(1)

    async def _claim(self, hungry: list[Place]) -> None:
        """Claim for these webhooks, and for those that are known to have more, as far as there is room."""
        self._more |= dict.fromkeys(hungry)
        wants = [(place, _AHEAD - self._turns.load(place[1])) for place in self._more]
        # Not for every single place that becomes free: a claim is a transaction.
        wants = [(place, room) for place, room in wants if room >= _AHEAD // 2]
        for start in range(0, len(wants), _WEBHOOKS):
            asked = wants[start : start + _WEBHOOKS]
            self._changed.clear()
            found = await attempts.claim(self._gw, asked)
            got: dict[str, int] = {}
            for due in found:
                got[due.receiver.webhook.id] = got.get(due.receiver.webhook.id, 0) + 1
                key = (due.receiver.webhook.id, due.event_id)
                if key not in self._mine:
                    self._mine.add(key)
                    if due.receiver.webhook.id in self._changed:
                        self._old.append(due)
                    else:
                        self._turns.put(due)
            for place, room in asked:
                if got.get(place[1], 0) < room:
                    self._more.pop(place, None)
            self._begin()

    def _begin(self) -> None:
        while (due := self._turns.next()) is not None:
            task = asyncio.ensure_future(self._attempt(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attempt(self, due: Due) -> None:
        webhook = due.receiver.webhook
        traces.current.set(due.traceparent)
        try:
            result = await attempts.attempt(self._gw, due.receiver, due.event_id, due.body, traceparent=due.traceparent)
        except Exception:
            log.exception("attempt failed", webhook=webhook.id)
            result = Attempt(error="the gateway could not post it", failure="not_posted")
        except asyncio.CancelledError:
            self._turns.done(due)
            raise
        self._turns.done(due)
        self._tried.append((due, result))
        self._results.set()
        self._begin()
        if (webhook.organization_id, webhook.id) in self._more and self._turns.load(webhook.id) <= _AHEAD // 2:
            self._woken.set()

    async def _settle_all(self) -> None:
        while True:
            await self._results.wait()
            self._results.clear()
            try:
                await self._settle()
            except StorageUnavailable:
                await asyncio.sleep(0.5)
                self._results.set()
            except Exception:
                log.exception("deliveries not settled")
                await asyncio.sleep(1)
                self._results.set()

    async def _settle(self) -> None:
        while self._tried:
            tried, self._tried = self._tried, []
            try:
                await attempts.settle(self._gw, tried)
            except BaseException:
                self._tried = tried + self._tried
                raise
            for due, _ in tried:
                self._mine.discard((due.receiver.webhook.id, due.event_id))
                if due.receiver.webhook.ordered:
                    self._more[due.receiver.webhook.organization_id, due.receiver.webhook.id] = None
                    self._woken.set()

    async def _release(self) -> None:
        """Give back what was claimed for webhooks as they are no more, to be claimed for what they are now."""
        old, self._old = self._old, []
        if old:
            try:
                await attempts.release(self._gw, old)
            except BaseException:
                self._old = old + self._old
                raise
            for due in old:
                webhook = due.receiver.webhook
                self._mine.discard((webhook.id, due.event_id))
                self._more[webhook.organization_id, webhook.id] = None

    def _change(self, payload: bytes) -> None:
        self._changed.add(payload.decode())
        self._old += self._turns.drop(payload.decode())
        self._woken.set()

    def _hint(self, payload: bytes) -> None:
        self._hinted.add(payload.decode())
        self._woken.set()
