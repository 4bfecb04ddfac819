"""Starting on a data directory that exists, what an idle gateway holds in memory, and many sessions coming back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from bench.counting import exactly_once
from bench.machine import loop_milliseconds, memory
from bench.report import Figure, Workload
from bench.servers import Gateway, gateway, linked, until, working

SESSIONS = 1000
IDLE_SECONDS = 1.0
"""How long the gateway is left alone before its memory is read."""


@dataclass(frozen=True, kw_only=True)
class _Start:
    """One start: seconds until healthy and until all sessions work; megabytes and CPU at rest."""

    healthy: float
    resumed: float
    resident: float
    proportional: float
    idle_cpu: float
    sessions: list[str]


async def run(folder: Path, rounds: int) -> Workload:
    """Start to healthy, idle memory, and 1,000 linked sessions: seconds until all work, megabytes each."""
    empty, full = folder / "empty", folder / "full"
    async with gateway(empty):
        pass
    async with gateway(full) as server:
        known = await linked(server.caller, SESSIONS)
    starts, loops = list[tuple[_Start, _Start]](), list[float]()
    for _ in range(rounds):
        loops.append(loop_milliseconds())
        starts.append((await _start(empty, 0), await _start(full, SESSIONS)))
    few, many = [pair[0] for pair in starts], [pair[1] for pair in starts]

    def figure(name: str, unit: str, values: list[float], target: float | None = None) -> Figure:
        return Figure(name=name, unit=unit, rounds=values, target=target, lower_is_better=True)

    return Workload(
        name="Starts and memory",
        figures=[
            figure("start to healthy, no sessions", "s", [each.healthy for each in few], 1.0),
            figure(f"start to healthy, {SESSIONS:,} sessions", "s", [each.healthy for each in many], 1.0),
            figure("idle, resident (RSS)", "MB", [each.resident for each in few], 80),
            figure("idle, proportional (PSS)", "MB", [each.proportional for each in few]),
            figure(f"{SESSIONS:,} sandbox sessions work again", "s after healthy", [each.resumed for each in many], 3),
            figure(
                "each session (PSS above idle)",
                "MB",
                [(more.proportional - less.proportional) / SESSIONS for less, more in starts],
                0.06,
            ),
            figure(f"CPU at rest with {SESSIONS:,} sessions", "% of a core", [each.idle_cpu * 100 for each in many]),
        ],
        counts={
            "linked sessions that work again after each start": exactly_once(
                [f"{number} {id}" for number in range(rounds) for id in known],
                [f"{number} {id}" for number, each in enumerate(many) for id in each.sessions],
            )
        },
        loops=loops,
    )


async def _start(place: Path, sessions: int) -> _Start:
    """Start, wait until all work, let it rest, and stop it."""
    started = time.perf_counter()
    server = Gateway(place)
    try:
        await server.healthy()
        healthy = time.perf_counter()
        caller = server.caller
        if sessions:
            await until(lambda: working(caller, sessions), every=0.05)
        resumed = time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        used = server.cpu()
        await asyncio.sleep(IDLE_SECONDS)
        idle_cpu = (server.cpu() - used) / IDLE_SECONDS
        resident, proportional = memory(server.pid)
        rows = await caller.everything("/sessions")
    finally:
        server.stop()
    return _Start(
        healthy=healthy - started,
        resumed=resumed - healthy,
        resident=resident,
        proportional=proportional,
        idle_cpu=idle_cpu,
        sessions=[row["id"] for row in rows if row["status"] == "working"],
    )
