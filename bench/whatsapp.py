"""Sessions of the real network, on the unmodified library: coming back, a host that dies, and nobody who answers.

They are linked once, by their phones, and restarted with the same keys from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.counting import exactly_once
from bench.load import Load, opened
from bench.machine import CLIENT_CORE, SERVER_CORE, children, family_cpu_seconds, loop_milliseconds, memory
from bench.network import Network, network
from bench.report import Figure, Workload
from bench.servers import Gateway, until, working

SESSIONS = 40
LINKED_AT_ONCE = 3
UNREACHABLE = 100
PER_SECOND = 200
QUIET_SECONDS, LOOK_SECONDS = 3.0, 0.1
KILLS = 5
"""In each round, each between two times of quiet."""
SETTLE_SECONDS, DEAD_SECONDS = 30.0, 60.0
"""How long the gateway is left to find that nobody is there, and how long it is watched then."""
PATIENCE = 240.0


@dataclass(kw_only=True)
class _Found:
    """What the rounds found, a value each."""

    online: list[float] = field(default_factory=list)
    bare_online: list[float] = field(default_factory=list)
    proportional: list[float] = field(default_factory=list)
    bare_proportional: list[float] = field(default_factory=list)
    idle_cpu: list[float] = field(default_factory=list)
    quiet: list[Load] = field(default_factory=list)
    killed: list[Load] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    dead_cpu: list[float] = field(default_factory=list)
    dead_log: list[float] = field(default_factory=list)
    hosts: int = 0


async def run(folder: Path, rounds: int) -> Workload:
    """40 sessions after a restart; the API while a host is killed; 100 sessions and nothing that listens."""
    place, found, loops, worked = folder / "whatsapp", _Found(), list[float](), list[str]()
    async with network(last=True) as net:
        known = await _linked(place, net)
        for number in range(rounds):
            loops.append(loop_milliseconds())
            await _alone(place, net, found)
            worked += [f"{number} {id}" for id in await _restart(place, net, found)]
        proxy = net.proxy
        environment = net.environment
    await _nobody_there(place, proxy, environment, found)
    return Workload(
        name="Sessions of the real network",
        reference=f"one process with the library and all {SESSIONS} sessions, which keeps nothing; for the latency, "
        "the same probe on the same gateway before each kill",
        figures=_figures(found),
        counts={
            f"linked sessions that work after each restart, and after {KILLS} kills of a host": exactly_once(
                [f"{number} {id}" for number in range(rounds) for id in known], worked
            )
        },
        loops=loops,
        remarks=[
            f"The gateway and its hosts ({found.hosts}) have both cores, which the emulator and the probe share. "
            f"A host is killed {KILLS} times in each round; the probe asks {PER_SECOND} times a second, and what it "
            "asked from the kill until all sessions work again counts, "
            f"{sum(found.back) / len(found.back):.1f} s on average.",
            f"Of the {UNREACHABLE} sessions that reach nobody, {UNREACHABLE - SESSIONS} have copies of another's keys. "
            f"They are watched for {DEAD_SECONDS:.0f} s, {SETTLE_SECONDS:.0f} s after the start.",
        ],
    )


def _figures(found: _Found) -> list[Figure]:
    def figure(name: str, unit: str, values: list[float], target: float | None = None, **more: Any) -> Figure:
        return Figure(name=name, unit=unit, rounds=values, target=target, lower_is_better=True, **more)

    slowest, quiet = _milliseconds(found.killed, 0.99), _milliseconds(found.quiet, 0.99)
    return [
        figure(
            f"{SESSIONS} sessions work again, from the start of the process",
            "s",
            found.online,
            15,
            reference=found.bare_online,
        ),
        figure(
            "each session, the gateway and all its hosts (PSS)",
            "MB",
            found.proportional,
            12,
            reference=found.bare_proportional,
        ),
        figure(f"CPU at rest with {SESSIONS} sessions", "% of a core", found.idle_cpu),
        figure(
            "get a session while a host is killed and replaced, p99", "ms", slowest, reference=quiet, target_ratio=1.1
        ),
        figure(f"CPU of {UNREACHABLE} sessions that reach nobody", "% of a core", found.dead_cpu, 5),
        figure("log of the same", "octets/s", found.dead_log, 1000),
    ]


def _milliseconds(loads: list[Load], share: float) -> list[float]:
    """Of each round, the latency that this share of all its requests stayed within."""
    rounds = [loads[start : start + KILLS] for start in range(0, len(loads), KILLS)]
    together = [Load(latencies=[each for load in loads for each in load.latencies]) for loads in rounds]
    return [load.milliseconds(share) for load in together]


@contextlib.asynccontextmanager
async def _gateway(place: Path, environment: dict[str, str], *cores: int) -> AsyncIterator[Gateway]:
    """A gateway for the real network, that answers nobody yet."""
    server = Gateway(
        place, cores=cores, **environment, WAGATE_WHATSAPP="on", WAGATE_ALLOWED_NETWORKS="127.0.0.1/32"
    )  # fmt: skip
    try:
        yield server
    finally:
        server.stop()


async def _linked(place: Path, net: Network) -> list[str]:
    """New sessions that work, linked by phones of their own."""
    async with _gateway(place, net.environment, SERVER_CORE, CLIENT_CORE) as server:
        await server.healthy()
        caller, numbers, made = server.caller, iter(range(1, SESSIONS + 1)), list[str]()
        asked = {"engine": "whatsapp", "proxyUrl": net.proxy, "start": True}

        async def link() -> None:
            for number in numbers:
                id = (await caller.must("POST", "/sessions", asked))["id"]
                code = ""

                async def shown(id: str = id) -> bool:
                    nonlocal code
                    status, answer = await caller.ask("GET", f"/sessions/{id}/qr")
                    code = answer["code"] if status == 200 else ""
                    return bool(code)

                await until(shown, seconds=PATIENCE, every=0.05)
                await net.do(f"9990000{number:04}", "scan", code)
                made.append(id)

                async def works() -> bool:
                    return await working(caller, len(made))

                await until(works, seconds=PATIENCE, every=0.1)

        await asyncio.gather(*(link() for _ in range(LINKED_AT_ONCE)))
        await until(lambda: working(caller, SESSIONS), seconds=PATIENCE, every=0.1)
    return sorted(made)


async def _alone(place: Path, net: Network, found: _Found) -> None:
    """The reference: the library alone with the same keys."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare_sessions", str(place / "whatsapp"), net.proxy),
        env=os.environ | net.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE, CLIENT_CORE}),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        began = time.perf_counter()
        while line := await process.stdout.readline():
            if line.startswith(b"ONLINE"):
                break
        else:
            raise RuntimeError("the library alone did not bring them online")
        found.bare_online.append(time.perf_counter() - began)
        await asyncio.sleep(1)
        found.bare_proportional.append(memory(process.pid)[1] / SESSIONS)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _restart(place: Path, net: Network, found: _Found) -> list[str]:
    """One life: back online, at rest, and asked while hosts die; who works in the end."""
    began = time.perf_counter()
    async with _gateway(place, net.environment, SERVER_CORE, CLIENT_CORE) as server:
        await server.healthy()
        caller = server.caller
        await until(lambda: working(caller, SESSIONS), seconds=PATIENCE, every=0.05)
        found.online.append(time.perf_counter() - began)
        await asyncio.sleep(2)
        used = family_cpu_seconds(server.pid)
        await asyncio.sleep(3)
        found.idle_cpu.append((family_cpu_seconds(server.pid) - used) / 3 * 100)
        hosts = children(server.pid)
        found.hosts = len(hosts)
        found.proportional.append(sum(memory(pid)[1] for pid in (server.pid, *hosts)) / SESSIONS)
        id = (await caller.get("/sessions"))["data"][0]["id"]
        for host in random.Random(len(found.online)).sample(hosts, KILLS):
            await _kill(server, host, caller.request("GET", f"/sessions/{id}"), found)
        rows = await caller.everything("/sessions")
    return [row["id"] for row in rows if row["status"] == "working"]


