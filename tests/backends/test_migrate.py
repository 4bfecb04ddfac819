"""A database of any released schema comes up to date; one from the future is left alone."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_mock_engine

from wagate.backends import migrate
from wagate.backends.migrate import MigrationFailed, SchemaTooNew, current_revision, ensure_schema, statements
from wagate.backends.migrations import HEAD, REVISIONS
from wagate.backends.schema import metadata
from wagate.backends.sqlite import SqliteDatabase
from wagate.errors import StorageUnavailable

pytestmark = pytest.mark.anyio

SCRIPTS = Path(migrate.__file__).parent / "migrations"
FIXTURES = Path(__file__).parent / "fixtures"
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)


@pytest.fixture(params=["sqlite", POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return f"sqlite:///{tmp_path}/gate.db"


async def execute(url: str, *scripts: str) -> None:
    """Run scripts by the plain driver."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            for script in scripts:
                connection.executescript(script)
        return
    there = await asyncpg.connect(url)
    for script in scripts:
        await there.execute(script)
    await there.close()


async def shape(url: str) -> list[Any]:
    """Every table's columns, keys and indexes, as the database itself tells them."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version' ORDER BY name"
            found: list[Any] = []
            for (name,) in connection.execute(names).fetchall():
                found += [(name, *row) for row in connection.execute(f"PRAGMA table_xinfo({name})")]
                found += [(name, *row) for row in connection.execute(f"PRAGMA foreign_key_list({name})")]
                found += connection.execute("SELECT wr, strict FROM pragma_table_list(?)", (name,)).fetchall()
            indexes = (
                "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name <> ? ORDER BY name"
            )
            return found + connection.execute(indexes, ("alembic_version",)).fetchall()
    there = await asyncpg.connect(url)
    columns = await there.fetch(
        "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, collation_name"
        " FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 3"
    )
    indexes_there = await there.fetch(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
    )
    constraints = await there.fetch(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass ORDER BY 1, 2"
    )
    await there.close()
    return [*map(tuple, columns), *map(tuple, indexes_there), *map(tuple, constraints)]


def declared(dialect: str) -> list[str]:
    """The statements that make the tables of schema.py."""
    printed: list[str] = []
    engine = create_mock_engine(
        f"{dialect}://", lambda sql, *_, **__: printed.append(str(sql.compile(dialect=engine.dialect)))
    )
    metadata.create_all(engine, checkfirst=False)
    return printed


def released() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()][::-1]


# Refusals


@pytest.mark.parametrize("revision", ["9999", "another-program"])
async def test_a_schema_from_the_future_is_refused_and_untouched(url: str, revision: str) -> None:
    await ensure_schema(url)
    await execute(url, f"UPDATE alembic_version SET version_num = '{revision}'")
    before = await shape(url)
    with pytest.raises(SchemaTooNew, match=f"{revision}.*newer version"):
        await ensure_schema(url)
    with pytest.raises(SchemaTooNew):
        await asyncio.to_thread(migrate.upgrade, url)
    assert await shape(url) == before
    assert await current_revision(url) == revision


@pytest.mark.parametrize("since", [None, "0001"])
async def test_a_failed_upgrade_leaves_the_database_as_it_was(url: str, since: str | None) -> None:
    await begin(url, since)
    # Somebody else's table stands where the last of ours belongs.
    last = [name for name in metadata.tables if name not in await tables(url)][-1]
    await execute(url, f"CREATE TABLE {last} (mine TEXT)")
    before = await tables(url)
    with pytest.raises(MigrationFailed, match=last):
        await ensure_schema(url)
    assert await tables(url) == before
    assert await current_revision(url) == since


async def begin(url: str, revision: str | None) -> None:
    """Bring an empty database to an old version, or leave it empty."""
    if revision is not None:
        dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
        steps = statements(dialect)[: -len(statements(dialect, since=revision))]
        await execute(url, *(f"{each};" for each in steps))


async def tables(url: str) -> list[str]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    there = await asyncpg.connect(url)
    rows = await there.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    await there.close()
    return [row[0] for row in rows]


async def test_what_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "gate.db").write_text("no database " * 100)
    with pytest.raises(StorageUnavailable, match=r"gate\.db"):
        await ensure_schema(f"sqlite:///{tmp_path}/gate.db")
    with pytest.raises(StorageUnavailable, match="PostgreSQL"):
        await ensure_schema(f"postgresql://nobody@/nothing?host={tmp_path}")


async def test_asking_creates_nothing(tmp_path: Path) -> None:
    assert await current_revision(f"sqlite:///{tmp_path}/gate.db") is None
    assert list(tmp_path.iterdir()) == []


# Promises


async def test_an_empty_database_gets_exactly_the_declared_tables(url: str) -> None:
    assert await ensure_schema(url) is True
    assert await current_revision(url) == HEAD
    assert await ensure_schema(url) is False
    migrated = await shape(url)
    assert {row[0] for row in migrated} >= set(metadata.tables)

    everything = ", ".join(f'"{name}"' for name in metadata.tables)
    if url.startswith("sqlite"):
        other = url.replace("gate.db", "declared.db")
        await execute(other, *declared("sqlite"))
        assert await shape(other) == migrated
    else:
        await execute(url, f"DROP TABLE {everything}", *declared("postgresql"))
        assert await shape(url) == migrated


@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_released_schema_upgrades_and_keeps_its_rows(revision: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gate.db"
    await execute(url, (FIXTURES / f"schema_{revision}.sql").read_text())
    assert await current_revision(url) == revision
    assert await ensure_schema(url) is (revision != HEAD)
    assert await current_revision(url) == HEAD
    db = await SqliteDatabase.open(tmp_path / "gate.db")
    assert await db.all("SELECT id, name FROM organizations") == [("org_fixture", "Fixture")]
    assert await db.all("SELECT id FROM events WHERE organization_id = 'org_fixture'") != []
    await db.close()
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    await ensure_schema(fresh)
    assert await shape(url) == await shape(fresh)


@pytest.mark.parametrize("since", [None, "0001"])
async def test_two_who_start_at_once_upgrade_once(url: str, since: str | None) -> None:
    await begin(url, since)
    results = await asyncio.gather(ensure_schema(url), ensure_schema(url))
    assert True in results
    assert await current_revision(url) == HEAD


async def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    await ensure_schema(f"sqlite:///{tmp_path}/gate.db")
    assert stat.S_IMODE((tmp_path / "gate.db").stat().st_mode) == 0o600


async def test_a_database_in_memory_gets_the_same_tables() -> None:
    db = await SqliteDatabase.open(":memory:")
    await db.script(statements("sqlite"))
    assert await db.all("SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert await db.all("SELECT * FROM organizations") == []
    await db.close()


def test_the_list_of_versions_is_the_scripts_own() -> None:
    assert list(REVISIONS) == released()
    assert released()[-1] == HEAD


def test_every_version_has_a_fixture_and_every_fixture_a_version() -> None:
    assert sorted(path.stem for path in FIXTURES.glob("schema_*.sql")) == [
        f"schema_{name}" for name in sorted(REVISIONS)
    ]


def test_versions_only_go_forward_and_read_nothing() -> None:
    for path in (SCRIPTS / "versions").glob("*.py"):
        source = path.read_text()
        assert "def downgrade" not in source
        assert not re.search(r"get_bind|create_all|import wagate|from wagate", source)


def test_rules_are_checked_at_once() -> None:
    # A rule that is checked at the commit would fail all who share it.
    for table in metadata.tables.values():
        assert not any(constraint.deferrable for constraint in table.constraints)


def test_the_gateways_own_process_loads_neither_alembic_nor_a_driver_it_does_not_use(tmp_path: Path) -> None:
    # Not even to fill an empty database, and for an old one it has a child.
    for name, script in (("empty.db", ""), ("old.db", (FIXTURES / "schema_0001.sql").read_text())):
        sqlite3.connect(tmp_path / name).executescript(script).connection.close()
    code = (
        "import asyncio, sys, wagate.backends.migrate as it, wagate.backends.sqlite, wagate.backends.maintenance\n"
        "for name in sys.argv[1:]: assert asyncio.run(it.ensure_schema('sqlite:///' + name))\n"
        "print(*sys.modules)"
    )
    asked = [sys.executable, "-c", code, tmp_path / "empty.db", tmp_path / "old.db"]
    loaded = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert not {"alembic", "sqlalchemy", "asyncpg"} & set(loaded)


BEFORE_CONTACTS_WERE_SEARCHED = """
INSERT INTO chats (organization_id, session_id, jid, last_message_at) VALUES
  ('o', 's', '9990000001@s.whatsapp.net', 5), ('o', 's', '123@lid', 6), ('o', 's', '120363@g.us', 7),
  ('o', 's', '9990000002@s.whatsapp.net', 8);
