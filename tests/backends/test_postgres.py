"""What only PostgreSQL promises: connections lost and found, other processes' locks, whole groups that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.door import Door, door
from wagate.backends.database import Tx
from wagate.backends.ownership import AlreadyServed
from wagate.backends.postgres import GROUP, PostgresDatabase
from wagate.backends.postgres_server import APPLICATION, is_lost, open_one
from wagate.errors import StorageUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

COUNT = (
    "INSERT INTO counters (name, n) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET n = counters.n + 1 RETURNING n"
)


@pytest.fixture
async def db(postgres_dsn: str) -> AsyncIterator[PostgresDatabase]:
    # More than a busy machine needs: only what is meant to come too late does.
    database = await PostgresDatabase.open(postgres_dsn, patience=60)
    await database.write(lambda tx: tx.run("CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL)"))
    yield database
    await database.close()


@pytest.fixture
async def beside(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Another process's connection."""
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


async def count(db: PostgresDatabase, name: str = "a") -> None:
    await db.write(lambda tx: tx.one(COUNT, name=name))


async def counted(db: PostgresDatabase, name: str = "a") -> int:
    row = await db.one("SELECT n FROM counters WHERE name = :name", name=name)
    return row[0] if row else 0


async def cut(beside: asyncpg.Connection) -> None:
    """End all of the gateway's connections, as a restarted server does."""
    await beside.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = $1",
        APPLICATION,
    )


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="PostgreSQL"):
        await PostgresDatabase.open(f"postgresql://nobody@/nothing?host={tmp_path}")


