"""What only SQLite promises: one owner, one writer thread, and a storage that may fail under it."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from wagate.backends.database import Tx
from wagate.backends.migrate import ensure_schema
from wagate.backends.ownership import AlreadyServed
from wagate.backends.sqlite import SqliteDatabase
from wagate.errors import NotFound, StorageUnavailable

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO notes (body) VALUES (:body)"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await SqliteDatabase.open(tmp_path / "gate.db", exclusive=True)
    await database.script(["CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"])
    yield database
    await database.close()


async def add(db: SqliteDatabase, body: str = "x") -> None:
    await db.write(lambda tx: tx.run(ADD, body=body))


async def test_whoever_fills_or_opens_the_file_again_here_leaves_its_locks_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.db"
    database = await SqliteDatabase.open(path, exclusive=True)
    assert await ensure_schema(f"sqlite:///{path}")
    again = await SqliteDatabase.open(path)
    await again.close()
    # Another process that is the last to leave, as far as it can see, would take the log with it.
    beside = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit(); c.close()"
    for id in ("org_1", "org_2"):
        said = f"INSERT INTO organizations (id, name, created_at) VALUES ('{id}', 'x', 1)"
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", beside, path, said], check=True)
        assert [row[0] for row in await database.all("SELECT id FROM organizations -- all")][-1] == id
    assert path.with_name("gate.db-wal").exists()
    await database.write(lambda tx: tx.run("DELETE FROM organizations -- all"))
    await database.close()


async def count(db: SqliteDatabase) -> int:
    row = await db.one("SELECT COUNT(*) FROM notes")
    assert row is not None
    return int(row[0])


async def pragma(db: SqliteDatabase, setting: str) -> Any:
    return await db.write(lambda tx: tx.one(f"PRAGMA {setting}"))


# Refusals


async def test_a_second_owner_is_refused_with_a_sentence(db: SqliteDatabase, tmp_path: Path) -> None:
    with pytest.raises(AlreadyServed, match=r"already uses .*gate\.db"):
        await SqliteDatabase.open(tmp_path / "gate.db", exclusive=True)


async def test_a_killed_owner_leaves_no_claim(tmp_path: Path) -> None:
    path = tmp_path / "gate.db"
    claim = "import sys; from pathlib import Path; from wagate.backends.ownership import own; "
    code = claim + "own(Path(sys.argv[1])); print('mine', flush=True); sys.stdin.read()"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"mine\n"
    with pytest.raises(AlreadyServed, match=f"process {child.pid}"):
        await SqliteDatabase.open(path, exclusive=True)
    child.kill()
    await child.wait()
    db = await SqliteDatabase.open(path, exclusive=True)
    await db.close()


async def test_what_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "gate.db"
    path.write_text("not a database at all, but long enough to be looked at" * 40)
    for _ in range(2):  # a failed opening gives the file up again
        with pytest.raises(StorageUnavailable, match=r"gate\.db"):
            await SqliteDatabase.open(path, exclusive=True)
    with pytest.raises(StorageUnavailable):
        await SqliteDatabase.open(tmp_path / "nowhere" / "gate.db")


async def test_work_that_waits_for_something_else_is_refused_alone(db: SqliteDatabase) -> None:
    loop = asyncio.get_running_loop()

    async def waits(tx: Tx) -> None:
        await tx.run(ADD, body="lost")
        await loop.create_future()

    results = await asyncio.gather(add(db), db.write(waits), add(db), return_exceptions=True)
    assert results[0] is results[2] is None
    assert isinstance(results[1], RuntimeError)
    assert await count(db) == 2
    with pytest.raises(RuntimeError, match="other than its transaction"):
        await db.write(waits)


# Storage that fails, and comes back


async def test_a_full_disk_fails_the_group_and_loses_nothing_acknowledged(db: SqliteDatabase) -> None:
    await add(db)
    (pages,) = await pragma(db, "page_count")
    await pragma(db, f"max_page_count={pages + 8}")
    acknowledged, refused = 1, 0
    for _ in range(20):
        results = await asyncio.gather(*(add(db, "y" * 900) for _ in range(10)), return_exceptions=True)
        assert all(result is None or isinstance(result, StorageUnavailable) for result in results)
        acknowledged += results.count(None)
        refused += len(results) - results.count(None)
        assert await count(db) == acknowledged
    assert refused
    await pragma(db, "max_page_count=100000")
    await asyncio.gather(*(add(db, "y" * 900) for _ in range(50)))
    assert await count(db) == acknowledged + 50


@pytest.mark.parametrize("callers", [1, 20])
async def test_a_failing_disk_fails_the_group_and_the_next_one_works(
    db: SqliteDatabase, tmp_path: Path, callers: int
) -> None:
    await add(db)
    log = (tmp_path / "gate.db-wal").stat().st_size
    with file_limit(log + 8192):
        results = await asyncio.gather(*(add(db, "z" * 50_000) for _ in range(callers)), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * callers
    assert len({id(result) for result in results}) == callers
    assert await count(db) == 1
    await asyncio.gather(*(add(db, "z" * 50_000) for _ in range(20)))
    assert await count(db) == 21


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size`: writes fail as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_read_only_database_refuses_and_recovers(db: SqliteDatabase) -> None:
    await pragma(db, "query_only=ON")

    async def stubborn(tx: Tx) -> None:
        try:
            await tx.run(ADD, body="x")
        except StorageUnavailable:
            raise NotFound from None  # even so: what it saw may be gone with the group

    results = await asyncio.gather(add(db), db.write(stubborn), add(db), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 3
    # The connection was given up with the failure, and the setting with it.
    await add(db)
    assert await count(db) == 1


async def test_a_writer_that_cannot_begin_tells_its_callers(db: SqliteDatabase, tmp_path: Path) -> None:
    await pragma(db, "busy_timeout=1")
    with closing(sqlite3.connect(tmp_path / "gate.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(add(db), add(db), return_exceptions=True)
        assert [type(result) for result in results] == [StorageUnavailable] * 2
        assert await count(db) == 0
    await add(db)
    assert await count(db) == 1


# Promises


async def test_a_short_command_writes_beside_the_owner(db: SqliteDatabase, tmp_path: Path) -> None:
    beside = await SqliteDatabase.open(tmp_path / "gate.db")
    await asyncio.gather(*(add(one) for one in (db, beside) * 40))
    assert await count(db) == await count(beside) == 80
    await beside.close()
    await add(db)


async def test_queries_do_not_wait_for_a_group(db: SqliteDatabase) -> None:
    seen: list[int] = []

    async def work(tx: Tx) -> None:
        await tx.run(ADD, body="x")
        seen.append(await count(db))  # through the other connection, while this transaction is open

    await db.write(work)
    assert seen == [0]
    assert await count(db) == 1


async def test_callers_who_wait_share_a_commit(db: SqliteDatabase) -> None:
    changes: list[int] = []

    async def work(tx: Tx) -> None:
        await tx.run(ADD, body="x")
        row = await tx.one("SELECT COUNT(*) FROM notes")
        assert row is not None
        if await count_committed(db) == 0:
            changes.append(row[0])

    async def count_committed(database: SqliteDatabase) -> int:
        with closing(sqlite3.connect(database._path)) as other:
            return int(other.execute("SELECT COUNT(*) FROM notes").fetchone()[0])

    await asyncio.gather(*(db.write(work) for _ in range(50)))
    assert changes == list(range(1, 51))


async def test_every_file_is_its_owners_alone(db: SqliteDatabase, tmp_path: Path) -> None:
    await add(db)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("gate.db", "gate.db-wal", "gate.db-shm", "gate.db.lock"), 0o600)


async def test_commits_are_durable_by_setting(db: SqliteDatabase) -> None:
    assert await pragma(db, "journal_mode") == ("wal",)
    assert await pragma(db, "synchronous") == (2,)
    assert await pragma(db, "foreign_keys") == (1,)


async def test_close_brings_the_log_home_and_gives_the_file_up(tmp_path: Path) -> None:
    path = tmp_path / "gate.db"
    for _ in range(2):
        db = await SqliteDatabase.open(path, exclusive=True)
        await db.script(["CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)"])
        await db.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gate.db", "gate.db.lock"]


# Patience


async def test_closing_commits_who_is_patient(tmp_path: Path) -> None:
    db = await SqliteDatabase.open(tmp_path / "other.db")
    await db.script(["CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"])
    hurried = asyncio.ensure_future(add(db, "hurried"))
    await asyncio.sleep(0)
    patient = asyncio.ensure_future(db.write(lambda tx: tx.run(ADD, body="patient"), patient=True))
    await asyncio.sleep(0)
    await db.close()
    await hurried
    assert await patient == 1
