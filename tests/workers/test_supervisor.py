"""Leases at work: two workers on one database never run one session, and what one leaves behind the other takes up."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar, cast

import asyncpg
import pytest

from tests.support.parts import SCHEMA, beside, caller, log, over, words
from wagate.backends.database import Database, Tx
from wagate.backends.migrate import statements
from wagate.backends.postgres import PostgresDatabase
from wagate.backends.records import DatabaseStore
from wagate.backends.sqlite import SqliteDatabase
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.errors import WagateError
from wagate.gateway import Gateway, actions, leases, outbox, outcomes, sessions
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.organizations import Caller
from wagate.model.sandbox import Fault, InjectFault, LinkPhone, ListShown
from wagate.model.sessions import CreateSession, Session
from wagate.workers.supervisor import Supervisor

pytestmark = pytest.mark.anyio


class _Second:
    """Which database the second process of a gateway has."""

    databases: ClassVar[dict[int, Database]] = {}

    @classmethod
    def of(cls, gw: Gateway, db: Database) -> Gateway:
        cls.databases[id(gw.broker)] = db
        return gw


def second(gw: Gateway) -> Gateway:
    """The second process: its own node and connections, the same database, broker and time."""
    return dataclasses.replace(beside(gw, "two"), db=_Second.databases.get(id(gw.broker), gw.db))


async def _nothing(tx: Tx) -> None:
    """A write that changes nothing."""


class Worker:
    """One process's worth of workers on a database that others share."""

    def __init__(self, gw: Gateway) -> None:
        self.gw = gw
        self.engine = SandboxEngine(
            lambda scope: DatabaseStore(gw.db, engine="sandbox", scope=scope), gw.clock, seed="1"
        )
        self.supervisor = Supervisor(gw, {"sandbox": self.engine})
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.supervisor.start(alone=False)
        self.task = asyncio.create_task(self.supervisor.run())

    async def freeze(self) -> None:
        """It looks after its leases no more; its runners do not know that yet."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        # What it had asked to be written is written by whoever writes, by the clock of that moment: see it done.
        await self.gw.db.write(_nothing)

    async def stop(self) -> None:
        await self.freeze()
        await self.supervisor.close()
        with contextlib.suppress(WagateError):
            await self.engine.close()

    @property
    def running(self) -> set[str]:
        """The sessions that it runs now."""
        return {id for id, (_, task) in self.supervisor._runners.items() if not task.done()}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def gw(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """The first process. On PostgreSQL the second has connections of its own; in memory there is one for both."""
    rules: dict[str, Any] = {"node": "one", "poll_seconds": 0.05, "lease_seconds": 30.0}
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_dsn")
        connection = await asyncpg.connect(dsn)
        for statement in statements("postgresql"):
            await connection.execute(statement)
        await connection.close()
        first, second = await PostgresDatabase.open(dsn), await PostgresDatabase.open(dsn)
        yield _Second.of(over(cast(Database, first), **rules), cast(Database, second))
        await first.close()
        await second.close()
        return
    db = await SqliteDatabase.open(":memory:")
    await db.script(SCHEMA())
    yield over(db, **rules)
    await db.close()


@pytest.fixture
async def one(gw: Gateway) -> AsyncIterator[Worker]:
    worker = Worker(gw)
    await worker.start()
    yield worker
    await worker.stop()


@pytest.fixture
async def two(gw: Gateway) -> AsyncIterator[Worker]:
    worker = Worker(second(gw))
    await worker.start()
    yield worker
    await worker.stop()


@pytest.fixture
async def who(gw: Gateway) -> Caller:
    return await caller(gw)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await condition()):  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.005)
        return found


async def linked(gw: Gateway, who: Caller, phone: str | None = "9990000001") -> Session:
    made = await sessions.create(gw, who, CreateSession(start=True))
    await sessions.wait(gw, who, made.id, until=lambda s: s.status == "scan_qr_code", timeout=60)
    await actions.ask_network(gw, who, LinkPhone(session=made.id, phone=phone, name=None))
    now = await sessions.wait(gw, who, made.id, until=lambda s: s.status == "working", timeout=60)
    assert now.status == "working"
    return now


async def accept(gw: Gateway, who: Caller, session: Session, text: str = "x") -> outbox.Entry:
    offer = Offer(chat="9990000002@s.whatsapp.net", content=words(text), mode="async", digest=text)
    return await outbox.accept(gw, who, session.id, offer)


async def shown(gw: Gateway, who: Caller) -> list[str]:
    page = await actions.ask_network(gw, who, ListShown(to="9990000002@s.whatsapp.net", sender=None, message=None,
                                                        after="", limit=100))  # fmt: skip
    return [each.content.text for each in page.rows]


async def test_two_workers_never_run_one_session(gw: Gateway, one: Worker, two: Worker) -> None:
    people = [await caller(gw) for _ in range(4)]
    made = await asyncio.gather(*(linked(gw, each, None) for each in people for _ in range(5)))
    assert not one.running & two.running
    assert one.running | two.running == {session.id for session in made}
    for session in made:
        row = await gw.db.one("SELECT holder FROM sessions WHERE id = :id", id=session.id)
        assert row is not None
        assert session.id in (one if row[0] == "one" else two).running


async def test_the_other_takes_over_what_a_stopped_worker_leaves(
    gw: Gateway, one: Worker, two: Worker, who: Caller
) -> None:
    session = await linked(gw, who)
    first, other = (one, two) if session.id in one.running else (two, one)
    await first.stop()
    await first.start()
    await first.freeze()

    async def back() -> bool:
        now = await sessions.get(gw, who, session.id)
        return session.id in other.running and now.status == "working"

    await until(back)
    assert (await sessions.get(gw, who, session.id)).gateway_id == other.gw.rules.node
    entry = await outcomes.wait(gw, who, await accept(gw, who, session))
    assert entry.status == "sent"


async def test_a_dead_workers_sessions_wait_for_its_lease_and_no_longer(gw: Gateway, one: Worker, who: Caller) -> None:
    session = await linked(gw, who)
    fault = Fault(kind="ack_lost", session=session.id, count=1)
    await actions.ask_network(gw, who, InjectFault(fault=fault))
    entry = await accept(gw, who, session, "once")
    await until(lambda: _is(gw, who, session, entry.id, "pending"))
    await one.freeze()
    two = Worker(second(gw))
    await two.start()
    try:
        await gw.clock.advance(29)  # type: ignore[attr-defined]
        await asyncio.sleep(0.2)
        assert two.running == set()
        await gw.clock.advance(2)  # type: ignore[attr-defined]

        async def taken() -> bool:
            return session.id in two.running

        await until(taken)
        # What was under way goes out again with its id: the phone shows it once.
        await until(lambda: _is(gw, who, session, entry.id, "sent"))
        assert await shown(two.gw, who) == ["once"]
        told = [p for name, p in await log(gw, who) if name == "message.from_me"]
        assert [p["waMessageId"] for p in told] == [entry.wire_id]
    finally:
        await two.stop()


async def taken_over(gw: Gateway) -> Held:
    """The session that this process takes. A row that somebody writes is passed over, and tried at the next look."""
    taken: list[Held] = []

    async def look() -> bool:
        taken.extend((await leases.acquire(gw, limit=10))[1])
        return bool(taken)

    await until(look)
    (held,) = taken
    return held


async def _is(gw: Gateway, who: Caller, session: Session, entry: str, status: str) -> bool:
    return (await outbox.get(gw, who, session.id, entry)).status == status


async def test_a_runner_whose_lease_is_lost_stops_by_itself_and_settles_nothing(
    gw: Gateway, one: Worker, who: Caller
) -> None:
    session = await linked(gw, who)
    await one.freeze()
    runner, task = one.supervisor._runners[session.id]
    await gw.clock.advance(31)  # type: ignore[attr-defined]
    theirs = await taken_over(second(gw))
    assert theirs.id == session.id
    before = await log(gw, who)
    runner.wake()

    async def stopped() -> bool:
        return task.done()

    await until(stopped)
    assert task.exception() is None
    assert one.running == set()
    assert await log(gw, who) == before
    row = await gw.db.one("SELECT holder, epoch FROM sessions WHERE id = :id", id=session.id)
    assert tuple(row or ()) == ("two", theirs.epoch)


async def test_a_session_that_is_stopped_deleted_or_restarted_is_let_go(gw: Gateway, one: Worker, who: Caller) -> None:
    session = await linked(gw, who)
    epoch = one.supervisor._runners[session.id][0].held.epoch
    await sessions.restart(gw, who, session.id)

    async def anew() -> bool:
        found = one.supervisor._runners.get(session.id)
        now = await sessions.get(gw, who, session.id)
        return found is not None and found[0].held.epoch > epoch and now.status == "working"

    await until(anew)
    await sessions.stop(gw, who, session.id)

    async def idle() -> bool:
        return one.running == set()

    await until(idle)
    await sessions.start(gw, who, session.id)
    await sessions.wait(gw, who, session.id, until=lambda s: s.status == "working", timeout=60)
    await sessions.delete(gw, who, session.id)
    await until(idle)


async def test_a_send_waits_for_its_worker(gw: Gateway, one: Worker, who: Caller) -> None:
    session = await linked(gw, who)
    entries = [await accept(gw, who, session, str(i)) for i in range(20)]
    for entry in entries:
        await until(lambda entry=entry: _is(gw, who, session, entry.id, "sent"))  # type: ignore[misc]
    assert await shown(gw, who) == [str(i) for i in range(20)]
