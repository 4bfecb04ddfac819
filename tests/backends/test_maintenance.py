"""A backup is whole whenever it is taken, and nothing but a whole one is put back."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from wagate.backends.maintenance import BackupFailed, BackupUnusable, backup, restore
from wagate.backends.migrate import current_revision, ensure_schema
from wagate.backends.migrations import HEAD
from wagate.backends.ownership import AlreadyServed
from wagate.backends.postgres import PostgresDatabase
from wagate.backends.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO organizations (id, name, created_at) VALUES (:id, 'x', 1)"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    await ensure_schema(address(tmp_path))
    database = await SqliteDatabase.open(tmp_path / "gate.db", exclusive=True)
    yield database
    await database.close()


def address(folder: Path) -> str:
    return f"sqlite:///{folder}/gate.db"


async def add(db: SqliteDatabase | PostgresDatabase, name: str) -> None:
    await db.write(lambda tx: tx.run(ADD, id=name))


async def organizations(db: SqliteDatabase | PostgresDatabase) -> list[str]:
    return [name for (name,) in await db.all("SELECT id FROM organizations ORDER BY id")]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".part" in path.name]


# Refusals


async def test_restore_is_refused_while_a_gateway_serves(db: SqliteDatabase, tmp_path: Path) -> None:
    await backup(address(tmp_path), tmp_path / "backup.db")
    await add(db, "later")
    with pytest.raises(AlreadyServed, match=r"gate\.db"):
        await restore(address(tmp_path), tmp_path / "backup.db")
    assert await organizations(db) == ["later"]


@pytest.mark.parametrize("fault", ["absent", "no database", "cut", "garbled", "another's", "newer", "empty"])
async def test_what_is_no_whole_backup_of_ours_is_refused(db: SqliteDatabase, tmp_path: Path, fault: str) -> None:
    for n in range(200):
        await add(db, f"org{n:03}")
    source = tmp_path / "backup.db"
    await backup(address(tmp_path), source)
    await db.close()
    spoil(source, fault)
    with pytest.raises(BackupUnusable, match=r"backup\.db"):
        await restore(address(tmp_path), source)
    assert not leftovers(tmp_path)
    again = await SqliteDatabase.open(tmp_path / "gate.db", exclusive=True)
    assert len(await organizations(again)) == 200
    await again.close()


def spoil(path: Path, fault: str) -> None:
    whole = path.read_bytes()
    if fault == "absent":
        path.unlink()
    elif fault == "no database":
        path.write_bytes(b"hello " * 1000)
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif fault == "garbled":
        path.write_bytes(whole[:8192] + b"\xff" * 16384 + whole[24576:])
    else:
        with closing(sqlite3.connect(path)) as connection:
            change = {
                "another's": "DROP TABLE alembic_version",
                "newer": "UPDATE alembic_version SET version_num = '9999'",
            }
            connection.execute(change[fault])
            connection.commit()


async def test_no_backup_of_nothing_and_none_into_nowhere(db: SqliteDatabase, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no database"):
        await backup(f"sqlite:///{tmp_path}/absent.db", tmp_path / "backup.db")
    with pytest.raises(BackupFailed, match="nowhere"):
        await backup(address(tmp_path), tmp_path / "nowhere" / "backup.db")
    assert not (tmp_path / "backup.db").exists()
    assert not leftovers(tmp_path)


async def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed, match=r"pg_dump is not on this machine.*postgresql-client"):
        await backup("postgresql://user@/name", tmp_path / "backup")


# Promises


async def test_a_backup_is_whole_while_hundreds_write(db: SqliteDatabase, tmp_path: Path) -> None:
    await asyncio.gather(*(add(db, f"before{n:03}") for n in range(300)))
    writing = asyncio.gather(*(add(db, f"during{n:04}") for n in range(2000)))
    await backup(address(tmp_path), tmp_path / "backup.db")
    await writing
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600
    assert len(await organizations(db)) == 2300
    await db.close()
    await restore(address(tmp_path), tmp_path / "backup.db")
    assert await current_revision(address(tmp_path)) == HEAD
    again = await SqliteDatabase.open(tmp_path / "gate.db", exclusive=True)
    restored = await organizations(again)
    assert set(restored) >= {f"before{n:03}" for n in range(300)}
    await add(again, "after")
    await again.close()


async def test_restore_brings_back_what_was_and_nothing_later(db: SqliteDatabase, tmp_path: Path) -> None:
    await add(db, "early")
    await backup(address(tmp_path), tmp_path / "backup.db")
    await add(db, "late")
    # As after a crash: the log still holds what came later.
    for name in ("gate.db", "gate.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / f"crashed-{name}")
    await db.close()
    for name in ("gate.db", "gate.db-wal"):
        shutil.move(tmp_path / f"crashed-{name}", tmp_path / name)
    await restore(address(tmp_path), tmp_path / "backup.db")
    again = await SqliteDatabase.open(tmp_path / "gate.db")
    assert await organizations(again) == ["early"]
    await again.close()
    assert stat.S_IMODE((tmp_path / "gate.db").stat().st_mode) == 0o600


async def test_restore_works_where_there_is_no_database_yet(db: SqliteDatabase, tmp_path: Path) -> None:
    await add(db, "early")
    await backup(address(tmp_path), tmp_path / "backup.db")
    await restore(f"sqlite:///{tmp_path}/other.db", tmp_path / "backup.db")
    other = await SqliteDatabase.open(tmp_path / "other.db")
    assert await organizations(other) == ["early"]
    await other.close()


@pytest.mark.skipif(
    not shutil.which("pg_dump") or not shutil.which("pg_restore"), reason="needs pg_dump and pg_restore"
)
async def test_postgresql_is_saved_and_put_back(postgres_dsn: str, tmp_path: Path) -> None:
    await ensure_schema(postgres_dsn)
    db = await PostgresDatabase.open(postgres_dsn)
    await add(db, "early")
    await backup(postgres_dsn, tmp_path / "backup")
    await add(db, "late")
    with pytest.raises(BackupFailed, match="stop it first"):
        await restore(postgres_dsn, tmp_path / "backup")
    await db.close()
    (tmp_path / "broken").write_bytes((tmp_path / "backup").read_bytes()[:100])
    with pytest.raises(BackupUnusable):
        await restore(postgres_dsn, tmp_path / "broken")
    await restore(postgres_dsn, tmp_path / "backup")
    again = await PostgresDatabase.open(postgres_dsn)
    assert await organizations(again) == ["early"]
    await again.close()
