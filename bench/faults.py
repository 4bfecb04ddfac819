"""Everything dies while events are made: `wagate serve` by kill -9 and SIGTERM, readers at will, receivers by refusing.

What must hold in the end, whatever the seed: each reader that resumed has exactly the log, each webhook got every event
of its own at least once with the id and the bytes of the log, one in strict order got each session's in their order,
and whatever input was acknowledged is in the log once. Called by `bench.soak`, and for seconds by a test.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import random
import signal
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.counting import Count, exactly_once
from bench.lives import GONE, Life, life
from bench.readers import KINDS, Envelope, Reader, digest, whole_log
from bench.receivers import Receiver, Receivers, receiving

PHONES = [f"99900000{n:02}" for n in range(8)]
PEOPLE = [f"99901000{n:02}" for n in range(40)]
SENDS, FILES = 0.1, 0.2
"""The share of the input that is sent instead of received: four events each, all others one. Of it, what are files."""
BACKLOG_SECONDS = 1.0
"""How long after it is healthy a gateway that was killed has sent its first old delivery."""
SPARE_DESCRIPTORS = 40
STUCK_SECONDS = 60.0


@dataclass(kw_only=True)
class Plan:
    """How long, how much, how often, and by which seed."""

    seconds: float
    per_second: int
    kill_every: tuple[float, float]
    """Seconds between two ends of the gateway, at least and at most."""
    kills: int = 0
    """So many at least, however long that takes."""
    readers: int = 3
    """Of each kind."""
    seed: int = 0


@dataclass(kw_only=True)
class Outcome:
    """What was done, and what came of it. `wrong` is empty when every promise held."""

    seed: int
    took: float = 0.0
    events: int = 0
    input: Count = field(default_factory=lambda: Count(acknowledged=0))
    files: int = 0
    kills: dict[str, int] = field(default_factory=lambda: {"SIGKILL": 0, "SIGTERM": 0})
    resumed: dict[str, int] = field(default_factory=dict)
    posts: dict[str, str] = field(default_factory=dict)
    backlog: dict[str, list[float]] = field(default_factory=lambda: {"SIGKILL": [], "SIGTERM": []})
    """Seconds from healthy to the first old delivery; 0 when it came before."""
    taken: list[tuple[float, int]] = field(default_factory=list)
    """MiB and descriptors of each life when it was ended under load, and of the last one when all was quiet."""
    drained: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def late(self) -> list[float]:
        return [each for each in self.backlog["SIGKILL"] if each > BACKLOG_SECONDS]

    @property
    def leaked(self) -> bool:
        """Whether the last life held more descriptors in the end than the first one did under load."""
        return self.taken[-1][1] - self.taken[0][1] > SPARE_DESCRIPTORS

    def lines(self) -> list[str]:
        """What to print."""
        found = [
            f"seed: {self.seed}",
            f"events: {self.events:,} in {self.took:.0f} s, {self.events / self.took:.0f}/s",
            f"input acknowledged and in the log: {self.input}; files given back as they were sent: {self.files:,}",
            "ends of the gateway: " + ", ".join(f"{n} by {name}" for name, n in self.kills.items()),
            "readings: " + ", ".join(f"{kind} {n}" for kind, n in self.resumed.items()),
            *(f"webhook `{name}`: {said}" for name, said in self.posts.items()),
            *(
                f"first old delivery after healthy, {name}, {len(waits)} times: "
                f"median {statistics.median(waits) * 1e3:.0f} ms, longest {max(waits) * 1e3:.0f} ms"
                for name, waits in self.backlog.items()
                if waits
            ),
            *(
                f"{what} of the first life, the most of any, in the end: {each[0]:.0f}, {max(each):.0f}, {each[-1]:.0f}"
                for what, each in zip(("MiB", "descriptors"), zip(*self.taken, strict=True), strict=True)
            ),
            f"everything delivered {self.drained:.1f} s after the last input",
        ]
        return found + [f"WRONG: {each}" for each in self.wrong]


class Input:
    """People who write to the sessions, and sends of theirs: so many events a second, caught up after each death."""

    def __init__(self, life: Life, sessions: list[str], chance: random.Random, per_second: int) -> None:
        self._life = life
        self._sessions = sessions
        self._chance = chance
        self._per_second = per_second / (1 - SENDS + 4 * SENDS)
        self._room = asyncio.Semaphore(64)
        self.accepted: list[str] = []
        self.files: dict[tuple[str, str], bytes] = {}
        """By session and message, the digest of what was sent."""
        self.unanswered = 0

    async def run(self, over: asyncio.Event) -> None:
        """Make input until it is over; what was missed while nobody answered is made up for."""
        async with asyncio.TaskGroup() as group:
            start = time.monotonic()
            for number in itertools.count():
                await asyncio.sleep(start + number / self._per_second - time.monotonic())
                await self._life.up.wait()
                await self._room.acquire()
                if over.is_set():
                    return
                group.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        place, person = self._chance.randrange(len(PHONES)), self._chance.choice(PEOPLE)
        body: dict[str, Any] = {"type": "text", "text": f"message {number}"}
        session, file = self._sessions[place], b""
        if self._chance.random() < SENDS:
            path, body["to"] = f"/sessions/{session}/messages?async=true", person
            if self._chance.random() < FILES:
                file = self._chance.randbytes(self._chance.randint(1, 30_000)).hex().encode()
                media = {"data": base64.b64encode(file).decode(), "filename": "noise.txt"}
                body = {"type": "document", "to": person, "media": media}
        else:
            path, body["from"], body["to"] = "/sandbox/messages", person, PHONES[place]
        try:
            status, answer = await self._life.ask("POST", path, body)
        except GONE:
            self.unanswered += 1
            return
        finally:
            self._room.release()
        if status in (200, 202):
            id = json.loads(answer)["waMessageId"]
            self.accepted.append(id)
            if file:
                self.files[session, id] = digest(file)
        else:
            # Told to come again: it may have happened all the same.
            self.unanswered += 1


async def run(folder: Path, plan: Plan) -> Outcome:
    """The whole story; raises only when something got stuck."""
    chance = random.Random(plan.seed)
    outcome = Outcome(seed=plan.seed)
    each = [
        Receiver(name="well"),
        Receiver(name="failing", fails=0.2),
        Receiver(name="slow", events=["message.from_me"], slow=(0.02, 0.2)),
        Receiver(name="ordered", events=["message.from_me", "message.status"], fails=0.005, ordered=True),
    ]
    async with (
        receiving(Receivers(random.Random(plan.seed + 1), *each)) as receivers,
        life(folder, allowed_networks="127.0.0.1/32") as gateway,
    ):
        hooks = {one.name: await gateway.must("POST", "/webhooks", one.wish(receivers.url)) for one in each}
        sessions = [await gateway.linked(phone) for phone in PHONES]
        first, body = (await whole_log(gateway))[0]
        readers = [
            kind(gateway, (first.id, digest(body)), random.Random(f"{plan.seed} {kind.__name__} {n}"))
            for kind in KINDS
            for n in range(plan.readers)
        ]
        reading = [asyncio.create_task(reader.run()) for reader in readers]
        try:
            begun = time.monotonic()
            made = Input(gateway, sessions, random.Random(plan.seed + 2), plan.per_second)
            over = asyncio.Event()
            making = asyncio.create_task(made.run(over))
            await _kill(gateway, receivers, outcome, plan, chance)
            over.set()
            await making
            outcome.took = time.monotonic() - begun
            await _quiet(gateway, readers, receivers)
            outcome.drained = time.monotonic() - begun - outcome.took
            await _judge(gateway, outcome, readers, receivers, made)
            for name, hook in hooks.items():
                outcome.wrong += [f"webhook {name}: {each}" for each in await _unsettled(gateway, hook["id"])]
            outcome.taken.append(gateway.taken())
        finally:
            broken = [task for task in reading if task.done()]
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            for task in broken:
                task.result()
    return outcome


async def _unsettled(gateway: Life, hook: str) -> list[str]:
    """How deliveries stand that are not delivered, also after a while: what was taken last may not be noted yet."""
    found: list[str] = []
    for status in ("pending", "failed", "dead"):
        for _ in range(100):
            if not (await gateway.must("GET", f"/webhooks/{hook}/deliveries?status={status}"))["data"]:
                break
            await asyncio.sleep(0.1)
        else:
            found.append(f"there are deliveries that stand {status}")
    return found


async def _kill(gateway: Life, receivers: Receivers, outcome: Outcome, plan: Plan, chance: random.Random) -> None:
    """End the gateway again and again; each time note when the first old delivery comes."""
    until = time.monotonic() + plan.seconds
    while True:
        pause, left = chance.uniform(*plan.kill_every), until - time.monotonic()
        if pause > left and sum(outcome.kills.values()) >= plan.kills:
            return await asyncio.sleep(left)
        await asyncio.sleep(pause)
        first = not outcome.kills["SIGKILL"]
        number = signal.SIGKILL if first else chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        outcome.taken.append(gateway.taken())
        await gateway.end(number)
        ended = time.time()
        # What was sent by the life that has ended arrives now.
        await asyncio.sleep(0.1)
        came = receivers.watch(ended)
        healthy = await gateway.start()
        outcome.kills[number.name] += 1
        with contextlib.suppress(TimeoutError):
            moment = await asyncio.wait_for(came, min(plan.kill_every[0], 10))
            outcome.backlog[number.name].append(max(0.0, moment - healthy))
            continue
        # Nothing may have been due: then there is nothing to be late.
        outcome.backlog[number.name] += [] if number == signal.SIGTERM else [min(plan.kill_every[0], 10)]


async def _quiet(gateway: Life, readers: list[Reader], receivers: Receivers) -> None:
    """Wait until the log does not grow, every reader has its end, and every webhook has what it wants."""
    end, whole = "", await whole_log(gateway)
    while end != whole[-1][0].id:
        end = whole[-1][0].id
        await asyncio.sleep(1)
        whole = await whole_log(gateway)
    wanted = {name: {e.id for e, _ in whole if each.wants(e)} for name, each in receivers.each.items()}
    since = time.monotonic()
    while True:
        behind = [type(each).__name__ for each in readers if each.seen[-1][0] < end]
        behind += [name for name, each in receivers.each.items() if not wanted[name] <= each.taken]
        if not behind:
            return
        moved = max(since, *(each.moved for each in readers), *(each.moved for each in receivers.each.values()))
        if time.monotonic() - moved > STUCK_SECONDS:
            raise RuntimeError(f"nothing has moved for {STUCK_SECONDS:g} s; behind: {', '.join(behind)}")
        await asyncio.sleep(0.1)


async def _judge(gateway: Life, outcome: Outcome, readers: list[Reader], receivers: Receivers, made: Input) -> None:
    log = await whole_log(gateway)
    outcome.events = len(log)
    whole = [(event.id, digest(body)) for event, body in log]
    ids = [id for id, _ in whole]
    if ids != sorted(set(ids)):
        outcome.wrong.append("the log itself is out of order")
    for number, reader in enumerate(readers):
        kind = type(reader).__name__
        outcome.resumed[kind] = outcome.resumed.get(kind, 0) + reader.resumed
        if (found := first_difference(reader.seen, whole)) is not None:
            outcome.wrong.append(f"reader {number} ({kind}) differs from the log at place {found}")
    for receiver in receivers.each.values():
        outcome.posts[receiver.name] = f"{receiver.posts:,} posts, {receiver.repeats:,} of what it had taken"
        outcome.wrong += [f"webhook {receiver.name}: {each}" for each in judged(receiver, log)]
    names = ("message", "message.from_me")
    told = [json.loads(body)["payload"]["waMessageId"] for event, body in log if event.event in names]
    outcome.input = exactly_once(made.accepted, told, unanswered=made.unanswered)
    if not outcome.input.good:
        outcome.wrong.append(f"input: {outcome.input}")
    for (session, id), sent in made.files.items():
        status, body = await gateway.ask("GET", f"/sessions/{session}/messages/{id}/media")
        if status != 200 or digest(body) != sent:
            outcome.wrong.append(f"the file of {id} is not what was sent ({status})")
    outcome.files = len(made.files)


def first_difference(seen: list[Any], whole: list[Any]) -> int | None:
    """Where what a reader saw is not the log; None when it is the log, from its beginning to its end."""
    for place, (one, other) in enumerate(itertools.zip_longest(seen, whole)):
        if one != other:
            return place
    return None


def judged(receiver: Receiver, log: list[tuple[Envelope, bytes]]) -> list[str]:
    """What is wrong with all that a webhook got."""
    wanted = {event.id: digest(body) for event, body in log if receiver.wants(event)}
    wrong = receiver.wrong[:10]
    if lost := wanted.keys() - receiver.taken:
        wrong.append(f"{len(lost)} events never came, such as {min(lost)}")
    if strange := receiver.came.keys() - wanted.keys():
        wrong.append(f"{len(strange)} came that are not in the log or not for it, such as {min(strange)}")
    if changed := [id for id, body in wanted.items() if receiver.came.get(id, body) != body]:
        wrong.append(f"{len(changed)} came with another body than the log's, such as {changed[0]}")
    if receiver.ordered:
        lanes: dict[str, list[str]] = defaultdict(list)
        for event, _ in log:
            if receiver.wants(event):
                lanes[event.session].append(event.id)
        wrong += [f"session {id}: out of order" for id, lane in lanes.items() if receiver.lanes[id] != lane]
    return wrong
