"""This machine's data: opened for the gateway, for short commands beside it, and for maintenance.

Called by the package itself and by cli. Adapters of the database are named here only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

from wagate.backends import migrate, migrations
from wagate.backends.address import sqlite_path
from wagate.backends.blobs import DiskBlobs
from wagate.backends.broker import LocalBroker
from wagate.backends.database import Database
from wagate.backends.doors import Closed
from wagate.backends.sqlite import SqliteDatabase
from wagate.bootstrap.files import CannotStart, make_private
from wagate.clock import SystemClock
from wagate.config import Settings
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.engines.whatsapp import stored
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.gateway import EngineFacts, Gateway, Rules, purges


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """The gateway's rules on this machine's data, for a short command beside a running server. Runs nothing.

    Raises:
        CannotStart: there is no database yet, or it is not of this version.
    """
    path = sqlite_path(settings.database_url)
    if path is not None and not Path(path).exists():
        raise CannotStart(f"There is no database at {path} yet: start the gateway once, or run `wagate db upgrade`.")
    if not migrate.is_current(await migrate.current_revision(settings.database_url)):
        raise CannotStart("The database's schema is not this version's: run `wagate db upgrade`.")
    db = await open_database(settings, exclusive=False)
    blobs = DiskBlobs(settings.blobs_folder)
    try:
        yield Gateway(
            db=db, broker=LocalBroker(), clock=SystemClock(), rules=rules(settings), blobs=blobs, http=Closed()
        )
    finally:
        await blobs.close()
        await db.close()


async def database_upgrade(settings: Settings) -> bool:
    """Bring the database to this version's schema; whether there was anything to do."""
    make_private(settings.data_dir)
    return await migrate.ensure_schema(settings.database_url)


async def database_revision(settings: Settings) -> tuple[str | None, str]:
    """The database's schema and this version's."""
    return await migrate.current_revision(settings.database_url), migrations.HEAD


def keys_beside(backup: Path) -> Path:
    """Where the keys of WhatsApp sessions go with a backup of the database."""
    return backup.with_name(f"{backup.name}.keys")


async def database_backup(settings: Settings, target: Path) -> int:
    """Write a whole copy of the database while the gateway may run, and beside it the keys of the sessions that are
    linked on this machine; of how many.

    The keys are copied first: what was linked meanwhile says that its keys are missing, and what was logged out
    meanwhile is removed. The other way round the database would know less than its sessions' keys.

    Raises:
        BackupFailed: as the sentence says; an older backup is still there.
    """
    from wagate.backends import maintenance

    if not target.name or target.is_dir():
        raise maintenance.BackupFailed(f"{target} is a folder: name a file in it.")
    beside = keys_beside(target)
    part = beside.with_name(f".{beside.name}.{os.getpid()}.part")
    try:
        count = await asyncio.to_thread(stored.copy, settings.whatsapp_folder, part)
        if count:
            maintenance.settle(part, beside)
        await maintenance.backup(settings.database_url, target)
        if not count:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise maintenance.BackupFailed(f"The sessions' keys could not be copied to {beside}: {error}.") from error
    finally:
        maintenance.remove(part)
    return count


async def database_restore(settings: Settings, source: Path) -> tuple[list[str], list[str]]:
    """Put a backup in the database's place, and keys where there are none; no gateway may run. The sessions that have
    their keys back, and those that kept the ones they have.

    Raises:
        BackupFailed, BackupUnusable: as the sentence says; of unusable keys it is told once the database is back.
    """
    from wagate.backends import maintenance

    await maintenance.restore(settings.database_url, source)
    beside = keys_beside(source)
    if not beside.exists():
        return [], []
    try:
        make_private(settings.whatsapp_folder)
        return await asyncio.to_thread(stored.put_back, settings.whatsapp_folder, beside)
    except stored.NoBackup as error:
        raise maintenance.BackupUnusable(f"The database is back; the sessions' keys are not: {error}.") from error
    except (OSError, stored.InUse) as error:
        why = str(error) or "a host of them still runs"
        raise maintenance.BackupFailed(f"The database is back; the sessions' keys are not: {why}.") from error


async def orphans(settings: Settings) -> list[str]:
    """The sessions whose keys lie here and that the database does not know.

    Raises:
        CannotStart, WagateError: the database cannot be asked.
    """
    kept = await asyncio.to_thread(stored.sessions, settings.whatsapp_folder)
    if not kept:
        return []
    async with open_gateway(settings) as gw:
        return await purges.unknown(gw, kept)


async def open_database(settings: Settings, *, exclusive: bool) -> Database:
    """The database that the settings name. `exclusive`: this process serves it, and no other may; on PostgreSQL no
    other of this name.

    Raises:
        AlreadyServed: another process does.
        StorageUnavailable: it cannot be opened.
    """
    path = sqlite_path(settings.database_url)
    if path is not None:
        return await SqliteDatabase.open(path, exclusive=exclusive)
    # Loaded only where it is used: the driver costs 6 MB and 40 ms.
    from wagate.backends.postgres import PostgresDatabase

    name = settings.node_id if exclusive else ""
    return cast(Database, await PostgresDatabase.open(settings.database_url, name=name))


def rules(settings: Settings) -> Rules:
    """The operator's choices as the gateway knows them."""
    facts: dict[str, EngineFacts] = {}
    if settings.sandbox:
        facts["sandbox"] = EngineFacts(
            name="sandbox",
            contents=SandboxEngine.contents,
            actions=frozenset(action.__name__ for action in SandboxEngine.actions),
            chooses_wire_id=SandboxEngine.promises.chooses_wire_id,
            hosts_networks=True,
        )
    if settings.whatsapp:
        facts["whatsapp"] = EngineFacts(
            name="whatsapp",
            contents=WhatsAppEngine.contents,
            actions=frozenset(action.__name__ for action in WhatsAppEngine.actions),
            chooses_wire_id=WhatsAppEngine.promises.chooses_wire_id,
            hosts_networks=False,
            takes_proxy=True,
        )
    return Rules(
        node=settings.node_id,
        default_engine=settings.engine,
        send_timeout=settings.send_timeout,
        rate_per_min=settings.default_rate_per_min,
        rate_per_hour=settings.default_rate_per_hour,
        auto_read=settings.auto_read,
        event_days=settings.event_days,
        media_days=settings.media_days,
        media_fetch=cast(Any, settings.media_fetch),
        engines=facts,
    )
