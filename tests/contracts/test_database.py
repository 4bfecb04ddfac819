"""What every database adapter promises: SQLite in a file, SQLite in memory, PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from wagate.backends.database import ConstraintViolation, Database, Row, Tx, UnstorableValue
from wagate.backends.postgres import PostgresDatabase
from wagate.backends.sqlite import SqliteDatabase
from wagate.errors import NotFound, StorageUnavailable

pytestmark = pytest.mark.anyio

TABLES = [
    "CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n < 1000000))",
    "CREATE TABLE notes (id TEXT PRIMARY KEY, counter TEXT REFERENCES counters (name), body TEXT, flag BIGINT)",
]
ADD = "INSERT INTO counters (name, n) VALUES (:name, :n)"
COUNT = (
    "INSERT INTO counters (name, n) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET n = counters.n + 1 RETURNING n"
)
READ = "SELECT n FROM counters WHERE name = :name"

KINDS = ["file", "memory", pytest.param("postgres", marks=pytest.mark.postgres)]


async def opened(kind: str, address: str) -> Database:
    """A database of this kind with the tables of these tests."""
    db: Database
    if kind == "postgres":
        db = await PostgresDatabase.open(address)
    else:
        db = await SqliteDatabase.open(address)

    async def create(tx: Tx) -> None:
        for statement in TABLES:
            await tx.run(statement)

    await db.write(create)
    return db


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return str(tmp_path / "gate.db") if kind == "file" else ":memory:"


@pytest.fixture
async def db(kind: str, address: str) -> AsyncIterator[Database]:
    database = await opened(kind, address)
    yield database
    await database.close()


async def put(db: Database, name: str, n: int = 1) -> int:
    return await db.write(lambda tx: tx.run(ADD, name=name, n=n))


async def names(db: Database) -> list[str]:
    return [name for (name,) in await db.all("SELECT name FROM counters ORDER BY name")]


# Refusals


async def test_an_error_undoes_only_its_own_caller(db: Database) -> None:
    async def wrong(tx: Tx) -> None:
        await tx.run(ADD, name="lost", n=1)
        raise NotFound

    async def clash(tx: Tx) -> None:
        await tx.run(ADD, name="lost too", n=1)
        await tx.run(ADD, name="a", n=1)

    results = await asyncio.gather(
        put(db, "a"), db.write(wrong), put(db, "b"), db.write(clash), put(db, "c"), return_exceptions=True
    )
    assert [type(result) for result in results] == [int, NotFound, int, ConstraintViolation, int]
    assert await names(db) == ["a", "b", "c"]


async def test_a_lone_caller_with_an_error_leaves_nothing(db: Database) -> None:
    async def wrong(tx: Tx) -> None:
        await tx.run(ADD, name="lost", n=1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await db.write(wrong)
    assert await names(db) == []
    assert await put(db, "a") == 1


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        (ADD, {"name": "a", "n": 1}),
        (ADD, {"name": "b", "n": None}),
        (ADD, {"name": "b", "n": 1_000_000}),
        ("INSERT INTO notes (id, counter) VALUES (:id, :counter)", {"id": "1", "counter": "nobody"}),
    ],
    ids=["unique", "not null", "check", "foreign key"],
)
async def test_a_broken_rule_is_a_constraint_violation(db: Database, sql: str, params: dict[str, Any]) -> None:
    await put(db, "a")
    with pytest.raises(ConstraintViolation):
        await db.write(lambda tx: tx.run(sql, **params))


@pytest.mark.parametrize("together", [False, True])
async def test_a_swallowed_failure_still_undoes_the_transaction(db: Database, together: bool) -> None:
    await put(db, "a")

    async def stubborn(tx: Tx) -> str:
        await tx.run(ADD, name="b", n=1)
        with suppress(ConstraintViolation):
            await tx.run(ADD, name="a", n=1)
        return "fine"

    others = [put(db, "c")] if together else []
    results = await asyncio.gather(*others, db.write(stubborn), return_exceptions=True)
    assert isinstance(results[-1], ConstraintViolation)
    assert await names(db) == ["a", "c"] if together else ["a"]


@pytest.mark.parametrize("value", ["a\0b", "\0", "\ud800"], ids=["NUL inside", "NUL", "half a surrogate pair"])
async def test_text_that_one_of_them_cannot_hold_is_refused_by_both(db: Database, value: str) -> None:
    with pytest.raises(UnstorableValue):
        await put(db, value)
    with pytest.raises(UnstorableValue):
        await db.all(READ, name=value)
    assert await names(db) == []


@pytest.mark.parametrize("n", [2**63, -(2**63) - 1])
async def test_an_integer_beyond_64_bits_is_refused(db: Database, n: int) -> None:
    with pytest.raises(UnstorableValue):
        await put(db, "a", n)


async def test_a_transaction_ends_with_its_function(db: Database) -> None:
    async def leak(tx: Tx) -> Tx:
        return tx

    tx = await db.write(leak)
    with pytest.raises(RuntimeError, match="only inside"):
        await tx.run(ADD, name="late", n=1)
    assert await names(db) == []


async def test_wrong_sql_fails_its_caller_alone(db: Database) -> None:
    results = await asyncio.gather(
        put(db, "a"), db.write(lambda tx: tx.all("SELECT * FROM nowhere")), put(db, "b"), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert not isinstance(results[1], StorageUnavailable)
    assert await names(db) == ["a", "b"]


async def test_a_missing_parameter_and_an_unknown_fragment_are_refused(db: Database) -> None:
    with pytest.raises(Exception, match="name"):
        await db.write(lambda tx: tx.run(ADD, n=1))
    with pytest.raises(LookupError):
        await db.all("SELECT {nonsense}")


async def test_reads_cannot_write(db: Database, kind: str) -> None:
    if kind == "memory":
        pytest.skip("one connection does both")
    with pytest.raises(StorageUnavailable):
        await db.all(COUNT, name="a")
    assert await names(db) == []


async def test_a_closed_database_is_unavailable(db: Database) -> None:
    await db.close()
    await db.close()
    with pytest.raises(StorageUnavailable):
        await put(db, "a")
    with pytest.raises(StorageUnavailable):
        await db.all("SELECT 1")


# Promises


async def test_a_commit_is_seen_by_the_next_read(db: Database) -> None:
    for n in range(50):
        assert await db.write(lambda tx: tx.one(COUNT, name="a")) == (n + 1,)
        assert await db.one(READ, name="a") == (n + 1,)


async def test_a_transaction_sees_its_own_rows_and_those_before_it(db: Database) -> None:
    async def work(tx: Tx) -> list[Row]:
        await tx.one(COUNT, name="a")
        return await tx.all(READ, name="a")

    results = await asyncio.gather(*(db.write(work) for _ in range(20)))
    assert sorted(results) == [[(n,)] for n in range(1, 21)]


async def test_hundreds_of_writers_count_without_gaps(db: Database) -> None:
    async def work(tx: Tx) -> int:
        row = await tx.one(COUNT, name="a")
        assert row is not None
        if row[0] % 7 == 0:
            await tx.run("UPDATE counters SET n = n + 1000 WHERE name = :name", name="a")
            raise NotFound
        return int(row[0])

    results = await asyncio.gather(*(db.write(work) for _ in range(600)), return_exceptions=True)
    # The seventh is undone each time, so from there on nobody gets further than six.
    assert sorted(result for result in results if isinstance(result, int)) == [1, 2, 3, 4, 5, 6]
    counted = await asyncio.gather(*(db.write(lambda tx: tx.one(COUNT, name="b")) for _ in range(700)))
    assert sorted(row[0] for row in counted if row) == list(range(1, 701))


async def test_queries_are_answered_while_hundreds_write(db: Database) -> None:
    await put(db, "a", 0)
    writers = asyncio.gather(*(db.write(lambda tx: tx.one(COUNT, name="a")) for _ in range(500)))
    seen = [0]
    while not writers.done():
        row = await db.one(READ, name="a")
        assert row is not None
        seen.append(row[0])
        await asyncio.sleep(0)
    assert seen == sorted(seen)
    assert await db.one(READ, name="a") == (500,)


async def test_a_caller_that_leaves_breaks_nobody(db: Database) -> None:
    tasks = [asyncio.create_task(db.write(lambda tx: tx.one(COUNT, name="a"))) for _ in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(not isinstance(result, BaseException) for result in results[1::2])
    row = await db.one(READ, name="a")
    assert row is not None
    assert 50 <= row[0] <= 100
    assert await db.write(lambda tx: tx.one(COUNT, name="a")) == (row[0] + 1,)


async def test_what_was_queued_before_close_is_committed(kind: str, address: str) -> None:
    if kind == "memory":
        pytest.skip("nothing of it can be opened again")
    db = await opened(kind, address)
    tasks = [asyncio.create_task(put(db, f"{n:03}")) for n in range(300)]
    await asyncio.sleep(0)
    await db.close()
    assert await asyncio.gather(*tasks) == [1] * 300
    again = await (PostgresDatabase if kind == "postgres" else SqliteDatabase).open(address)
    assert len(await names(again)) == 300
    await again.close()


async def test_run_tells_how_many_rows_changed(db: Database) -> None:
    async def work(tx: Tx) -> list[int]:
        return [
            *[await tx.run(ADD, name=name, n=1) for name in "abc"],
            await tx.run("UPDATE counters SET n = n + 1 WHERE name <> :name", name="a"),
            await tx.run("-- why\nUPDATE counters SET n = n WHERE name = :name", name="nobody"),
            await tx.run(ADD + " ON CONFLICT (name) DO NOTHING", name="a", n=1),
            await tx.run(
                "WITH due AS MATERIALIZED (SELECT name FROM counters ORDER BY name LIMIT :few {skip_locked})"
                " UPDATE counters SET n = 7 WHERE name IN (SELECT name FROM due)",
                few=2,
            ),
            await tx.run("DELETE FROM counters WHERE n = :n RETURNING name", n=7),
            await tx.run("CREATE TABLE other (id BIGINT)"),
            await tx.run("DELETE FROM counters"),
        ]

    assert await db.write(work) == [1, 1, 1, 2, 0, 0, 2, 2, 0, 1]


async def test_fragments_say_what_the_databases_say_differently(db: Database) -> None:
    async def work(tx: Tx) -> None:
        for n, name in enumerate("abcd"):
            await tx.run(ADD, name=name, n=n)
        locked = await tx.one("SELECT n FROM counters WHERE name = :name {for_update}", name="b")
        assert locked == (1,)
        await tx.run("UPDATE counters SET n = {greatest}(n, CAST(:floor AS BIGINT))", floor=2)

    await db.write(work)
    chosen = await db.all(
        "SELECT name, n FROM counters WHERE name IN ({each:chosen}) ORDER BY name", chosen='["a", "d", "né"]'
    )
    assert chosen == [("a", 2), ("d", 3)]
    assert await db.all("SELECT name FROM counters WHERE name IN ({each:chosen})", chosen="[]") == []


async def test_what_is_quoted_is_left_alone(db: Database) -> None:
    row = await db.one("SELECT ':name', '{each:x} {}', 'it''s :n' /* :n {greatest} */ -- :m's\n, :name", name="x")
    assert row == (":name", "{each:x} {}", "it's :n", "x")


async def test_a_name_may_be_used_twice_and_more_given_than_used(db: Database) -> None:
    await put(db, "a", 5)
    sql = "SELECT n FROM counters WHERE name = :name AND (n = :n OR name = :name)"
    assert await db.all(sql, name="a", n=5, unused=1) == [(5,)]


async def test_rows_are_the_same_from_both(db: Database) -> None:
    async def work(tx: Tx) -> None:
        await tx.run(ADD, name="a", n=True)
        await tx.run(ADD, name="b", n=2)
        note = "INSERT INTO notes (id, body, flag) VALUES (:id, :body, :flag)"
        await tx.run(note, id="1", body="ünï \U0001f600 \t\r\n\x01", flag=False)
        await tx.run(note, id="2", body=None, flag=None)

    await db.write(work)
    rows = await db.all("SELECT id, body, flag FROM notes ORDER BY id")
    assert rows == [("1", "ünï \U0001f600 \t\r\n\x01", 0), ("2", None, None)]
    assert [type(value) for value in rows[0]] == [str, str, int]
    sums = await db.one("SELECT SUM(n), COUNT(*), MAX(n) > 1, SUM(n) * 1.0 FROM counters")
    assert sums == (3, 2, 1, 3.0)
    assert sums is not None
    assert [type(value) for value in sums] == [int, int, int, float]
    assert await db.one(READ, name="nobody") is None


CHILD = """
import asyncio, sys
from wagate.backends.postgres import PostgresDatabase
from wagate.backends.sqlite import SqliteDatabase

