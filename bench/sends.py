"""Synchronous sends through the sandbox, receipts on: answered once the network has acknowledged the message."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.counting import Count, exactly_once
from bench.load import Load, closed, opened
from bench.machine import loop_milliseconds
from bench.report import Figure, Workload
from bench.servers import bare, gateway, linked
from bench.wire import Caller

SESSIONS = 16
CHATS = 50
PER_SECOND = 200


class Sender:
    """Makes sends, each with a text of its own, into many chats of each session."""

    def __init__(self, caller: Caller, sessions: list[str], *, asynchronous: bool = False) -> None:
        self._caller = caller
        self._sessions = sessions
        self._query = "?async=true" if asynchronous else ""
        self._numbers = itertools.count()

    def into(self, session: int) -> bytes:
        """The next send into one session."""
        number = next(self._numbers)
        to = f"9990{session:03}{number % CHATS:04}"
        path = f"/sessions/{self._sessions[session]}/messages{self._query}"
        return self._caller.request("POST", path, {"type": "text", "to": to, "text": f"message {number}"})

    def own(self, caller: int) -> Iterator[bytes]:
        """Each caller's sends into a session of its own."""
        while True:
            yield self.into(caller % SESSIONS)

    def first(self, caller: int) -> Iterator[bytes]:
        """All callers' sends into one session."""
        while True:
            yield self.into(0)

    def all_in_turn(self) -> Iterator[bytes]:
        """Sends into all sessions."""
        for number in itertools.count():
            yield self.into(number % SESSIONS)


class Inserts:
    """Requests of the same size to the bare application."""

    def __init__(self, caller: Caller) -> None:
        self._request = caller.request("POST", "", {"type": "text", "to": "99900000000", "text": "message 00000"})
        self._request = self._request.replace(b"/api/v1 ", b"/insert ")

    def of(self, caller: int = 0) -> Iterator[bytes]:
        return itertools.repeat(self._request)


async def run(folder: Path, rounds: int) -> Workload:
    """p50 and p99 at a fixed rate, and requests/s of 16 callers over 16 sessions and over one."""
    loads: dict[str, list[Load]] = {}
    loops: list[float] = []
    async with gateway(folder / "sends") as server, bare(folder, []) as plain:
        sender = Sender(server.caller, await linked(server.caller, SESSIONS))
        inserts = Inserts(server.caller)
        warm = await closed(server, sender.own, callers=SESSIONS, seconds=1.0)
        for _ in range(rounds):
            loops.append(loop_milliseconds())
            for name, load in (
                ("open", opened(server, sender.all_in_turn(), per_second=PER_SECOND, seconds=3.0)),
                ("own", closed(server, sender.own, callers=SESSIONS, seconds=2.0)),
                ("one", closed(server, sender.first, callers=SESSIONS, seconds=2.0)),
                ("plain open", opened(plain, inserts.of(), per_second=PER_SECOND, seconds=1.5)),
                ("plain", closed(plain, inserts.of, callers=SESSIONS, seconds=1.0)),
            ):
                loads.setdefault(name, []).append(await load)
                # Receipts of one load must not be work of the next.
                await asyncio.sleep(0.3)
        ours = [warm, *(each for name in ("open", "own", "one") for each in loads[name])]
        found = await counts(server.caller, ours)
    return Workload(
        name="Synchronous send",
        reference="the bare application doing one durable SQLite insert for each request, under the same load",
        figures=_figures(loads),
        counts=found,
        loops=loops,
    )


async def counts(caller: Caller, loads: list[Load]) -> dict[str, Count]:
    """Every 200 against what the phones showed and what the log told."""
    acknowledged = [json.loads(body)["waMessageId"] for load in loads for body in load.bodies]
    shown = await caller.everything("/sandbox/messages")
    told = await caller.everything("/events?events=message.from_me", position="after")
    return {
        "answers 200 among the messages that phones show": exactly_once(acknowledged, ids(shown)),
        "answers 200 among the events message.from_me": exactly_once(acknowledged, ids(e["payload"] for e in told)),
    }


def ids(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The wire ids of rows."""
    return [row["waMessageId"] for row in rows]


def _figures(loads: dict[str, list[Load]]) -> list[Figure]:
    def latency(share: float, target: float | None) -> Figure:
        return Figure(
            name=f"p{share * 100:.0f} at {PER_SECOND}/s",
            unit="ms",
            rounds=[each.milliseconds(share) for each in loads["open"]],
            target=target,
            lower_is_better=True,
            reference=[each.milliseconds(share) for each in loads["plain open"]],
            **shares(loads["open"]),
        )

    def rate(name: str, target: float | None, over: str) -> Figure:
        return Figure(
            name=f"16 callers over {over}",
            unit="requests/s",
            rounds=[each.per_second for each in loads[name]],
            target=target,
            reference=[each.per_second for each in loads["plain"]],
            **shares(loads[name]),
        )

    return [latency(0.5, None), latency(0.99, 12), rate("own", 900, "16 sessions"), rate("one", 900, "one session")]


def shares(loads: list[Load]) -> dict[str, Any]:
    """How busy both cores were, and with whom."""
    return {
        "server_cpu": statistics.median(each.server_cpu for each in loads),
        "others_cpu": statistics.median(each.others_cpu for each in loads),
        "client_cpu": statistics.median(each.client_cpu for each in loads),
    }
