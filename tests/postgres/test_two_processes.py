"""What two processes do to one database in the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
import pytest

from tests.support.parts import caller, held, over, words
from wagate.backends.migrate import statements
from wagate.backends.postgres import PostgresDatabase
from wagate.gateway import Gateway, dispatch, outbox
from wagate.gateway.outbox import Offer
from wagate.model.messages import Ack

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

FRIEND = "9990000002@s.whatsapp.net"
PATIENCE = 60.0


@pytest.fixture
async def beside(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection, who holds things up."""
    connection = await asyncpg.connect(postgres_dsn)
    for statement in statements("postgresql"):
        await connection.execute(statement)
    yield connection
    await connection.close()


@pytest.fixture
async def both(postgres_dsn: str, beside: asyncpg.Connection) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two processes."""
    databases = [await PostgresDatabase.open(postgres_dsn, patience=PATIENCE) for _ in range(2)]
    one, two = (over(cast(Any, db), node=node) for db, node in zip(databases, ("one", "two"), strict=True))
    yield one, two
    for db in databases:
        await db.close()


async def waiting(beside: asyncpg.Connection, count: int, *, unless: asyncio.Future[Any] | None = None) -> None:
    """Until so many connections wait for somebody else's lock, or this is done."""
    asked = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE):
        while await beside.fetchval(asked) < count and not (unless and unless.done()):
            # What is going on is looked at once in a transaction, unless that is forgotten.
            await beside.execute("SELECT pg_stat_clear_snapshot()")


def offer(text: str, key: str | None = None) -> Offer:
    return Offer(chat=FRIEND, content=words(text), mode="async", digest=text, key=key)


async def test_a_key_that_is_used_at_once_for_two_sessions_is_one_send(
    both: tuple[Gateway, Gateway], beside: asyncpg.Connection
) -> None:
    who = await caller(both[0])
    mine = [await held(both[0], who, phone) for phone in ("9990000001", "9990000003")]
    async with asyncio.timeout(PATIENCE), beside.transaction():
        # Both have looked for the key, and neither has written it.
        await beside.execute("LOCK TABLE outbox IN SHARE MODE")
        asked = [outbox.accept(gw, who, session.id, offer("x", "k")) for gw, session in zip(both, mine, strict=True)]
        sends = [asyncio.ensure_future(each) for each in asked]
        await waiting(beside, len(sends))
    first, other = await asyncio.gather(*sends)
    assert first.id == other.id
    assert first.replayed is not other.replayed


async def test_what_is_accepted_while_the_one_before_it_is_settled_has_its_turn(
    both: tuple[Gateway, Gateway], beside: asyncpg.Connection
) -> None:
    one, two = both
    who = await caller(one)
    mine = await held(one, who)
    before = await outbox.accept(one, who, mine.id, offer("before"))
    async with asyncio.timeout(PATIENCE):
        # Whoever accepts with this key has seen what is before it, and waits for us.
        foreign = beside.transaction()
        await foreign.start()
        await beside.execute(
            "INSERT INTO outbox (id, organization_id, session_id, chat_jid, mode, status, content, body_digest,"
            " idempotency_key, created_at) VALUES ('x', $1, 'x', 'x', 'sync', 'sent', '{}', '', 'k', 0)",
            who.organization_id,
        )
        accepting = asyncio.ensure_future(outbox.accept(two, who, mine.id, offer("behind", "k")))
        await waiting(beside, 1)
        settling = asyncio.ensure_future(dispatch.settle(one, mine, before, Ack(wire_id="w", timestamp=1)))
        await waiting(beside, 2, unless=settling)
        await foreign.rollback()
        await settling
        behind = await accepting
    claimed = await dispatch.claim(one, mine, limit=10)
    assert [entry.id for entry in claimed.entries] == [behind.id]
