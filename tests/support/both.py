"""The gateway's own functions on both databases, without workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.parts import opened, over
from wagate.backends.database import Tx
from wagate.backends.migrate import statements
from wagate.backends.postgres import PostgresDatabase
from wagate.gateway import Gateway

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
"""The parameters of a fixture that asks for `opened_on`."""


@asynccontextmanager
async def opened_on(request: Any) -> AsyncIterator[Gateway]:
    """A gateway on an empty database of the kind that the fixture's parameter names."""
    if request.param == "sqlite":
        async with opened() as gateway:
            yield gateway
        return
    db = await PostgresDatabase.open(request.getfixturevalue("postgres_dsn"))
    try:

        async def create(tx: Tx) -> None:
            for statement in statements("postgresql"):
                await tx.run(statement)

        await db.write(create)
        yield over(db)
    finally:
        await db.close()
