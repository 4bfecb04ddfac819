"""What the WhatsApp library acknowledges before this program has it on disk: how long that is, and what it costs.

`measured` stamps every message three times: when the network handed it to the library, when the library's
acknowledgement was back at the network, when it was in the spool and when the spool was on the disk. `killed` ends
hosts and gateways by kill -9 while messages come, and counts what was acknowledged and never told, or told twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.folk import People, hosts, linked, people, until, works
from bench.lives import Life, life
from bench.network import Network, network
from bench.readers import whole_log

STAMPING = Path(__file__).parent / "stamping"
HEARS, SPEAK = "99900000001", ["99900000002", "99900000003", "99900000010", "99900000011"]
QUIET = 10
"""Messages a second while it is measured quietly."""


@dataclass(kw_only=True)
class Scene:
    """The network, those who speak, and the gateway with the session that hears."""

    net: Network
    folk: People
    gateway: Life
    session: str
    stamps: Path
    said: int = 0

    async def speak(self, number: int, per_second: float | None) -> None:
        """So many texts in all, by everybody in turn; None: as fast as they can."""
        begun, first = time.monotonic(), self.said
        self.said += number

        async def one(place: int) -> None:
            for count in range(place, number, len(SPEAK)):
                if per_second is not None:
                    await asyncio.sleep(max(0.0, begun + count / per_second - time.monotonic()))
                await self.folk.say(f"p{place}", HEARS, f"text {first + count}")

        await asyncio.gather(*(one(place) for place in range(len(SPEAK))))

    async def settled(self) -> dict[str, tuple[int, int | None]]:
        """When each message was sent and acknowledged, by id."""
        return {id: (sent, acked) for id, sent, acked in await self.net.do(HEARS, "settled")}

    async def quiet(self) -> None:
        """Return when everything was acknowledged that was sent."""

        async def all_settled() -> bool:
            found = await self.settled()
            return len(found) >= self.said and all(acked for _, acked in found.values())

        await until(all_settled, seconds=180)

    async def told(self) -> Counter[str]:
        """How often each message was told as an event."""
        log = [json.loads(body) for _, body in await whole_log(self.gateway)]
        return Counter(each["payload"]["waMessageId"] for each in log if each["event"] == "message")

    async def online(self) -> None:
        """Return when the session works; started by hand where it was given up."""

        async def ready() -> bool:
            row = await self.gateway.must("GET", f"/sessions/{self.session}")
            if row["status"] == "failed":
                await self.gateway.must("POST", f"/sessions/{self.session}:start")
            return bool(row["status"] == "working")

        await until(ready, seconds=120)


@contextlib.asynccontextmanager
async def scene(folder: Path, *, stamped: bool) -> AsyncIterator[Scene]:
    """Everything linked, and some words said, so that keys are exchanged."""
    folder.mkdir()
    stamps = folder / "stamps"
    async with network() as net, people(net, folder) as folk:
        path = [*([str(STAMPING)] if stamped else []), net.environment["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]
        more = {"STAMPS_FILE": str(stamps), "STAMPS_AFTER": net.environment["PYTHONPATH"]} if stamped else {}
        given = {**net.environment, **more, "PYTHONPATH": os.pathsep.join(filter(None, path))}
        async with life(folder / "data", given, whatsapp="on", allowed_networks="127.0.0.1/32") as one:
            session = await linked(net, one, HEARS)
            for place, number in enumerate(SPEAK):
                await folk.link(f"p{place}", number, folder)
            made = Scene(net=net, folk=folk, gateway=one, session=session, stamps=stamps)
            await made.speak(2 * len(SPEAK), None)
            await made.quiet()
            yield made


@dataclass(kw_only=True)
class Phase:
    """One measured phase: milliseconds of each message, from an acknowledgement or a sending until it was safe."""

    name: str
    lower: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    at_once: int = 0
    """The most messages that were acknowledged and not on disk at one moment."""

    def lines(self) -> list[str]:
        """What to print."""
        told = f"{self.name}, {len(self.lower):,} messages: "
        late = sum(each > 0 for each in self.lower) / max(1, len(self.lower))
        return [
            f"{told}acknowledged before it was on disk {late:.0%}, at most {self.at_once} at once",
            f"{told}from the acknowledgement at the network to the spool's file {spread(self.written)}",
            f"{told}from the acknowledgement at the network to the disk {spread(self.lower)}",
            f"{told}from the network's sending to the disk {spread(self.upper)}",
        ]


def spread(milliseconds: list[float]) -> str:
    """p50, p99 and the longest."""
    if len(milliseconds) < 2:
        return "nothing"
    cuts = statistics.quantiles(milliseconds, n=100)
    return f"p50 {cuts[49]:.1f}, p99 {cuts[98]:.1f}, longest {max(milliseconds):.1f} ms"


def phase(name: str, stamps: Iterable[str], times: dict[str, tuple[int, int | None]]) -> Phase:
    """What the stamps of a phase say of these messages."""
    made, moments = Phase(name=name), list[tuple[int, int]]()
    for line in stamps:
        id, written, synced = line.split(",")
        sent, acked = times.get(id, (0, None))
        if acked is None:
            continue
        made.written.append((int(written) - acked) / 1e6)
        made.lower.append((int(synced) - acked) / 1e6)
        made.upper.append((int(synced) - sent) / 1e6)
        if int(synced) > acked:
            moments += [(acked, 1), (int(synced), -1)]
    open_now = 0
    for _, step in sorted(moments):
        open_now += step
        made.at_once = max(made.at_once, open_now)
    return made


async def measured(folder: Path, *, messages: int) -> list[Phase]:
    """Three phases of so many messages each: quiet, as fast as they come, and a flood after an absence."""
    async with scene(folder, stamped=True) as here:
        found, seen = [], set(await here.settled())

        async def noted(name: str) -> None:
            await here.quiet()
            times = {id: each for id, each in (await here.settled()).items() if id not in seen}
            seen.update(times)
            lines = [line for line in here.stamps.read_text().splitlines() if line.partition(",")[0] in times]
            found.append(phase(name, lines, times))

        await here.speak(messages, QUIET)
        await noted(f"quiet ({QUIET} a second)")
        begun = time.monotonic()
        await here.speak(messages, None)
        rate = messages / (time.monotonic() - begun)
        await noted(f"loaded ({rate:.0f} a second)")
        await here.gateway.must("POST", f"/sessions/{here.session}:stop")
        await here.speak(messages, None)
        await here.gateway.must("POST", f"/sessions/{here.session}:start")
        await here.online()
        await noted("a flood after an absence")
        return found


@dataclass(kw_only=True)
class Losses:
    """What kills cost."""

    what: str
    kills: int
    said: int
    acknowledged: int
    lost: int
    repeated: int

    def lines(self) -> list[str]:
        """What to print."""
        return [
            f"kill -9 of the {self.what}, {self.kills} times while messages came: of {self.acknowledged:,} that were "
            f"acknowledged {self.lost} were never told ({self.lost / self.kills:.2f} a kill), {self.repeated} were "
            "told twice"
        ]


async def killed(folder: Path, what: str, *, kills: int, per_second: int, seed: int) -> Losses:
    """End the host or the gateway again and again, at moments drawn by the seed."""
    draw = random.Random(seed)
    async with scene(folder, stamped=False) as here:
        stop, dead = asyncio.Event(), set[int]()

        async def keep_speaking() -> None:
            while not stop.is_set():
                await here.speak(per_second, per_second)

        speaking = asyncio.ensure_future(keep_speaking())
        try:
            for _ in range(kills):
                await here.online()
                await asyncio.sleep(draw.uniform(0.2, 2.0))
                if what == "gateway":
                    await here.gateway.end(signal.SIGKILL)
                    await here.gateway.start()
                else:
                    await _kill_hosts(here, dead)
        finally:
            stop.set()
            await speaking
        await here.online()
        await here.quiet()
        return await _counted(here, what, kills)


async def _kill_hosts(here: Scene, dead: set[int]) -> None:
    """End the hosts that came after those, which are as good as gone where the kernel has not buried them yet."""

    async def born() -> bool:
        return bool(set(hosts(here.gateway.process.pid)) - dead)

    await until(born)
    for pid in set(hosts(here.gateway.process.pid)) - dead:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        dead.add(pid)

    async def again() -> bool:
        return await born() and await works(here.gateway, here.session)

    with contextlib.suppress(TimeoutError):
        await until(again, seconds=5)


async def _counted(here: Scene, what: str, kills: int) -> Losses:
    acknowledged = {id for id, (_, acked) in (await here.settled()).items() if acked}
    told: Counter[str] = Counter()

    async def still() -> bool:
        nonlocal told
        before = told
        await asyncio.sleep(2)
        told = await here.told()
        return told == before

    await until(still, seconds=120)
    return Losses(
        what=what,
        kills=kills,
        said=here.said,
        acknowledged=len(acknowledged),
        lost=len(acknowledged - told.keys()),
        repeated=sum(often > 1 for often in told.values()),
    )


def described(found: Iterable[Any]) -> list[str]:
    """All lines of it."""
    return [line for each in found for line in each.lines()]
