"""Takes and keeps leases: starts a runner for each session won, stops it for each one lost.

One loop takes and judges: hints make it quick, polling makes it sure. Another renews, whatever the first waits for. A
third stops everything that runs here before the leases run out, where they cannot be renewed: whoever takes them then
finds nobody connected. It also holds the networks that engines host for organizations, and answers what is asked of
them. Started and stopped by bootstrap.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, cast

import msgspec
import structlog

from wagate.backends.broker import Unsubscribe
from wagate.engines import base
from wagate.errors import Internal, StorageUnavailable, WagateError, to_wire
from wagate.gateway import Gateway, actions, backfills, dispatch, leases
from wagate.gateway.leases import Held
from wagate.model.sandbox import NetworkAction
from wagate.workers.runner import Runner
from wagate.workers.tenure import Tenure

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
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._releases: set[asyncio.Task[None]] = set()
        self._tenure = Tenure(gw.clock, gw.rules.lease_seconds)
        self._hinted: set[str] = set()
        self._woken = asyncio.Event()
        self._unsubscribe = gw.broker.subscribe("sessions", self._hint)

    async def start(self, *, alone: bool) -> None:
        """Void the leases of an earlier life. `alone`: no other process uses this database."""
        await leases.reap(self._gw, everyone=alone)

    async def run(self) -> None:
        """Take, keep and let go, for ever."""
        self._tenure = Tenure(self._gw.clock, self._gw.rules.lease_seconds)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(), name="leases: rounds")
            group.create_task(self._renew(), name="leases: renewing")
            group.create_task(self._guard(), name="leases: guard")

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        self._woken.set()
        while True:
            # Not `wait_for`: it may swallow a cancellation that comes together with the hint.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._gw.rules.poll_seconds):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._look_at_hints()
                if not self._tenure.over:
                    await self._acquire()
                if loop.time() >= look_at:
                    await self._wake_waiting()
                    look_at = loop.time() + self._gw.rules.poll_seconds
            except StorageUnavailable:
                log.warning("database cannot be written; no session is taken up")
                await asyncio.sleep(0.5)
            except Exception:
                # Without this loop no session would ever be looked after again.
                log.exception("round failed")
                await asyncio.sleep(1)

    async def _renew(self) -> None:
        """Keep the leases, whatever the rounds wait for."""
        while True:
            await asyncio.sleep(self._tenure.tick)
            if not self._tenure.due:
                continue
            try:
                async with asyncio.timeout(self._gw.rules.lease_seconds / 3):
                    await self._keep()
            except (StorageUnavailable, TimeoutError):
                self._tenure.refused()
                log.warning("database cannot be written; leases are not renewed", seconds_left=self._tenure.left)
            except Exception:
                self._tenure.refused()
                log.exception("renewing failed")

    async def _guard(self) -> None:
        """Stop what runs here before somebody else may take it."""
        while True:
            await asyncio.sleep(self._tenure.tick)
            if not self._tenure.over or not (self._runners or self._networks):
                continue
            log.error("leases cannot be renewed: all that runs here is stopped", sessions=len(self._runners))
            for id in list(self._runners):
                self._abandon(id)
            for organization_id in list(self._networks):
                self._leave(organization_id)

    async def close(self) -> None:
        """Stop every runner and give back what is held."""
        self._unsubscribe()
        for release in self._releases:
            release.cancel()
        await asyncio.gather(*(self._stop(id) for id in list(self._runners)))
        for organization_id in list(self._networks):
            self._leave(organization_id)
        await asyncio.gather(*self._stopping.values(), *self._releases, return_exceptions=True)
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
        """What is not to be taken anew: what runs, and what is not over yet."""
        return leases.Running(sessions=[*self._runners, *self._stopping], networks=[*self._networks, *self._stopping])

    async def _start(self, held: Held) -> None:
        engine = self._engines.get(held.engine)
        if engine is None:
            log.error("the session's engine is switched off here", session=held.id, engine=held.engine)
            return
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
        """End a session's runner; returns when its connection is closed, whoever began that."""
        self._cancel(id)
        if stopping := self._stopping.get(id):
            await asyncio.shield(stopping)

    def _cancel(self, id: str) -> None:
        _, task = self._runners.pop(id, (None, None))
        if task is not None:
            task.cancel()
            self._ending(id, _ended(task))

    def _abandon(self, id: str) -> None:
        """Stop a session that may be another's in a moment, and let it go as soon as that can be written."""
        runner, _ = self._runners[id]
        self._cancel(id)

        async def give_back() -> None:
            await self._stop(id)
            await _lasting(lambda: leases.release(self._gw, runner.held))

        release = asyncio.ensure_future(give_back())
        self._releases.add(release)
        release.add_done_callback(self._releases.discard)

    def _leave(self, organization_id: str) -> None:
        """Let a network go."""
        self._networks.pop(organization_id)()
        self._ending(organization_id, self._left(organization_id))

    async def _left(self, organization_id: str) -> None:
        # A network is left as after a crash where the database cannot be written: the next life takes it up.
        with contextlib.suppress(WagateError):
            await self._host().release(organization_id)

    def _ending(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._stopping[id] = asyncio.ensure_future(work)

        def over(done: asyncio.Task[None]) -> None:
            self._stopping.pop(id, None)
            if not done.cancelled() and done.exception() is not None:
                log.error("what was stopped failed", id=id, exc_info=done.exception())
            self._woken.set()

        task.add_done_callback(over)

    async def _keep(self) -> None:
        began = self._tenure.moment()
        asked = {id: runner.held for id, (runner, _) in self._runners.items()}
        here = leases.Running(sessions=list(asked), networks=list(self._networks))
        kept, networks = await leases.extend(self._gw, running=here)
        self._tenure.renewed(began)
        mine = {lease.id: lease for lease in kept}
        for id, held in asked.items():
            runner, _ = self._runners.get(id, (None, None))
            lease = mine.get(id)
            if runner is None or runner.held.epoch != held.epoch:
                continue  # stopped or begun anew meanwhile
            if lease is None or lease.epoch != held.epoch:
                log.info("lease lost", session=id)
                self._abandon(id)
            elif lease.wanted != runner.held.wanted:
                self._hinted.add(id)
            else:
                runner.wake()
        for organization_id in set(here.networks) - set(networks):
            if organization_id in self._networks:
                self._leave(organization_id)
        self._woken.set()

    async def _wake_waiting(self) -> None:
        for id in await dispatch.waiting(self._gw):
            if id in self._runners:
                await self._runners[id][0].look_again()
        for id in await backfills.waiting(self._gw):
            if id in self._runners:
                self._runners[id][0].backfill()

    async def _hold_network(self, organization_id: str) -> None:
        if leaving := self._stopping.get(organization_id):
            await asyncio.shield(leaving)
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


async def _ended(task: asyncio.Task[None]) -> None:
    """Return when a runner that was cancelled is over."""
    await asyncio.gather(task, return_exceptions=True)


async def _lasting(work: Callable[[], Awaitable[None]]) -> None:
    """Do it, and while the database cannot be written, try again: a lease that nobody serves would never be free."""
    while True:
        try:
            return await work()
        except StorageUnavailable:
            await asyncio.sleep(0.5)
