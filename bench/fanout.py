"""Fan-out: an event in each of ten organizations at once, and a hundred WebSocket readers each, some asleep."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench import organizations
from bench.counting import Count, added
from bench.lists import in_order
from bench.load import Load, measured
from bench.machine import loop_milliseconds
from bench.organizations import Organization
from bench.report import Figure, Workload
from bench.sends import shares
from bench.servers import Process, bare_sockets, gateway, until
from bench.sockets import Watcher, sleeper, watch
from bench.wire import Caller, Line, connect

ORGANIZATIONS, READERS, SLEEPERS = 10, 100, 5
READING = ORGANIZATIONS * (READERS - SLEEPERS)
ROUND_SECONDS = 2.0
_FULL, _LARGE = 12, 60_000
"""So many texts of so many characters fill what a sleeper's connection takes, before the clock starts."""


@dataclass(kw_only=True)
class Audience:
    """All readers of a server, by organization, and how one event is caused in each."""

    server: Process
    cause: Callable[[], Awaitable[None]]
    watchers: list[list[Watcher]] = field(default_factory=list)
    sleepers: list[socket.socket] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    """How many events each log had before its readers came."""
    awaited: int = 0
    _whole: asyncio.Event = field(default_factory=asyncio.Event)

    def came(self, frames: int) -> None:
        """Frames have come."""
        self.awaited -= frames
        if self.awaited <= 0:
            self._whole.set()

    async def round(self, cause: Callable[[], Awaitable[None]] | None = None, *, events: int = 1) -> float:
        """Cause an event in each organization; seconds until the last reader has its frame."""
        self.awaited += READING * events
        self._whole.clear()
        began = time.perf_counter()
        done = asyncio.ensure_future((cause or self.cause)())
        async with asyncio.timeout(20):
            await self._whole.wait()
            ended = time.perf_counter()
            await done
        return ended - began

    async def rounds(self, seconds: float) -> Load:
        """One round after the other."""
        load = Load()
        with measured(self.server, load):
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                load.latencies.append(await self.round())
        return load

    def close(self) -> None:
        """End all connections."""
        for line in self.sleepers:
            line.close()
        for watcher in (each for group in self.watchers for each in group):
            watcher.transport.abort()


async def run(folder: Path, rounds: int) -> Workload:
    """Frames/s and the latency of a round, against a bare server that sends the same bytes to as many."""
    place, loops = folder / "fanout", list[float]()
    ours, plain = list[Load](), list[Load]()
    async with gateway(place):
        pass
    owners = await organizations.make(place, ORGANIZATIONS)
    async with gateway(place) as server, _audience(server, owners) as audience:
        text = audience.watchers[0][0].texts()[-1].decode()
        async with bare_sockets(folder, texts=[text] * ORGANIZATIONS) as other, _bare_audience(other) as strangers:
            await strangers.round()
            for _ in range(rounds):
                loops.append(loop_milliseconds())
                ours.append(await audience.rounds(ROUND_SECONDS))
                plain.append(await strangers.rounds(ROUND_SECONDS / 2))
        seen = [[watcher.texts() for watcher in group] for group in audience.watchers]
        logs = [
            [row["id"] for row in await _log(owner.caller(server.port))][begin:]
            for owner, begin in zip(owners, audience.begins, strict=True)
        ]
    return Workload(
        name="Fan-out",
        reference="a bare `websockets` server that broadcasts the same bytes to as many readers and stores nothing",
        figures=[
            Figure(
                name=f"{ORGANIZATIONS} organizations, {READERS} readers each",
                unit="frames/s",
                rounds=[_frames_per_second(load) for load in ours],
                target=25_000,
                reference=[_frames_per_second(load) for load in plain],
                **shares(ours),
            ),
            *(
                Figure(
                    name=f"p{share * 100:.0f} of a round, from the cause to the last reader",
                    unit="ms",
                    rounds=[load.milliseconds(share) for load in ours],
                    target=target,
                    lower_is_better=True,
                    reference=[load.milliseconds(share) for load in plain],
                    **shares(ours),
                )
                for share, target in ((0.5, None), (0.99, 80))
            ),
        ],
        counts=counts([owner.id for owner in owners], logs, seen),
        loops=loops,
        remarks=[
            f"{statistics.median(len(load.latencies) for load in ours):.0f} rounds of {READING} frames"
            f" ({len(text):,} bytes each) in each row of figures, one after the other; {ORGANIZATIONS * SLEEPERS}"
            " readers never read, and their connections were full before."
        ],
    )


