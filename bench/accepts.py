"""Asynchronous sends while the line is down: nothing is dispatched, what is measured is the durable acceptance.

In the end the process is killed in the middle of the load, started again, and everything that was answered 202 must
still go out, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.counting import Count, exactly_once
from bench.load import Load, closed
from bench.machine import loop_milliseconds, on_the_servers_core
from bench.report import Figure, Workload
from bench.sends import SESSIONS, Sender, ids, shares
from bench.servers import Gateway, gateway, linked, until
from bench.wire import Caller

CALLERS = 32
ROUND_SECONDS = 1.5


async def run(folder: Path, rounds: int) -> Workload:
    """Requests/s of 32 callers, against a loop that inserts the same rows; then kill −9, and count."""
    loads: list[Load] = []
    loops: list[float] = []
    plain: list[float] = []
    place = folder / "accepts"
    async with gateway(place) as server:
        sessions = await linked(server.caller, SESSIONS)
        sender = Sender(server.caller, sessions, asynchronous=True)
        await _drop(server.caller, sessions, seconds=600)
        for _ in range(rounds):
            loops.append(loop_milliseconds())
            loads.append(await closed(server, sender.own, callers=CALLERS, seconds=ROUND_SECONDS, status=202))
            plain.append(_plain_inserts(place / "wagate.db", folder / "plain.db"))
        last = await _killed_in_the_middle(server, sender)
    async with gateway(place) as again:
        counts = await _counts(again.caller, sessions, [*loads, last])
    figure = Figure(
        name=f"{CALLERS} callers, answered 202",
        unit="requests/s",
        rounds=[each.per_second for each in loads],
        target=3500,
        reference=plain,
        **shares(loads),
    )
    return Workload(
        name="Durable accept",
        reference=f"a plain loop that inserts the same rows into the same table, {CALLERS} for each durable commit",
        figures=[figure],
        counts=counts,
        loops=loops,
        remarks=[f"Killed with requests in flight: {last.unanswered} were cut off and may or may not be there."],
    )


async def _drop(caller: Caller, sessions: list[str], *, seconds: int) -> None:
    for id in sessions:
        await caller.must("POST", f"/sandbox/sessions/{id}:drop", {"seconds": seconds})

    async def down() -> bool:
        return all(row["status"] == "starting" for row in await caller.everything("/sessions"))

    await until(down)


async def _killed_in_the_middle(server: Gateway, sender: Sender) -> Load:
    load = asyncio.create_task(closed(server, sender.own, callers=CALLERS, seconds=30, status=202))
    await asyncio.sleep(0.5)
    server.kill()
    return await load


async def _counts(caller: Caller, sessions: list[str], loads: list[Load]) -> dict[str, Count]:
    answers = [json.loads(body) for load in loads for body in load.bodies]
    unanswered = sum(load.unanswered for load in loads)

    async def settled() -> bool:
        # The pretend network took the line back with the restart, so everything goes out now.
        paths = [f"/sessions/{id}/outbox?limit=1&status={each}" for id in sessions for each in ("queued", "pending")]
        return not any([(await caller.get(path))["data"] for path in paths])

    await until(settled, seconds=180, every=0.5)
    rows = [row for id in sessions for row in await caller.everything(f"/sessions/{id}/outbox")]
    shown = await caller.everything("/sandbox/messages")
    return {
        "answers 202 in the outbox after kill −9": exactly_once(
            [each["outboxId"] for each in answers], [row["outboxId"] for row in rows], unanswered=unanswered
        ),
        "answers 202 among the messages that phones show": exactly_once(
            ids(answers), ids(shown), unanswered=unanswered
        ),
    }


def _plain_inserts(source: Path, place: Path) -> float:
    """Rows a second that this machine inserts durably, on the server's core, by a loop that does nothing else."""
    with on_the_servers_core(), _copied_table(source, place) as db:
        rows = _accepted(source)
        numbered = _endless(rows)
        statement = f"INSERT INTO outbox VALUES ({', '.join('?' * len(rows[0]))})"
        done, started = 0, time.perf_counter()
        while (took := time.perf_counter() - started) < 1.0:
            db.execute("BEGIN")
            for row in itertools.islice(numbered, CALLERS):
                db.execute(statement, row)
            db.execute("COMMIT")
            done += CALLERS
        return done / took


def _endless(rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows over and over, each with a position and an id of its own."""
    for number in itertools.count():
        row = rows[number % len(rows)]
        yield (None, f"ob_{number:026}", *row[2:])


def _accepted(source: Path) -> list[tuple[Any, ...]]:
    """Some of the rows that the gateway has just written."""
    with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as db:
        return db.execute("SELECT * FROM outbox ORDER BY position DESC LIMIT 2000").fetchall()


@contextlib.contextmanager
def _copied_table(source: Path, place: Path) -> Iterator[sqlite3.Connection]:
    """A database beside the gateway's with the same table and indexes, empty, as durable as the gateway's."""
    with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as db:
        schema = db.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'outbox' AND sql IS NOT NULL").fetchall()
    for each in place.parent.glob(place.name + "*"):
        each.unlink()
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as db:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            db.execute(f"PRAGMA {pragma}")
        for (statement,) in schema:
            db.execute(statement)
        yield db
