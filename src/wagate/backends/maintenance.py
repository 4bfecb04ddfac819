"""Backups: taken while the gateway runs, put back while it does not.

SQLite: the database's own online copy, some pages at a time, into a file beside the target that takes its name once it
is whole and on the disk. PostgreSQL: `pg_dump` and `pg_restore`, where the machine has them. A backup is readable by
its owner alone: it holds what the database holds. Called by the `db` commands.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from wagate.backends.address import MEMORY, sqlite_path
from wagate.backends.migrate import SchemaTooNew
from wagate.backends.migrations import REVISIONS
from wagate.backends.ownership import own

_PAGES = 1024
"""Copied at a time (4 MiB); between two steps writers have their turn."""


class BackupFailed(RuntimeError):
    """Nothing was made or replaced. The message is a sentence for the operator."""


class BackupUnusable(RuntimeError):
    """What was offered is no whole backup of ours; the database is as it was. The message is a sentence."""


async def backup(url: str, target: Path) -> None:
    """Write a whole copy of the database to `target`, replacing it at once; the gateway may run meanwhile.

    Raises:
        BackupFailed: the database is absent, or `target` cannot be written, or `pg_dump` is missing or fails.
    """
    path = sqlite_path(url)
    if path is not None and _is_in_use(Path(path), target):
        raise BackupFailed(f"{target} belongs to the database or its data directory: name another file.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if path is None:
            await _program(url, "pg_dump", "--format=custom", "--no-owner", f"--file={part}")
        else:
            await asyncio.to_thread(_copy, path, part)
        settle(part, target)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"The backup could not be written to {target}: {error}.") from error
    finally:
        remove(part)


def _is_in_use(database: Path, target: Path) -> bool:
    """Whether writing there would replace a file that a gateway lives on, by whatever name it is called."""
    there = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", ".lock")]
    there += [database.with_name(name) for name in ("secret.key", "demo.key")]
    same = any(target.exists() and file.exists() and target.samefile(file) for file in there)
    return same or target.resolve() in [file.resolve() for file in there]


async def restore(url: str, source: Path) -> None:
    """Put a backup in the database's place. All that was written since it was taken is gone.

    An older backup keeps its schema: the next start upgrades it.

    Raises:
        AlreadyServed, BackupFailed: a gateway runs on the database.
        BackupUnusable: `source` is damaged, none of ours, or of a newer version.
    """
    path = sqlite_path(url)
    if path is None:
        await _restore_postgres(url, source)
    else:
        await asyncio.to_thread(_restore_sqlite, Path(path), source)


def _copy(path: str, part: Path) -> None:
    if path == MEMORY or not os.path.exists(path):
        raise BackupFailed(f"There is no database {path}.")
    with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy, pages=_PAGES, sleep=0.01)
        # A copy of a WAL database says that it is one; a single file is easier to carry about.
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()


def _restore_sqlite(path: Path, source: Path) -> None:
    _demand(source)
    ownership = own(path)  # and nobody starts on it meanwhile
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            _copy(str(source), part)
            _check(part, source)
        except sqlite3.Error as error:
            raise BackupUnusable(f"{source} is damaged or no backup: {error}.") from error
        _empty_log(path)
        settle(part, path)
    except OSError as error:
        raise BackupFailed(f"The backup could not be put in the place of {path}: {error}.") from error
    finally:
        remove(part)
        ownership.release()


def _demand(source: Path) -> None:
    if not source.is_file():
        raise BackupUnusable(f"There is no file {source}.")


def _check(part: Path, source: Path) -> None:
    with closing(sqlite3.connect(part)) as copy:
        found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise BackupUnusable(f"{source} is damaged: {found}.")
        if copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
            raise BackupUnusable(f"{source} is not a backup of this gateway.")
        _known(source, [str(row[0]) for row in copy.execute("SELECT version_num FROM alembic_version")])


def _known(source: Path, revisions: list[str]) -> None:
    if len(revisions) != 1:
        raise BackupUnusable(f"{source} is not a backup of this gateway.")
    if revisions[0] not in REVISIONS:
        raise BackupUnusable(f"{source} cannot be used. {SchemaTooNew(revisions[0])}")


def _empty_log(path: Path) -> None:
    """Bring the old database's log home and remove it: beside another file it would be played into that one."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=5)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def settle(part: Path, target: Path) -> None:
    """Give a finished file its name; both are on the disk before this returns."""
    for name, flags in ((part, os.O_RDONLY), (target.parent, os.O_RDONLY | os.O_DIRECTORY)):
        if name is not part:
            os.replace(part, target)
        descriptor = os.open(name, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(part: Path) -> None:
    """Leave nothing of a file that did not get its name."""
    for ending in ("", "-wal", "-shm", "-journal"):
        part.with_name(part.name + ending).unlink(missing_ok=True)


async def _restore_postgres(url: str, source: Path) -> None:
    await asyncio.to_thread(_demand, source)
    if await _connected(url):
        raise BackupFailed("A gateway is connected to this database; stop it first.")
    try:
        table = await _program("", "pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(source))
    except BackupFailed as error:
        raise BackupUnusable(f"{source} is damaged or no backup: {error}") from error
    lines = table.partition("FROM stdin;\n")[2].partition("\n\\.")[0]
    _known(source, lines.split())
    await _program(url, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(source))


async def _connected(url: str) -> bool:
    import asyncpg  # at run time only where PostgreSQL is used

    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise BackupFailed(f"PostgreSQL cannot be reached: {error}.") from error
    try:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'wagate'"
            )
        )
    finally:
        await connection.close()


async def _program(url: str, name: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs and return what it printed; the password goes by the environment, unseen."""
    program = shutil.which(name)
    if program is None:
        raise BackupFailed(f"{name} is not on this machine: install PostgreSQL's client programs (postgresql-client).")
    environment = dict(os.environ)
    target: list[str] = []
    if url:
        parts = urlsplit(url)
        credentials, at, place = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        if password:
            environment["PGPASSWORD"] = unquote(password)
        target = [f"--dbname={urlunsplit(parts._replace(netloc=user + at + place))}"]
    child = await asyncio.create_subprocess_exec(
        program, *target, *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, complaint = await child.communicate()
    if child.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BackupFailed(f"{name} failed: {lines[-1]}")
    return printed.decode(errors="replace")