async def main(address):
    db = await (PostgresDatabase if address.startswith("postgresql:") else SqliteDatabase).open(address)
    async def write(caller):
        n = 0
        while True:
            name = f"{caller}-{n}"
            await db.write(lambda tx: tx.run("INSERT INTO counters (name, n) VALUES (:name, 1)", name=name))
            print(name, flush=True)
            n += 1
    await asyncio.gather(*(write(caller) for caller in range(20)))

asyncio.run(main(sys.argv[1]))
"""


async def test_a_killed_process_loses_nothing_that_it_acknowledged(kind: str, address: str) -> None:
    if kind == "memory":
        pytest.skip("memory dies with its process")
    db = await opened(kind, address)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, address, stdout=subprocess.PIPE)
    assert child.stdout is not None
    lines = [await child.stdout.readline() for _ in range(500)]
    child.kill()
    lines += (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    # The last line may have been cut in the middle.
    acknowledged = [line.decode().strip() for line in lines if line.endswith(b"\n")]
    assert len(acknowledged) >= 500
    assert set(acknowledged) <= set(await names(db))
    assert await put(db, "after") == 1
    await db.close()


# Company


async def test_rows_of_one_statement_are_written_in_their_order_or_not_at_all(db: Database) -> None:
    rows = [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
    await db.write(lambda tx: tx.many(ADD, rows))
    with pytest.raises(ConstraintViolation):
        await db.write(lambda tx: tx.many(ADD, [{"name": "c", "n": 3}, {"name": "a", "n": 4}]))
    with pytest.raises(UnstorableValue):
        await db.write(lambda tx: tx.many(ADD, [{"name": "d\0", "n": 3}]))
    assert await names(db) == ["a", "b"]


async def test_who_is_patient_keeps_the_order_and_is_not_forgotten(db: Database) -> None:
    done: list[str] = []

    async def add(name: str, *, patient: bool) -> None:
        await db.write(lambda tx: tx.run(ADD, name=name, n=1), patient=patient)
        done.append(name)

    await add("alone", patient=True)
    await asyncio.gather(add("first", patient=True), add("second", patient=False), add("third", patient=True))
    assert done == ["alone", "first", "second", "third"]