def _frames_per_second(load: Load) -> float:
    return len(load.latencies) * READING / load.took


class _Seen(msgspec.Struct, frozen=True):
    event: str
    id: str = ""
    organization: str = ""


def counts(
    owners: Sequence[str], logs: Sequence[Sequence[str]], seen: Sequence[Sequence[list[bytes]]]
) -> dict[str, Count]:
    """What each reader saw against its organization's log from where it began, and whose frames it saw."""
    decode = msgspec.json.Decoder(_Seen).decode
    saw, foreign, frames = list[Count](), 0, 0
    for owner, log, group in zip(owners, logs, seen, strict=True):
        for reader in group:
            found = [decode(text) for text in reader]
            found = [each for each in found if each.event not in ("connected", "ping")]
            ids = [each.id for each in found]
            saw.append(in_order(list(log), ids))
            frames += len(found)
            foreign += sum(each.organization != owner for each in found)
    return {
        "events of the logs, in order, by every reader": added(saw),
        "frames of the reader's own organization": Count(acknowledged=frames, unasked=foreign),
    }


@contextlib.asynccontextmanager
async def _audience(server: Process, owners: list[Organization]) -> AsyncIterator[Audience]:
    """All readers of the gateway, warm, with full sleepers."""
    callers = [owner.caller(server.port) for owner in owners]
    accounts = await organizations.linked(server.port, owners)
    lines = [await connect(server.port) for _ in owners]

    def saying(text: str) -> Callable[[], Awaitable[None]]:
        requests = [organizations.say(*pair, text) for pair in zip(callers, accounts, strict=True)]
        return lambda: _ask_all(lines, requests)

    # The stranger becomes known, which is an event of its own.
    await saying("hello")()
    audience = Audience(server=server, cause=saying("a text that somebody says to an account"))
    try:
        for caller in callers:
            audience.begins.append(await _heard(caller))
            paths = []
            for _ in range(READERS):
                url = (await caller.must("POST", "/realtime/ticket", {}))["url"]
                paths.append("/" + url.split("/", 3)[3])
            await _take_seats(audience, server.port, paths)
        for _ in range(_FULL):
            await audience.round(saying("x" * _LARGE))
        await audience.round()
        yield audience
    finally:
        audience.close()
        for line in lines:
            line.close()


async def _log(caller: Caller) -> list[dict[str, Any]]:
    return await caller.everything("/events", position="after")


async def _heard(caller: Caller) -> int:
    """How long the log is, once the stranger's hello is in it: nothing more comes by itself then."""

    async def heard() -> bool:
        return [row["event"] for row in await _log(caller)].count("message") == 1

    await until(heard)
    return len(await _log(caller))


@contextlib.asynccontextmanager
async def _bare_audience(server: Process) -> AsyncIterator[Audience]:
    causes = [await watch(server.port, f"/{number}/cause") for number in range(ORGANIZATIONS)]

    async def cause() -> None:
        for each in causes:
            each.say(b"now")

    audience = Audience(server=server, cause=cause)
    try:
        for number in range(ORGANIZATIONS):
            await _take_seats(audience, server.port, [f"/{number}"] * READERS, greeted=False)
        yield audience
    finally:
        audience.close()
        for each in causes:
            each.transport.abort()


async def _take_seats(audience: Audience, port: int, paths: list[str], *, greeted: bool = True) -> None:
    """One organization's readers, the last of whom sleep."""
    awake = len(paths) - SLEEPERS
    if greeted:
        audience.awaited += awake
    audience.watchers.append(await asyncio.gather(*(watch(port, path, audience.came) for path in paths[:awake])))
    audience.sleepers += [await sleeper(port, path) for path in paths[awake:]]


async def _ask_all(lines: list[Line], requests: list[bytes]) -> None:
    for status, body in await asyncio.gather(*(line.ask(it) for line, it in zip(lines, requests, strict=True))):
        if status != 200:
            raise RuntimeError(f"{status}: {body[:500]!r}")
