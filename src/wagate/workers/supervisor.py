"""Takes and keeps leases: starts a runner for each session won, stops it for each one lost.

One loop for the whole process. Hints make it quick, polling makes it sure. It also holds the networks that engines host
for organizations, and answers what is asked of them. Started and stopped by bootstrap.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import cast

import msgspec
import structlog

from wagate.backends.broker import Unsubscribe
from wagate.engines import base
from wagate.errors import Internal, StorageUnavailable, WagateError, to_wire
from wagate.gateway import Gateway, actions, backfills, dispatch, leases
from wagate.gateway.leases import Held
from wagate.model.sandbox import NetworkAction
from wagate.workers.runner import Runner

log = structlog.get_logger(__name__)

_BATCH = 500
_decode = msgspec.json.Decoder(NetworkAction).decode


class Supervisor:
    """Runs what this process holds. `run` until cancelled, then `close`."""

    def __init__(self, gw: Gateway, engines: Mapping[str, base.Engine]) -> None:
        self._gw = gw
        self._engines = engines
        self._runners: dict[str, tuple[Runner, asyncio.Task[None]]] = {}
        self._networks: dict[str, Unsubscribe] = {}
        self._hinted: set[str] = set()
        self._woken = asyncio.Event()
        self._unsubscribe = gw.broker.subscribe("sessions", self._hint)

    async def start(self, *, alone: bool) -> None:
        """Void the leases of an earlier life. `alone`: no other process uses this database."""
        await leases.reap(self._gw, everyone=alone)

    async def run(self) -> None:
        """Take, keep and let go, for ever."""
        rules, loop = self._gw.rules, asyncio.get_running_loop()
        keep_at = loop.time() + rules.lease_seconds / 3
        look_at = loop.time()
        self._woken.set()
        while True:
            # Not `wait_for`: it may swallow a cancellation that comes together with the hint.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rules.poll_seconds):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._look_at_hints()
                await self._acquire()
                if loop.time() >= keep_at:
                    await self._keep()
                    keep_at = loop.time() + rules.lease_seconds / 3
                if loop.time() >= look_at:
                    await self._wake_waiting()
                    look_at = loop.time() + rules.poll_seconds
            except StorageUnavailable:
                log.warning("database cannot be written; leases are not renewed")
                await asyncio.sleep(0.5)
            except Exception:
                # Without this loop no session would ever be looked after again.
                log.exception("round failed")
                await asyncio.sleep(1)

    async def close(self) -> None:
        """Stop every runner and give back what is held."""
        self._unsubscribe()
        held = [runner.held for runner, _ in self._runners.values()]
        await asyncio.gather(*(self._stop(one.id) for one in held))
        for organization_id, stop in self._networks.items():
            stop()
            # A network is left as after a crash where the database cannot be written: the next life takes it up.
            with contextlib.suppress(WagateError):
                await self._host().release(organization_id)
        self._networks.clear()
        with contextlib.suppress(WagateError):
            await leases.reap(self._gw, everyone=False)

    def _hint(self, payload: bytes) -> None:
        if payload:
            self._hinted.add(payload.decode())
        self._woken.set()

    async def _look_at_hints(self) -> None:
        hinted, self._hinted = self._hinted, set()
        for id in hinted:
            if id not in self._runners:
                continue
            await self._judge(id, await leases.look(self._gw, id))

    async def _judge(self, id: str, lease: leases.Lease | None) -> None:
        """Stop a runner whose lease or purpose is not what it was started for."""
        runner, _ = self._runners.get(id, (None, None))
        if runner is None:
            return
        mine = lease is not None and lease.epoch == runner.held.epoch
        if lease is not None and mine and lease.wanted == runner.held.wanted:
            runner.wake()
            return
        # What the runner itself has just brought about is in its own `held` by the time its write returns.
        if lease is not None and mine and lease.wanted == "run" and runner.held.wanted == "link":
            return
        await self._stop(id)
        if mine:
            await _lasting(lambda: leases.release(self._gw, runner.held))

    async def _acquire(self) -> None:
        while True:
            networks, sessions = await leases.acquire(self._gw, limit=_BATCH, running=self._running())
            for organization_id in networks:
                try:
                    await _lasting(partial(self._hold_network, organization_id))
                except Exception:
                    # One broken network is its organization's trouble alone; its lease runs out and it is tried again.
                    log.exception("network cannot be loaded", organization=organization_id)
            for held in sessions:
                await self._start(held)
            if len(sessions) < _BATCH and not networks:
                return

    def _running(self) -> leases.Running:
        return leases.Running(sessions=list(self._runners), networks=list(self._networks))

    async def _start(self, held: Held) -> None:
        engine = self._engines.get(held.engine)
        if engine is None:
            log.error("the session's engine is switched off here", session=held.id, engine=held.engine)
            return
        if held.id in self._runners:
            await self._stop(held.id)
        runner = Runner(self._gw, engine, held)
        task = asyncio.create_task(runner.run())
        self._runners[held.id] = (runner, task)
        task.add_done_callback(lambda done: self._over(held.id, done))

    def _over(self, id: str, task: asyncio.Task[None]) -> None:
        """A runner ended by itself: give its session back."""
        runner, current = self._runners.get(id, (None, None))
        if current is not task or runner is None:
            return
        del self._runners[id]
        if not task.cancelled() and task.exception() is not None:
            log.error("runner failed", session=id, exc_info=task.exception())
        failed = task.cancelled() or task.exception() is not None
        release = asyncio.ensure_future(self._give_back(runner.held, failed=failed))
        release.add_done_callback(lambda _: self._woken.set())

    async def _give_back(self, held: Held, *, failed: bool) -> None:
        if failed:
            # A defect must not spin: the lease runs on for a moment before somebody tries again.
            await asyncio.sleep(1)
        await _lasting(lambda: leases.release(self._gw, held))

    async def _stop(self, id: str) -> None:
        runner, task = self._runners.pop(id, (None, None))
        if runner is None or task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        kept, networks = await leases.extend(self._gw, running=self._running())
        mine = {lease.id: lease for lease in kept}
        for id in list(self._runners):
            if id in self._runners:
                await self._judge(id, mine.get(id))
        for organization_id in set(self._networks) - set(networks):
            self._networks.pop(organization_id)()
            await self._host().release(organization_id)

    async def _wake_waiting(self) -> None:
        for id in await dispatch.waiting(self._gw):
            if id in self._runners:
                await self._runners[id][0].look_again()
        for id in await backfills.waiting(self._gw):
            if id in self._runners:
                self._runners[id][0].backfill()

    async def _hold_network(self, organization_id: str) -> None:
        await self._host().host(organization_id)
        if organization_id in self._networks:
            return

        async def answer(payload: bytes) -> bytes:
            return await self._drive(organization_id, payload)

        subject = f"network.{organization_id}"
        self._networks[organization_id] = self._gw.broker.respond(subject, answer)
        self._gw.broker.publish(f"{subject}.here")

    async def _drive(self, organization_id: str, payload: bytes) -> bytes:
        action = _decode(payload)
        try:
            return actions.encode_answer(await self._host().drive(organization_id, action))
        except WagateError as error:
            return actions.encode_error(to_wire(error))
        except Exception:
            log.exception("action on the network failed", action=type(action).__name__)
            return actions.encode_error(to_wire(Internal()))

    def _host(self) -> base.NetworkHost:
        for name, facts in self._gw.rules.engines.items():
            if facts.hosts_networks:
                return cast(base.NetworkHost, self._engines[name])
        raise LookupError("no engine here hosts networks")


async def _lasting(work: Callable[[], Awaitable[None]]) -> None:
    """Do it, and while the database cannot be written, try again: a lease that nobody serves would never be free."""
    while True:
        try:
            return await work()
        except StorageUnavailable:
            await asyncio.sleep(0.5)