async def _kill(server: Gateway, host: int, probe: bytes, found: _Found) -> None:
    """Ask for a while; kill the host and ask until everybody works again."""
    caller, requests = server.caller, itertools.repeat(probe)

    async def looked() -> None:
        """As often as one looks after a kill: that is no small part of what is asked."""
        until_then = time.perf_counter() + QUIET_SECONDS
        while time.perf_counter() < until_then:
            await working(caller, SESSIONS)
            await asyncio.sleep(LOOK_SECONDS)

    before = asyncio.ensure_future(looked())
    found.quiet.append(await opened(server, requests, per_second=PER_SECOND, during=before))
    await before

    async def killed() -> None:
        began = time.perf_counter()
        os.kill(host, signal.SIGKILL)

        async def told() -> bool:
            return not await working(caller, SESSIONS)

        await until(told, seconds=PATIENCE, every=LOOK_SECONDS)
        await until(lambda: working(caller, SESSIONS), seconds=PATIENCE, every=LOOK_SECONDS)
        found.back.append(time.perf_counter() - began)

    during = asyncio.ensure_future(killed())
    found.killed.append(await opened(server, requests, per_second=PER_SECOND, during=during))
    await during


async def _nobody_there(place: Path, proxy: str, environment: dict[str, str], found: _Found) -> None:
    """Sessions that were linked, more of them than before, and nothing listens where their proxy was."""
    await _multiply(place, proxy, environment)
    log = place.with_suffix(".log")
    async with _gateway(place, environment, SERVER_CORE, CLIENT_CORE) as server:
        await server.healthy()
        await asyncio.sleep(SETTLE_SECONDS)
        used, size = family_cpu_seconds(server.pid), log.stat().st_size
        await asyncio.sleep(DEAD_SECONDS)
        found.dead_cpu.append((family_cpu_seconds(server.pid) - used) / DEAD_SECONDS * 100)
        found.dead_log.append((log.stat().st_size - size) / DEAD_SECONDS)


async def _multiply(place: Path, proxy: str, environment: dict[str, str]) -> None:
    """Sessions with copies of the keys of others: none of them will ever be online."""
    async with _gateway(place, environment, SERVER_CORE, CLIENT_CORE) as server:
        await server.healthy()
        caller = server.caller
        linked = [row["id"] for row in await caller.everything("/sessions")]
        asked = {"engine": "whatsapp", "proxyUrl": proxy, "start": False}
        made = [(await caller.must("POST", "/sessions", asked))["id"] for _ in range(UNREACHABLE - SESSIONS)]
    with contextlib.closing(sqlite3.connect(place / "wagate.db")) as database, database:
        for id, like in zip(made, itertools.cycle(linked), strict=False):
            shutil.copytree(place / "whatsapp" / like, place / "whatsapp" / id)
            database.execute(
                "UPDATE sessions SET wanted = 'run', status = 'starting', (wa_jid, wa_lid, phone_number) ="
                " (SELECT wa_jid, wa_lid, phone_number FROM sessions WHERE id = ?) WHERE id = ?",
                (like, id),
            )
