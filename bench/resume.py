"""Resuming: a reader comes back after 100,000 events and gets them all, by WebSocket, by event stream, by pulling."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from bench import organizations
from bench.counting import Count, added
from bench.lists import in_order
from bench.load import Load, measured
from bench.machine import loop_milliseconds
from bench.report import Figure, Workload
from bench.sends import shares
from bench.servers import Process, bare_sockets, gateway
from bench.sockets import Watcher, watch
from bench.wire import Caller, connect

EVENTS = 100_000
PAGE = 200
_LONGEST = 4096
"""Longer than a block is."""

_ID = re.compile(rb'"id":"(evt_[0-9A-Z]{26})"')
_STREAM_ID = re.compile(rb"\nid: (evt_[0-9A-Z]{26})\n")
Replay = Callable[[], Awaitable[list[bytes]]]
"""Brings all events; the ids are looked at when the clock has stopped."""


async def run(folder: Path, rounds: int) -> Workload:
    """Events/s of one reader, against a bare server that reads the same rows and sends the same frames."""
    place, loops = folder / "resume", list[float]()
    async with gateway(place):
        pass
    [owner] = await organizations.make(place, 1)
    first = (await organizations.record(place, [owner], 1))[owner.id][0]
    log = (await organizations.record(place, [owner], EVENTS))[owner.id]
    told = {"database": str(place / "wagate.db"), "organization": owner.id}
    loads: dict[str, list[Load]] = {}
    counts: dict[str, list[Count]] = {}
    async with gateway(place) as server, bare_sockets(folder, **told) as bare:
        caller = owner.caller(server.port)
        ways: dict[str, tuple[Process, Replay, re.Pattern[bytes]]] = {
            "WebSocket": (server, partial(_by_socket, caller, first), _ID),
            "a bare server": (bare, partial(_replayed, bare.port, f"/log/{first}"), _ID),
            "event stream": (server, partial(_by_stream, caller, first, log[-1]), _STREAM_ID),
            "pull": (server, partial(_by_pulling, caller, first, log[-1]), _ID),
        }
        for _ in range(rounds):
            loops.append(loop_milliseconds())
            for name, (process, replay, pattern) in ways.items():
                load = Load(latencies=[0.0] * EVENTS)
                with measured(process, load):
                    parts = await replay()
                loads.setdefault(name, []).append(load)
                found = [id.decode() for id in pattern.findall(b"".join(parts))]
                counts.setdefault(name, []).append(in_order(log, found))

    def figure(name: str, target: float | None = None) -> Figure:
        return Figure(
            name=f"{EVENTS:,} events by {name}",
            unit="events/s",
            rounds=[load.per_second for load in loads[name]],
            target=target,
            reference=[load.per_second for load in loads["a bare server"]],
            **shares(loads[name]),
        )

    return Workload(
        name="Resuming",
        reference="a bare `websockets` server that reads the same rows, 1,000 at a time, and sends each as a frame",
        figures=[figure("WebSocket", 40_000), figure("event stream"), figure("pull")],
        counts={f"events of the log, in order, by {name}, each time": added(each) for name, each in counts.items()},
        loops=loops,
        remarks=[f"Pulling asks for {PAGE} events at a time, one request after the other."],
    )


async def _by_socket(caller: Caller, since: str) -> list[bytes]:
    url = (await caller.must("POST", "/realtime/ticket", {"since": since}))["url"]
    return await _replayed(caller.port, "/" + url.split("/", 3)[3], more=1)


async def _replayed(port: int, path: str, *, more: int = 0) -> list[bytes]:
    """Every frame's bytes, of which `more` are no events."""
    whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = EVENTS + more

    def came(frames: int) -> None:
        nonlocal left
        left -= frames
        if left <= 0 and not whole.done():
            whole.set_result(None)

    watcher: Watcher = await watch(port, path, came)
    async with asyncio.timeout(60):
        await whole
    watcher.transport.abort()
    return watcher.parts


class _Stream(asyncio.Protocol):
    """Server-sent events, until the block of the last one has come. A chunk is whole blocks."""

    def __init__(self, last: str) -> None:
        self.parts: list[bytes] = []
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last = b"\nid: " + last.encode()
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)
        self._tail = self._tail[-_LONGEST:] + data
        if not self.whole.done() and self._tail.endswith(b"\n\n\r\n") and self._last in self._tail:
            self.whole.set_result(None)


async def _by_stream(caller: Caller, since: str, last: str) -> list[bytes]:
    request = caller.request("GET", "/events/stream").replace(b"\r\n", b"\r\nlast-event-id: %b\r\n" % since.encode(), 1)
    loop = asyncio.get_running_loop()
    transport, stream = await loop.create_connection(lambda: _Stream(last), "127.0.0.1", caller.port)
    transport.write(request)
    async with asyncio.timeout(60):
        await stream.whole
    transport.abort()
    return stream.parts


async def _by_pulling(caller: Caller, since: str, last: str) -> list[bytes]:
    line, cursor, pages = await connect(caller.port), since, list[bytes]()
    while cursor != last:
        status, page = await line.ask(caller.request("GET", f"/events?limit={PAGE}&after={cursor}"))
        if status != 200:
            raise RuntimeError(f"{status}: {page[:500]!r}")
        pages.append(page)
        cursor = page.rpartition(b'"nextCursor":"')[2].partition(b'"')[0].decode()
    line.close()
    return pages
