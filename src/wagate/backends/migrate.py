"""The schema's version: read cheaply by whoever starts, brought up to date by a child process.

The gateway's own process loads neither Alembic nor SQLAlchemy: it reads one row, and only if that row is old it runs
`python -m wagate.backends.migrate`, which reads the address from its standard input, because arguments can be read by
everyone on the machine. All versions that are missing go into one transaction. An empty database needs no child: what
all versions say together is printed beside them (`make docs`), and is run here, in a few milliseconds.
Called by bootstrap (serve) and by the `db` commands.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from wagate.backends.address import MEMORY, sqlite_path
from wagate.backends.migrations import HEAD, REVISIONS
from wagate.backends.ownership import create
from wagate.errors import StorageUnavailable

if TYPE_CHECKING:
    import asyncpg  # at run time only where PostgreSQL is used: 6 MB and 40 ms that a gateway on SQLite does not pay

_FAILED = f"The schema could not be upgraded to {HEAD}: "
_SCRIPTS = Path(__file__).parent / "migrations"
_END = ";\n"
_VERSION = "SELECT version_num FROM alembic_version"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('wagate schema'))"

WHOLE = "whole_{}.sql"
"""The file beside the versions, by dialect, that makes an empty database current."""


class SchemaTooNew(RuntimeError):
    """The database was written by a newer version of this program. The message is a sentence for the operator."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database has schema {revision}, this version of wagate knows schemas up to {HEAD}: "
            "install the newer version again, or restore a backup that was made before the upgrade."
        )


class MigrationFailed(RuntimeError):
    """The schema could not be brought up to date, and is as it was. The message says why."""


async def current_revision(url: str) -> str | None:
    """The schema's version, or None where there is none yet. Touches nothing and creates nothing.

    Raises:
        StorageUnavailable: the database cannot be read.
    """
    path = sqlite_path(url)
    if path is None:
        return await _postgres_revision(url)
    try:
        return _sqlite_revision(path)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailable(f"cannot read {path}: {error}") from error


async def ensure_schema(url: str) -> bool:
    """Bring an old or empty database to `HEAD`; whether there was anything to do. Not for a database in memory.

    Raises:
        SchemaTooNew: a newer program wrote it; nothing is touched.
        MigrationFailed: the upgrade failed; nothing is changed.
        StorageUnavailable: the database cannot be read.
    """
    revision = await current_revision(url)
    if is_current(revision):
        return False
    if revision is None:
        await _fill(url)
        return True
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "wagate.backends.migrate",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await child.communicate(url.encode())
    if child.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["it ended without a word"]
        raise MigrationFailed(_FAILED + lines[-1])
    return True


def is_current(revision: str | None) -> bool:
    """Whether this schema is the one we need; False: it is ours to upgrade.

    Raises:
        SchemaTooNew: it is none that we know.
    """
    if revision is not None and revision not in REVISIONS:
        raise SchemaTooNew(revision)
    return revision == HEAD


def statements(dialect: str, *, since: str | None = None) -> list[str]:
    """The statements that lead from version `since`, or from nothing, to `HEAD`, for `sqlite` or `postgresql`.

    Loads Alembic if there is a version to start from. Also makes the tables of a database in memory:
    `await db.script(statements("sqlite"))`.
    """
    if since is not None:
        return versions(dialect, since=since)
    printed = (_SCRIPTS / WHOLE.format(dialect)).read_text(encoding="utf-8")
    return printed.removesuffix(_END).split(_END)


def whole(dialect: str) -> str:
    """What `WHOLE` has to say: the statements of all versions together. Loads Alembic; called by `make docs`."""
    title = "-- Everything that versions/ says to an empty database, printed by `make docs`.\n"
    return title + "".join(statement + _END for statement in versions(dialect))


def versions(dialect: str, *, since: str | None = None) -> list[str]:
    """The statements of the versions after `since` themselves. Loads Alembic."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    sink = _Sink()
    config.attributes.update(dialect=dialect, sink=sink)
    command.upgrade(config, f"{since}:head" if since else "head", sql=True)
    return sink.statements


def upgrade(url: str) -> None:
    """Bring the database to `HEAD` in this process. Called in the child process and by tests."""
    path = sqlite_path(url)
    if path == MEMORY:
        raise ValueError("a database in memory is its own process's")
    if path is None:
        asyncio.run(_upgrade_postgres(url))
    else:
        _upgrade_sqlite(path)


async def _fill(url: str) -> None:
    """Give an empty database its tables, in this process; whoever was quicker is left alone."""
    path = sqlite_path(url)
    try:
        await (_upgrade_postgres(url) if path is None else asyncio.to_thread(_upgrade_sqlite, path))
    except (SchemaTooNew, MigrationFailed):
        raise
    except Exception as error:
        raise MigrationFailed(f"{_FAILED}{type(error).__name__}: {error}") from error


class _Sink:
    """Where Alembic prints: one statement a call, comments between them."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        statement = text.strip().removesuffix(";")
        if statement and not statement.startswith("--"):
            self.statements.append(statement)

    def flush(self) -> None:
        """Nothing is held back."""


def _sqlite_revision(path: str) -> str | None:
    if path == MEMORY or not os.path.exists(path):
        return None
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        return _recorded(connection)


def _recorded(connection: sqlite3.Connection) -> str | None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
        return None
    row = connection.execute(_VERSION).fetchone()
    return str(row[0]) if row else None


async def _postgres_revision(url: str) -> str | None:
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=10, command_timeout=10)
        try:
            return await _recorded_there(connection)
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StorageUnavailable(f"cannot connect to PostgreSQL: {error}") from error


async def _recorded_there(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision = await connection.fetchval(_VERSION)
    return None if revision is None else str(revision)


def _upgrade_sqlite(path: str) -> None:
    create(Path(path))
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # one upgrade at a time: a second finds the work done
        try:
            revision = _recorded(connection)
            if not is_current(revision):
                for statement in statements("sqlite", since=revision):
                    connection.execute(statement).fetchall()
                if broken := connection.execute("PRAGMA foreign_key_check").fetchall():
                    raise MigrationFailed(f"rows of {broken[0][0]} would point to nothing")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


async def _upgrade_postgres(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK)
            revision = await _recorded_there(connection)
            if not is_current(revision):
                for statement in statements("postgresql", since=revision):
                    await connection.execute(statement)
    finally:
        await connection.close()


if __name__ == "__main__":
    upgrade(sys.stdin.read().strip())