async def test_a_read_only_server_refuses_and_recovers(db: PostgresDatabase, beside: asyncpg.Connection) -> None:
    name = await beside.fetchval("SELECT current_database()")
    await beside.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await cut(beside)
    results = await asyncio.gather(count(db), count(db), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 2
    await beside.execute("SET default_transaction_read_only = off")
    await beside.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await cut(beside)
    await asyncio.gather(count(db), count(db))
    assert await counted(db) == 2


async def test_lost_connections_are_replaced_unseen(db: PostgresDatabase, beside: asyncpg.Connection) -> None:
    await count(db)
    for round_ in range(1, 4):
        await cut(beside)
        assert await counted(db) == round_
        await cut(beside)
        await count(db)
        assert await counted(db) == round_ + 1


async def test_every_idle_connection_of_the_pool_may_be_dead(db: PostgresDatabase, beside: asyncpg.Connection) -> None:
    await count(db)
    assert await asyncio.gather(*(db.one("SELECT pg_sleep(0.05), 1") for _ in range(8))) == [(None, 1)] * 8
    await cut(beside)
    assert await asyncio.gather(*(counted(db) for _ in range(8))) == [1] * 8


async def test_a_connection_lost_inside_a_group_loses_and_repeats_nothing(
    db: PostgresDatabase, beside: asyncpg.Connection
) -> None:
    runs = 0

    async def interrupted(tx: Tx) -> None:
        nonlocal runs
        runs += 1
        await tx.one(COUNT, name="a")
        if runs == 1:
            await cut(beside)
        await tx.one(COUNT, name="a")

    await asyncio.gather(count(db, "b"), db.write(interrupted), count(db, "b"))
    assert runs == 2
    assert (await counted(db, "a"), await counted(db, "b")) == (2, 2)


async def test_a_deadlock_with_another_process_is_survived(db: PostgresDatabase, beside: asyncpg.Connection) -> None:
    await asyncio.gather(count(db, "a"), count(db, "b"))
    await beside.execute("SET deadlock_timeout = '60s'")  # so that it is the gateway who gives way
    began, holds, runs = asyncio.Event(), asyncio.Event(), 0

    async def crossing(tx: Tx) -> None:
        nonlocal runs
        runs += 1
        await tx.one(COUNT, name="b")
        holds.set()
        await tx.one(COUNT, name="a")

    async def other() -> None:
        async with beside.transaction():
            await beside.execute("UPDATE counters SET n = n + 10 WHERE name = 'a'")
            began.set()
            await holds.wait()
            await beside.execute("UPDATE counters SET n = n + 10 WHERE name = 'b'")

    theirs = asyncio.create_task(other())
    await began.wait()
    await asyncio.gather(count(db, "c"), db.write(crossing), count(db, "c"), theirs)
    assert runs == 2
    assert [await counted(db, name) for name in "abc"] == [12, 12, 2]


async def test_two_processes_skip_each_others_locked_rows(db: PostgresDatabase, postgres_dsn: str) -> None:
    other = await PostgresDatabase.open(postgres_dsn)
    names = [f"{n:03}" for n in range(100)]
    for name in names:
        await db.write(lambda tx, name=name: tx.run("INSERT INTO counters (name, n) VALUES (:name, 0)", name=name))
    claim = (
        "WITH due AS MATERIALIZED (SELECT name FROM counters WHERE n = 0 ORDER BY name LIMIT 3 {skip_locked})"
        " UPDATE counters SET n = 1 WHERE name IN (SELECT name FROM due) RETURNING name"
    )
    claimed: list[str] = []
    async with asyncio.timeout(60):
        while len(claimed) < 100:
            answers = await asyncio.gather(*(one.write(lambda tx: tx.all(claim)) for one in (db, other) * 5))
            claimed += [row[0] for rows in answers for row in rows]
    assert sorted(claimed) == names
    await other.close()


@pytest.fixture
async def jammable(db: PostgresDatabase, postgres_dsn: str) -> AsyncIterator[Door]:
    """A way to the database of `db` that can be jammed."""
    async with door(postgres_dsn.partition("?host=")[2]) as way:
        yield way


def through(way: Door, dsn: str) -> str:
    return f"{dsn.partition('?host=')[0]}?host={way.host}"


async def test_a_server_that_does_not_answer_is_unavailable_and_comes_back(jammable: Door, postgres_dsn: str) -> None:
    jammed = await PostgresDatabase.open(through(jammable, postgres_dsn), patience=0.5)
    await count(jammed)
    jammable.jam()
    outcomes = await asyncio.gather(count(jammed), counted(jammed), count(jammed), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    with pytest.raises(StorageUnavailable):
        await PostgresDatabase.open(through(jammable, postgres_dsn), patience=0.5)
    jammable.open()
    await count(jammed)
    assert await counted(jammed) == 2
    await jammed.close()


async def test_who_is_cancelled_waits_for_no_server_that_does_not_answer(jammable: Door, postgres_dsn: str) -> None:
    jammed = await PostgresDatabase.open(through(jammable, postgres_dsn), patience=3600)
    await count(jammed)
    jammable.jam()
    waiting = [asyncio.ensure_future(counted(jammed)), asyncio.ensure_future(count(jammed))]
    async with asyncio.timeout(60):
        while jammable.held < len(waiting):  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert all(task.cancelled() for task in waiting)
    jammable.open()
    assert await counted(jammed) in (1, 2)
    await jammed.close()


async def test_nobody_waits_in_line_for_a_server_that_does_not_answer(jammable: Door, postgres_dsn: str) -> None:
    jammed = await PostgresDatabase.open(through(jammable, postgres_dsn), patience=0.5)
    jammable.jam()
    # Far more than there are connections, or places in a group.
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(
            *(counted(jammed) for _ in range(50)), *(count(jammed) for _ in range(3 * GROUP)), return_exceptions=True
        )
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    jammable.open()
    await count(jammed)
    assert await counted(jammed) == 1
    await jammed.close()


async def test_who_ends_waits_for_no_server_that_does_not_answer(jammable: Door, postgres_dsn: str) -> None:
    ending = await PostgresDatabase.open(through(jammable, postgres_dsn), patience=3600)
    await ending.hurry()
    await count(ending)  # one that answers is used on
    jammable.jam()
    waiting = asyncio.gather(counted(ending), count(ending), return_exceptions=True)
    async with asyncio.timeout(60):
        await ending.hurry()
        await ending.close()
        outcomes = await waiting
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    with pytest.raises(StorageUnavailable):
        await count(ending)
    with pytest.raises(StorageUnavailable):
        await counted(ending)


async def test_a_server_that_hangs_is_left_behind(jammable: Door, postgres_dsn: str) -> None:
    leaving = await PostgresDatabase.open(through(jammable, postgres_dsn), patience=0.5)
    jammable.jam()
    await leaving.close()


async def test_who_is_kept_from_a_row_fails_alone(postgres_dsn: str, beside: asyncpg.Connection) -> None:
    quick = await PostgresDatabase.open(postgres_dsn, patience=1.5)
    await quick.write(lambda tx: tx.run("CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL)"))
    await count(quick, "a")
    async with beside.transaction():
        await beside.execute("UPDATE counters SET n = n + 10 WHERE name = 'a'")
        kept = [count(quick, "a") for _ in range(10)]
        outcomes = await asyncio.gather(count(quick, "b"), *kept, count(quick, "b"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), *[StorageUnavailable] * 10, type(None)]
    await count(quick, "a")
    assert (await counted(quick, "a"), await counted(quick, "b")) == (12, 2)
    await quick.close()


async def test_the_server_frees_what_a_vanished_process_had_changed(db: PostgresDatabase, postgres_dsn: str) -> None:
    vanished = await open_one(postgres_dsn, patience=0.2)
    await vanished.execute("BEGIN; INSERT INTO counters (name, n) VALUES ('a', 10)")
    await count(db, "a")
    assert await counted(db, "a") == 1
    with pytest.raises(Exception) as told:
        await vanished.execute("COMMIT")
    assert is_lost(told.value)


async def test_a_process_has_its_name_alone(postgres_dsn: str, beside: asyncpg.Connection) -> None:
    first = await PostgresDatabase.open(postgres_dsn, name="one")
    other = await PostgresDatabase.open(postgres_dsn, name="two", patience=0.2)
    for _ in range(2):
        with pytest.raises(AlreadyServed, match=r"named one .* WAGATE_NODE_ID"):
            await PostgresDatabase.open(postgres_dsn, name="one", patience=0.2)
        # Whose connections were cut has its name again with the next one.
        await cut(beside)
        await first.write(lambda tx: tx.all("SELECT 1"))
    waiting = asyncio.ensure_future(PostgresDatabase.open(postgres_dsn, name="one"))
    await first.close()
    await (await waiting).close()
    await other.close()
