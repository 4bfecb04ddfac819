"""The tests' own PostgreSQL."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support import postgres as ours

pytestmark = pytest.mark.anyio


async def test_a_database_is_empty_and_nobodys_but_the_tests(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        await connection.execute("CREATE TABLE leftover (id int)")
        assert tables == 0
        assert await connection.fetchval("SHOW listen_addresses") == ""
    finally:
        await connection.close()


async def test_the_next_database_is_another(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        assert await connection.fetchval("SELECT to_regclass('leftover')") is None
    finally:
        await connection.close()


def test_missing_programs_are_named_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(ours, "PLACES", ())
    with pytest.raises(ours.PostgresMissing, match="postgresql"):
        ours.find_programs()
