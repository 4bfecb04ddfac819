"""First contacts that wait: on PostgreSQL as on SQLite, where tests/workers/test_newcomers.py tells the stories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.gateway.conftest import mine, who
from tests.support.both import opened_on
from tests.support.statements import collected
from tests.workers import test_newcomers as stories
from wagate.backends import postgres as adapter
from wagate.gateway import Gateway
from wagate.gateway.leases import Held
from wagate.model.organizations import Caller

__all__ = ["mine", "who"]

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

STATEMENTS = {"dispatch._CLAIM_KNOWN", "dispatch._CLAIM_KNOWN_PAID", "dispatch._KNOWS", "dispatch._PUT_BACK"}
STATEMENTS |= {"waits._STRANGERS", "waits._HOLD", "waits._BANNED", "waits._BAN"}
"""What only these stories run; test_journey.py, which may run in another process, leaves it out."""


@pytest.fixture(params=["postgres"])
async def gw(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "story",
    [
        stories.test_first_contacts_wait_and_known_chats_go_on_until_the_hour_is_over,
        stories.test_the_next_holder_knows_of_the_lock_and_of_its_end,
        stories.test_until_when_a_ban_lasts_is_told_to_who_asks_for_something,
        stories.test_the_budget_is_kept_while_first_contacts_wait,
        stories.test_who_waits_for_an_answer_gets_the_refusal_without_the_network,
    ],
)
async def test_it_is_the_same_here(
    story: Callable[[Gateway, Caller, Held], Awaitable[None]], gw: Gateway, who: Caller, mine: Held
) -> None:
    await story(gw, who, mine)


def test_its_statements_were_run() -> None:
    every = collected()
    assert {name for name in STATEMENTS if every[name] not in set(adapter._texts)} == set()
