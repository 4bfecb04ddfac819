"""The port between processes, and its in-process adapter: publish, subscribe, request, respond.

It carries hints and actions, never truth: a message may be lost at any time, and every loop that listens also polls the
database. Subjects are dotted words; payloads are bytes, so that an adapter over a network changes nothing for callers.
Called by gateway (publish, request), workers and api (subscribe, respond).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from wagate.errors import Unavailable

Listener = Callable[[bytes], None]
"""Hears a hint. It must return at once and never raise."""
Responder = Callable[[bytes], Awaitable[bytes]]
"""Answers a request with bytes. Errors travel inside the bytes."""
Unsubscribe = Callable[[], None]
"""Stops a subscription. Idempotent."""


class Broker(Protocol):
    """Four verbs between processes."""

    def publish(self, subject: str, payload: bytes = b"") -> None:
        """Tell every subscriber of `subject`; never blocks, never fails."""
        ...

    def subscribe(self, subject: str, listener: Listener) -> Unsubscribe:
        """Call `listener` for each payload that is published to `subject` from now on."""
        ...

    async def request(self, subject: str, payload: bytes, *, timeout: float) -> bytes:
        """Ask the one responder of `subject`.

        Raises:
            Unavailable: nobody responds on `subject`.
            TimeoutError: no answer within `timeout` seconds; the work may go on.
        """
        ...

    def respond(self, subject: str, responder: Responder) -> Unsubscribe:
        """Answer requests to `subject`; a later responder replaces an earlier one."""
        ...

    async def close(self) -> None:
        """Forget all subscriptions."""
        ...


class Bell:
    """Rings at each hint on its subjects, and can be waited for. Hints that come while nobody waits ring once.

    A context manager: it listens inside its block. Lighter than an event with a timeout, which costs a task each time.
    """

    __slots__ = ("_broker", "_stops", "_subjects", "_waiter", "rung")

    def __init__(self, broker: Broker, *subjects: str) -> None:
        self._broker = broker
        self._subjects = subjects
        self._stops: list[Unsubscribe] = []
        self._waiter: asyncio.Future[None] | None = None
        self.rung = False
        """Whether it rang since the last `wait` began."""

    def __enter__(self) -> Bell:
        self._stops = [self._broker.subscribe(subject, self._ring) for subject in self._subjects]
        return self

    def __exit__(self, *_: object) -> None:
        for stop in self._stops:
            stop()

    async def wait(self, seconds: float) -> None:
        """Return when it rings, or has rung since the last wait, or after `seconds`."""
        if not self.rung:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            alarm = loop.call_later(seconds, self._wake)
            try:
                await self._waiter
            finally:
                alarm.cancel()
                self._waiter = None
        self.rung = False

    def _ring(self, _: bytes) -> None:
        self.rung = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class LocalBroker:
    """The in-process adapter: everything happens on the one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[int, Listener]] = {}
        self._responders: dict[str, Responder] = {}
        self._count = 0

    def publish(self, subject: str, payload: bytes = b"") -> None:
        """Call the listeners now, in the order in which they subscribed."""
        listeners = self._listeners.get(subject)
        if listeners:
            for listener in list(listeners.values()):
                listener(payload)

    def subscribe(self, subject: str, listener: Listener) -> Unsubscribe:
        """Listen until the returned function is called."""
        self._count += 1
        number = self._count
        self._listeners.setdefault(subject, {})[number] = listener

        def unsubscribe() -> None:
            listeners = self._listeners.get(subject)
            if listeners is not None and listeners.pop(number, None) is not None and not listeners:
                del self._listeners[subject]

        return unsubscribe

    async def request(self, subject: str, payload: bytes, *, timeout: float) -> bytes:
        """Run the responder as a task of its own, so that a caller who leaves does not cut it off."""
        responder = self._responders.get(subject)
        if responder is None:
            raise Unavailable
        task = asyncio.ensure_future(responder(payload))
        return await asyncio.wait_for(asyncio.shield(task), timeout)

    def respond(self, subject: str, responder: Responder) -> Unsubscribe:
        """Become the responder of `subject`."""
        self._responders[subject] = responder

        def unsubscribe() -> None:
            if self._responders.get(subject) is responder:
                del self._responders[subject]

        return unsubscribe

    async def close(self) -> None:
        """Forget all subscriptions."""
        self._listeners.clear()
        self._responders.clear()