INSERT INTO contacts (organization_id, session_id, jid, lid, push_name, first_seen_at, updated_at) VALUES
  ('o', 's', '9990000002@s.whatsapp.net', '222@lid', 'Bob', 1, 1);
INSERT INTO members (organization_id, session_id, group_jid, jid, lid, role, first_seen_at, last_seen_at) VALUES
  ('o', 's', '120363@g.us', '9990000002@s.whatsapp.net', '222@lid', 'member', 2, 3),
  ('o', 's', '120363@g.us', '9990000003@s.whatsapp.net', '333@lid', 'member', 2, 3),
  ('o', 's', '120364@g.us', '9990000003@s.whatsapp.net', '333@lid', 'member', 2, 3);
"""


async def test_people_of_chats_and_groups_become_contacts(url: str) -> None:
    dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
    later = statements(dialect, since="0001")
    first = statements(dialect)[: -len(later)]
    await execute(url, *(f"{each};" for each in first), BEFORE_CONTACTS_WERE_SEARCHED, *(f"{each};" for each in later))
    question = "SELECT jid, lid, direct, grouped, search FROM contacts ORDER BY COALESCE(jid, lid)"
    if dialect == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            found = connection.execute(question).fetchall()
    else:
        there = await asyncpg.connect(url)
        found = [tuple(row) for row in await there.fetch(question)]
        await there.close()
    assert sorted(found, key=lambda row: row[4]) == [
        (None, "123@lid", 1, 0, " "),
        ("9990000001@s.whatsapp.net", None, 1, 0, " 9990000001"),
        ("9990000003@s.whatsapp.net", "333@lid", 0, 1, " 9990000003"),
        ("9990000002@s.whatsapp.net", "222@lid", 1, 1, "bob 9990000002"),
    ]
