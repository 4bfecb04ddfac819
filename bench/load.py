"""How requests are made: by callers who ask again once they are answered, or by a clock that waits for no answer."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.machine import core_seconds
from bench.servers import Process
from bench.wire import Gone, connect


@dataclass
class Load:
    """What came of it. Times in seconds, CPU as a share of one core; `others_cpu` is what else ran on the server's."""

    took: float = 0.0
    server_seconds: float = 0.0
    server_cpu: float = 0.0
    others_cpu: float = 0.0
    client_cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    unanswered: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.took

    @property
    def per_cpu_second(self) -> float:
        """Answers for each second of CPU that the server used, all its threads."""
        return len(self.latencies) / self.server_seconds

    def milliseconds(self, share: float) -> float:
        """The latency that this share of requests stayed within."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1e3


async def closed(
    server: Process, requests: Callable[[int], Iterator[bytes]], *, callers: int, seconds: float, status: int = 200
) -> Load:
    """Callers that each ask, wait, ask again. `requests(n)` makes those of caller n; another status is an error."""
    load = Load()
    lines = [await connect(server.port) for _ in range(callers)]
    until = time.perf_counter() + seconds

    async def call(number: int) -> None:
        line = lines[number]
        for request in requests(number):
            asked = time.perf_counter()
            if asked > until:
                return
            try:
                got, body = await line.ask(request)
            except Gone:
                load.unanswered += 1
                return
            load.latencies.append(time.perf_counter() - asked)
            load.bodies.append(body)
            if got != status:
                raise RuntimeError(f"{got} instead of {status}: {body[:500]!r}")

    with measured(server, load):
        await asyncio.gather(*(call(number) for number in range(callers)))
    for line in lines:
        line.close()
    return load


async def opened(
    server: Process,
    requests: Iterator[bytes],
    *,
    per_second: int,
    seconds: float = math.inf,
    during: asyncio.Future[Any] | None = None,
) -> Load:
    """A request every 1/`per_second`, whatever came of the earlier ones; latency runs from when it was due.

    It ends after so many seconds, or when what happens meanwhile is over.
    """
    load = Load()
    free = [await connect(server.port) for _ in range(64)]

    async def call(request: bytes, due: float) -> None:
        line = free.pop() if free else await connect(server.port)
        got, body = await line.ask(request)
        load.latencies.append(time.perf_counter() - due)
        load.bodies.append(body)
        free.append(line)
        if got != 200:
            raise RuntimeError(f"{got}: {body[:500]!r}")

    with measured(server, load):
        start = time.perf_counter()
        tasks = []
        for number in itertools.count():
            due = start + number / per_second
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            if number >= per_second * seconds or (during is not None and during.done()):
                break
            tasks.append(asyncio.create_task(call(next(requests), due)))
        await asyncio.gather(*tasks)
    for line in free:
        line.close()
    return load


@contextlib.contextmanager
def measured(server: Process, load: Load) -> Iterator[None]:
    """Note in `load` how long what happens inside took, and whose CPU."""
    begun, client, core = time.perf_counter(), time.process_time(), core_seconds()
    with contextlib.suppress(OSError):
        load.server_seconds = server.cpu()
    yield
    load.took = time.perf_counter() - begun
    load.client_cpu = (time.process_time() - client) / load.took
    # A killed server takes its times with it.
    with contextlib.suppress(OSError):
        load.server_seconds = server.cpu() - load.server_seconds
        load.server_cpu = load.server_seconds / load.took
        load.others_cpu = max(0.0, (core_seconds() - core) / load.took - load.server_cpu)
