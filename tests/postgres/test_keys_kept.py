"""What is kept of sessions on this machine, beside what the database knows of them: on PostgreSQL as on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.conftest import mine, who
from tests.support.both import BOTH, opened_on
from tests.support.parts import within
from tests.support.statements import collected
from wagate.backends import postgres as adapter
from wagate.gateway import Gateway, purges
from wagate.gateway.leases import Held

__all__ = ["mine", "who"]

pytestmark = pytest.mark.anyio

STATEMENTS = {"purges._IN_VAIN", "purges._UNKNOWN"}
"""What only this story runs; test_journey.py, which may run in another process, leaves it out."""


@pytest.fixture(params=BOTH)
async def gw(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


async def test_what_is_kept_in_vain_is_what_is_logged_out_and_held_by_nobody(gw: Gateway, mine: Held) -> None:
    kept = [mine.id, "ses_nobodys"]
    assert await purges.unknown(gw, kept) == ["ses_nobodys"]
    assert await purges.kept_in_vain(gw, "sandbox", kept) == []
    await within(gw, lambda tx: tx.run("UPDATE sessions SET status = 'logged_out', wanted = 'none', holder = NULL"))
    assert await purges.kept_in_vain(gw, "whatsapp", kept) == []
    assert [each.session_id for each in await purges.kept_in_vain(gw, "sandbox", kept)] == [mine.id]


@pytest.mark.postgres
def test_its_statements_were_run() -> None:
    every = collected()
    assert {name for name in STATEMENTS if every[name] not in set(adapter._texts)} == set()
