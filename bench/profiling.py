"""Where the time of a workload goes: the server once as it is, with the CPU of each thread, and once profiled."""

from __future__ import annotations

import asyncio
import io
import os
import pstats
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import closed
from bench.sends import SESSIONS, Sender
from bench.servers import Gateway, gateway, linked, until
from bench.wire import Caller

SECONDS = 4.0
WORKLOADS = ("sync", "accept", "session", "sessions")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    requests: Callable[[int], Iterator[bytes]]
    callers: int
    status: int = 200


async def run(folder: Path, workload: str) -> str:
    """The functions that take most, in microseconds for each request."""
    file = folder / f"{workload}.profile"
    async with gateway(folder / workload) as server:
        asked = await _prepared(server.caller, workload)
        before = _threads(server.pid)
        load = await closed(server, asked.requests, callers=asked.callers, seconds=SECONDS, status=asked.status)
        after = _threads(server.pid)
    count = len(load.latencies)
    lines = [
        f"{workload}: {load.per_second:,.0f} requests/s, server CPU {load.server_cpu:.0%}, "
        f"{load.server_seconds / count * 1e6:.0f} µs of CPU a request, client CPU {load.client_cpu:.0%}",
        "CPU by thread, µs a request: " + ", ".join(_by_thread(server, before, after, count)),
        "",
    ]
    async with gateway(folder / f"{workload}-profiled", profile=file) as server:
        asked = await _prepared(server.caller, workload)
        os.kill(server.pid, signal.SIGUSR1)
        load = await closed(server, asked.requests, callers=asked.callers, seconds=SECONDS, status=asked.status)
        os.kill(server.pid, signal.SIGUSR2)
        # A signal is seen when the loop wakes; a request wakes it.
        await server.healthy()
        await until(lambda: _there(file))
    count = len(load.latencies)
    lines.append(f"Profiled ({load.per_second:,.0f} requests/s; the profiler makes calls dearer), µs a request:")
    for order in ("tottime", "cumtime"):
        lines += ["", f"by {'own time' if order == 'tottime' else 'time with callees'}", *_top(file, order, count)]
    return "\n".join(lines)


async def _prepared(caller: Caller, workload: str) -> _Asked:
    sessions = await linked(caller, SESSIONS)
    if workload in ("sync", "accept"):
        later = workload == "accept"
        for id in sessions if later else []:
            await caller.must("POST", f"/sandbox/sessions/{id}:drop", {"seconds": 600})
        sender = Sender(caller, sessions, asynchronous=later)
        return _Asked(requests=sender.own, callers=32 if later else 16, status=202 if later else 200)
    path = f"/sessions/{sessions[0]}" if workload == "session" else "/sessions?limit=50"
    request = caller.request("GET", path)
    if workload == "sessions":
        await asyncio.gather(*(caller.must("POST", "/sessions", {}) for _ in range(50 - SESSIONS)))
    return _Asked(requests=lambda number: iter(lambda: request, None), callers=8)


def _threads(pid: int) -> dict[int, float]:
    """Seconds of CPU of each thread."""
    found = {}
    for each in Path(f"/proc/{pid}/task").iterdir():
        found[int(each.name)] = int((each / "schedstat").read_text().split()[0]) / 1e9
    return found


def _by_thread(server: Gateway, before: dict[int, float], after: dict[int, float], count: int) -> list[str]:
    spent = {thread: (after[thread] - before.get(thread, 0.0)) / count * 1e6 for thread in after}
    names = {thread: "event loop" if thread == server.pid else f"thread {n}" for n, thread in enumerate(sorted(spent))}
    return [f"{names[thread]} {spent[thread]:.0f}" for thread in sorted(spent) if spent[thread] >= 1]


def _top(file: Path, order: str, count: int) -> list[str]:
    stats = pstats.Stats(str(file), stream=io.StringIO()).stats  # type: ignore[attr-defined]
    rows = []
    for (path, line, name), (_, calls, own, cumulative, _) in stats.items():
        where = f"{'/'.join(Path(path).parts[-2:])}:{line} " if line else ""
        rows.append((own if order == "tottime" else cumulative, calls, own, cumulative, where + name))
    return [
        f"  own {own / count * 1e6:7.1f}  all {cumulative / count * 1e6:7.1f}  calls {calls / count:6.2f}  {name}"
        for _, calls, own, cumulative, name in sorted(rows, reverse=True)[:18]
    ]


async def _there(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0
