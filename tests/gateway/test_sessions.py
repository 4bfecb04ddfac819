"""Sessions: whose they are, what is wanted of them, and lists that a limited key may page."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from tests.support.parts import WHOLE, caller, held, log, opened
from wagate.errors import BadRequest, Forbidden, NotFound
from wagate.gateway import Gateway, Window, leases, sessions, webhooks
from wagate.gateway.sessions import Setup
from wagate.model.organizations import Caller
from wagate.model.sessions import CreateSession, UpdateSession
from wagate.model.webhooks import CreateWebhook

pytestmark = pytest.mark.anyio

URL = "http://hooks.test/x"


def limited(who: Caller, *ids: str) -> Caller:
    return Caller(organization_id=who.organization_id, capabilities=who.capabilities, session_ids=frozenset(ids))


async def test_what_is_anothers_is_not_there(gw: Gateway, who: Caller) -> None:
    made = await sessions.create(gw, who, CreateSession())
    for other in (await caller(gw), limited(who, "ses_other"), limited(who)):
        for ask in (sessions.get, sessions.delete, sessions.start, sessions.stop, sessions.restart, sessions.logout,
                    sessions.me, sessions.qr, sessions.begin_linking):  # fmt: skip
            with pytest.raises(NotFound):
                await ask(gw, other, made.id)
        with pytest.raises(NotFound):
            await sessions.update(gw, other, made.id, UpdateSession(label="x"))
    assert await sessions.get(gw, who, made.id) == made


async def test_a_limited_key_makes_no_session(gw: Gateway, who: Caller) -> None:
    with pytest.raises(Forbidden):
        await sessions.create(gw, limited(who), CreateSession())
    with pytest.raises(BadRequest):
        await sessions.create(gw, who, CreateSession(engine="whatsapp"))


@pytest.mark.parametrize("table", ["webhooks", "events"])
async def test_a_session_is_made_whole_or_not_at_all(table: str) -> None:
    async with opened() as gw:
        who = await caller(gw)
        wish, setup = CreateSession(start=True), Setup(remarks="{}", rates=(5, 50), webhook=CreateWebhook(url=URL))
        fails = f"CREATE TRIGGER fails BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'it fails'); END"
        await gw.db.script([fails])  # type: ignore[attr-defined]
        with pytest.raises(Exception, match="it fails"):
            await sessions.create(gw, who, wish, setup=setup)
        for rows in ("sessions", "webhooks", "events"):
            assert await gw.db.all(f"SELECT 1 FROM {rows}") == []
        assert await gw.db.one("SELECT webhooks FROM organizations") == (0,)
        await gw.db.script(["DROP TRIGGER fails"])  # type: ignore[attr-defined]
        made = await sessions.create(gw, who, wish, setup=setup)
        assert (made.status, made.rate_per_min, made.rate_per_hour) == ("starting", 5, 50)
        assert (await webhooks.bound(gw, who))[made.id].url == URL
        assert await sessions.remarks(gw, who) == {made.id: "{}"}


async def test_an_unlinked_session_cannot_run(gw: Gateway, who: Caller) -> None:
    made = await sessions.create(gw, who, CreateSession())
    for ask in (sessions.start, sessions.restart):
        with pytest.raises(BadRequest):
            await ask(gw, who, made.id)
    for quiet in (sessions.stop, sessions.logout):
        assert await quiet(gw, who, made.id) == made
    assert await log(gw, who) == []


async def test_a_limited_key_pages_through_its_own(gw: Gateway, who: Caller) -> None:
    made = sorted([(await sessions.create(gw, who, CreateSession())).id for _ in range(9)])
    mine = limited(who, *made[1::2])

    async def pages(who: Caller, limit: int) -> list[str]:
        seen: list[str] = []
        after: Any = None
        while True:
            rows, after = await sessions.page(gw, who, Window(limit, after))
            seen += [row.id for row in rows]
            if after is None:
                return seen

    for limit in (1, 2, 3, 200):
        assert await pages(who, limit) == made
        assert await pages(mine, limit) == made[1::2]
    assert (await sessions.page(gw, await caller(gw), WHOLE)) == ([], None)


async def test_a_code_is_shown_until_it_expires(gw: Gateway, who: Caller) -> None:
    made = await sessions.create(gw, who, CreateSession(start=True))
    _, (lease,) = await leases.acquire(gw, limit=1)
    with pytest.raises(NotFound):
        await sessions.qr(gw, who, made.id)
    await leases.show_qr(gw, lease, "first", gw.clock.now() + 60_000)
    assert (await sessions.qr(gw, who, made.id)).code == "first"
    await leases.show_qr(gw, lease, "second", gw.clock.now() + 20_000)
    assert (await sessions.qr(gw, who, made.id)).code == "second"
    await gw.clock.advance(20)  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        await sessions.qr(gw, who, made.id)


async def test_logging_out_without_a_worker_is_unconfirmed_and_forgets_the_account(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    gone = await sessions.logout(gw, who, mine.id, timeout=0.01)
    assert (gone.status, gone.status_reason) == ("logged_out", "unlink_unconfirmed")
    assert (gone.phone_number, gone.wa_jid, gone.wa_lid) == (UNSET, UNSET, UNSET)
    assert (await log(gw, who))[-1] == ("session.status", {"status": "logged_out", "reason": "unlink_unconfirmed"})
    with pytest.raises(leases.LeaseLost):
        await leases.set_status(gw, mine, "working")


async def test_sessions_are_counted_by_status(gw: Gateway, who: Caller) -> None:
    await held(gw, who)
    await sessions.create(gw, who, CreateSession())
    assert await sessions.count_by_status(gw) == {
        "stopped": 1, "starting": 0, "scan_qr_code": 0, "working": 1, "failed": 0, "logged_out": 0,
    }  # fmt: skip
    assert await sessions.other_engines(gw, "sandbox") is False
    assert await sessions.other_engines(gw, "whatsapp") is True
