"""One SQL, two databases: every statement of `gateway/` is understood by both."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.plan.test_sql import statements as written
from tests.support.source import PACKAGE, files
from tests.support.statements import collected, names
from wagate.backends import postgres
from wagate.backends.database import Database
from wagate.backends.migrate import statements as schema
from wagate.backends.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

EVERY = collected()
TEXTS = postgres._Texts()


def test_the_collection_misses_no_statement() -> None:
    """Every SQL text in the sources is a constant of its module: nothing is put together while it runs."""
    known = [" ".join(text.split()) for text in EVERY.values()]
    for path in files(".py", under=PACKAGE / "gateway"):
        for line, text in written(ast.parse(path.read_text())):
            # What cannot be known without running stands as `?`; what stands before and after it must be there.
            parts = [" ".join(part.split()) for part in text.split("?")]
            assert any(all(part in other for part in parts) for other in known), f"{path.name}:{line}"
    assert len(EVERY) > 80


@pytest.fixture(scope="module")
async def sqlite() -> AsyncIterator[Database]:
    db = await SqliteDatabase.open(":memory:")
    await db.script(schema("sqlite"))
    yield db
    await db.close()


async def test_sqlite_takes_every_statement(sqlite: Database) -> None:
    for where, sql in EVERY.items():
        try:
            await sqlite.all("EXPLAIN " + sql, **dict.fromkeys(names(sql), "[]"))
        except Exception as error:
            pytest.fail(f"{where}: {error}\n{sql}")


async def test_postgres_takes_every_statement(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        for statement in schema("postgresql"):
            await connection.execute(statement)
        for where, sql in EVERY.items():
            try:
                text, order = TEXTS[sql]
                prepared = await connection.prepare(text)
            except Exception as error:
                pytest.fail(f"{where}: {error}\n{sql}")
            assert len(prepared.get_parameters()) == len(order)
    finally:
        await connection.close()


def test_parameters_are_named_alike_for_both() -> None:
    for sql in EVERY.values():
        assert set(TEXTS[sql][1]) == set(names(sql))
