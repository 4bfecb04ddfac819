"""The write-ahead log stays short, whether many commits make it long or few."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from wagate.backends.sqlite import SqliteDatabase
from wagate.backends.sqlite_log import LONG

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO notes (body) VALUES (:body)"


async def moved(file: Path, least: int, write: Any) -> None:
    """Write until the database file itself is so long."""
    deadline = time.monotonic() + 60
    while file.stat().st_size < least:
        assert time.monotonic() < deadline, file.stat().st_size
        await write()
        await asyncio.sleep(0)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "size"), [(1, 100), (64, 64 << 10)], ids=["many small commits", "few large ones"])
async def test_a_long_log_is_moved_while_the_database_is_used(tmp_path: Path, rows: int, size: int) -> None:
    file = tmp_path / "gate.db"
    db = await SqliteDatabase.open(file, exclusive=True)
    try:
        await db.script(["CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"])
        body = "x" * size

        async def write() -> None:
            await db.write(lambda tx: tx.many(ADD, [{"body": body}] * rows))

        await moved(file, 16 << 10, write)
        # It was moved long before this much was written: no commit waited for that.
        assert file.with_name("gate.db-wal").stat().st_size < 3 * LONG
    finally:
        await db.close()
