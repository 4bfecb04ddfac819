"""Leases: one holder at a time, and only the holder writes."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.parts import beside, held, log, within
from wagate.gateway import Gateway, leases, sessions
from wagate.gateway.leases import LeaseLost
from wagate.model.organizations import Caller
from wagate.model.sessions import CreateSession, Pairing

pytestmark = pytest.mark.anyio


async def test_what_is_held_is_not_taken(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    other = beside(gw, "other")
    assert await leases.acquire(other, limit=10) == ([], [])
    assert await leases.look(other, mine.id) is None
    await gw.clock.advance(29)  # type: ignore[attr-defined]
    assert await leases.acquire(other, limit=10) == ([], [])


async def test_a_lease_that_ran_out_is_taken_with_its_network_and_a_greater_epoch(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    other = beside(gw, "other")
    await gw.clock.advance(31)  # type: ignore[attr-defined]
    networks, taken = await leases.acquire(other, limit=10)
    assert networks == [who.organization_id]
    (theirs,) = taken
    assert (theirs.id, theirs.epoch) == (mine.id, mine.epoch + 1)
    assert (await sessions.get(gw, who, mine.id)).gateway_id == "other"
    assert await leases.extend(gw) == ([], [])


async def test_who_lost_the_lease_cannot_write(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    await gw.clock.advance(31)  # type: ignore[attr-defined]
    await leases.acquire(beside(gw, "other"), limit=10)
    before = await log(gw, who)
    for write in (
        lambda: leases.set_status(gw, mine, "failed", reason="replaced", wanted="none"),
        lambda: leases.show_qr(gw, mine, "x", 0),
        lambda: leases.linked(gw, mine, Pairing(jid="9990000002@s.whatsapp.net"), phone_number="9990000002"),
        lambda: leases.unlinked(gw, mine, reason="unlinked"),
        lambda: within(gw, lambda tx: leases.fence(tx, mine)),
    ):
        with pytest.raises(LeaseLost):
            await write()
    await leases.release(gw, mine)
    assert (await sessions.get(gw, who, mine.id)).status == "working"
    assert await leases.look(beside(gw, "other"), mine.id) is not None
    assert await log(gw, who) == before


async def test_extending_keeps_it(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    for _ in range(5):
        await gw.clock.advance(20)  # type: ignore[attr-defined]
        kept, networks = await leases.extend(gw)
        assert ([lease.id for lease in kept], networks) == ([mine.id], [who.organization_id])
        assert await leases.acquire(beside(gw, "other"), limit=10) == ([], [])


async def test_what_was_let_go_is_taken_at_once(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    await leases.release(gw, mine)
    other = beside(gw, "other")
    assert await leases.acquire(other, limit=10) == ([], [])  # its network is still ours
    _, taken = await leases.acquire(gw, limit=10)
    assert [lease.id for lease in taken] == [mine.id]


async def test_a_session_goes_where_its_network_is(gw: Gateway, who: Caller) -> None:
    await leases.need_network(gw, who.organization_id)
    other = beside(gw, "other")
    assert (await leases.acquire(other, limit=10))[0] == [who.organization_id]
    made = await sessions.create(gw, who, CreateSession(start=True))
    assert await leases.acquire(gw, limit=10) == ([], [])
    _, taken = await leases.acquire(other, limit=10)
    assert [lease.id for lease in taken] == [made.id]


async def test_what_nobody_wants_is_not_taken(gw: Gateway, who: Caller) -> None:
    await sessions.create(gw, who, CreateSession())
    assert await leases.acquire(gw, limit=10) == ([], [])


async def test_what_no_engine_here_serves_is_left_alone(gw: Gateway, who: Caller) -> None:
    await sessions.create(gw, who, CreateSession(start=True))
    bare = dataclasses.replace(gw, rules=dataclasses.replace(gw.rules, engines={}))
    assert await leases.acquire(bare, limit=10) == ([], [])


async def test_a_clock_turned_back_does_not_keep_a_lease_for_ever(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    gw.clock._now -= 3_600_000  # type: ignore[attr-defined]
    other = beside(gw, "other")
    networks, taken = await leases.acquire(other, limit=10)
    assert (networks, [lease.id for lease in taken]) == ([who.organization_id], [mine.id])


async def test_a_worker_that_starts_anew_holds_nothing(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    await leases.reap(beside(gw, "other"), everyone=False)
    assert await leases.look(gw, mine.id) is not None
    await leases.reap(gw, everyone=False)
    assert await leases.look(gw, mine.id) is None
    await leases.acquire(gw, limit=10)
    await leases.reap(beside(gw, "other"), everyone=True)
    assert await leases.look(gw, mine.id) is None


async def test_a_restart_is_taken_up_as_a_run(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    await sessions.restart(gw, who, mine.id)
    assert (await leases.look(gw, mine.id)).wanted == "restart"  # type: ignore[union-attr]
    with pytest.raises(LeaseLost):
        await leases.set_status(gw, mine, "working")
    await leases.release(gw, mine)
    _, (again,) = await leases.acquire(gw, limit=10)
    assert (again.wanted, again.epoch) == ("run", mine.epoch + 1)


async def test_what_is_not_wanted_any_more_cannot_be_said_to_work(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    await sessions.stop(gw, who, mine.id)
    with pytest.raises(LeaseLost):
        await leases.set_status(gw, mine, "working")
    assert (await sessions.get(gw, who, mine.id)).status == "stopped"


async def test_every_change_of_status_is_an_event_and_no_repeat_is(gw: Gateway, who: Caller) -> None:
    mine = await held(gw, who)
    await leases.set_status(gw, mine, "working")
    await leases.set_status(gw, mine, "starting")
    await leases.set_status(gw, mine, "failed", reason="replaced", wanted="none")
    told = [payload for name, payload in await log(gw, who) if name == "session.status"]
    assert told == [
        {"status": "starting"}, {"status": "scan_qr_code"}, {"status": "starting"}, {"status": "working"},
        {"status": "starting"}, {"status": "failed", "reason": "replaced"},
    ]  # fmt: skip
