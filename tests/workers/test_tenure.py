"""Who cannot renew a lease has stopped before anybody else may take it; who can is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.door import Door, door
from tests.support.parts import SCHEMA, caller, over
from tests.workers.test_supervisor import Worker, linked
from wagate.backends.migrate import ensure_schema, statements
from wagate.backends.postgres import PostgresDatabase
from wagate.backends.sqlite import SqliteDatabase
from wagate.clock import ManualClock
from wagate.gateway import Gateway, sessions
from wagate.workers.tenure import Tenure

pytestmark = pytest.mark.anyio

PATIENCE = 60.0
SPAN = 30.0


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.02)


def rules(node: str, span: float) -> dict[str, Any]:
    return {"node": node, "poll_seconds": 0.05, "lease_seconds": span}


def test_a_turned_clock_ends_a_tenure_only_where_renewing_was_refused() -> None:
    clock = ManualClock(0)
    tenure = Tenure(clock, SPAN)
    assert not tenure.due
    asyncio.run(clock.advance(25))
    assert tenure.due
    assert not tenure.over
    tenure.refused()
    assert tenure.over
    assert tenure.left == 0
    tenure.renewed(tenure.moment())
    assert not tenure.due
    assert not tenure.over
    asyncio.run(clock.advance(-1000))
    assert not tenure.over


async def test_who_can_renew_goes_on_however_far_the_clock_is_turned() -> None:
    db = await SqliteDatabase.open(":memory:")
    await db.script(SCHEMA())
    worker = Worker(over(db, **rules("one", SPAN)))
    await worker.start()
    try:
        who = await caller(worker.gw)
        session = await linked(worker.gw, who)
        runner = worker.supervisor._runners[session.id][0]
        for _ in range(3):
            await worker.gw.clock.advance(3600)  # type: ignore[attr-defined]

            async def renewed() -> bool:
                row = await db.one("SELECT lease_until FROM sessions WHERE id = :id", id=session.id)
                return row is not None and row[0] > worker.gw.clock.now()

            async with asyncio.timeout(PATIENCE):
                while not await renewed():  # noqa: ASYNC110 - what is waited for is in the database
                    await asyncio.sleep(0.02)
        assert worker.supervisor._runners[session.id][0] is runner
    finally:
        await worker.stop()
        await db.close()


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process holds the write lock of a SQLite file."""
    program = (
        "import sqlite3, sys\n"
        "held = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "held.execute('PRAGMA busy_timeout=30000')\n"
        "held.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdin is not None
    try:
        assert other.stdout.readline() == "held\n"
        yield
    finally:
        other.stdin.close()
        other.wait(PATIENCE)
        other.stdout.close()


@pytest.mark.slow
async def test_a_database_that_another_process_locks_stops_what_runs_and_it_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "gate.db"
    await ensure_schema(f"sqlite:///{file}")
    db = await SqliteDatabase.open(file, exclusive=True)
    worker = Worker(over(db, **rules("one", SPAN)))
    await worker.start()
    try:
        who = await caller(worker.gw)
        session = await linked(worker.gw, who)
        with locked(file):
            await worker.gw.clock.advance(21)  # type: ignore[attr-defined]
            await until(lambda: not worker.running and not worker.supervisor._stopping)
        await until(lambda: session.id in worker.running)
        async with asyncio.timeout(PATIENCE):
            while (await sessions.get(worker.gw, who, session.id)).status != "working":
                # It may have tried before its network was there, and rests by this clock.
                await worker.gw.clock.advance(1)  # type: ignore[attr-defined]
                await asyncio.sleep(0.02)
    finally:
        await worker.stop()
        await db.close()


class Two:
    """Two gateways on one PostgreSQL; the first goes there through a door."""

    def __init__(self, one: Worker, two: Worker, way: Door) -> None:
        self.one, self.two, self.way = one, two, way

    async def turn(self, seconds: float) -> None:
        """Let time pass for both; each stands on a clock of its own, as machines do."""
        for worker in (self.one, self.two):
            await worker.gw.clock.advance(seconds)  # type: ignore[attr-defined]


@pytest.fixture(params=[SPAN])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    dsn = request.getfixturevalue("postgres_dsn")
    host = dsn.partition("?host=")[2]
    async with door(host) as way:
        first = await PostgresDatabase.open(dsn.replace(f"host={host}", f"host={way.host}"))
        other = await PostgresDatabase.open(dsn)

        async def create(tx: Any) -> None:
            for statement in statements("postgresql"):
                await tx.run(statement)

        await other.write(create)
        one = Worker(over(cast(Any, first), **rules("one", request.param)))
        two = Worker(over(cast(Any, other), **rules("two", request.param)))
        await one.start()
        yield Two(one, two, way)
        way.open()
        for worker in (one, two):
            if worker.task is not None:
                await worker.stop()
        await first.close()
        await other.close()


async def holder(gw: Gateway, session: str) -> str | None:
    row = await gw.db.one("SELECT holder FROM sessions WHERE id = :id", id=session)
    return None if row is None else row[0]


@pytest.mark.postgres
@pytest.mark.slow
async def test_who_is_cut_off_has_stopped_before_the_other_begins(both: Two) -> None:
    who = await caller(both.two.gw)
    session = await linked(both.one.gw, who)
    await both.two.start()
    both.way.shut()
    await both.turn(21)
    await until(lambda: not both.one.running and not both.one.supervisor._stopping)
    # The lease is not over yet: nobody runs it now.
    assert await holder(both.two.gw, session.id) == "one"
    assert both.two.running == set()
    await both.turn(10)
    await until(lambda: session.id in both.two.running)
    both.way.open()
    now = await sessions.wait(both.two.gw, who, session.id, until=lambda s: s.status == "working", timeout=PATIENCE)
    assert now.gateway_id == "two"

    # The first is back, renews, and leaves it alone.
    await until(lambda: not both.one.supervisor._tenure.over and not both.one.supervisor._releases)
    assert both.one.running == set()
    assert await holder(both.two.gw, session.id) == "two"


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("both", [6.0], indirect=True)
async def test_a_database_that_does_not_answer_is_as_good_as_away(both: Two) -> None:
    """No clock is turned: the time that passes is real."""
    who = await caller(both.two.gw)
    session = await linked(both.one.gw, who)
    both.way.jam()
    # What the sandbox keeps of a closed connection waits for the database; nothing else of it is left.
    await until(lambda: not both.one.running and all(each.closed for each in both.one.engine._connections))
    assert await holder(both.two.gw, session.id) == "one"
    both.way.open()
    await until(lambda: session.id in both.one.running)
