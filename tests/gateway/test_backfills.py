"""Backfills: one at a time, finished by the snapshot that is stored next, also after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.both import BOTH, opened_on
from tests.support.parts import WHOLE, caller, held
from wagate.engines.base import Snapshot
from wagate.errors import Conflict, NoAnswer, NotFound, SessionNotConnected
from wagate.gateway import Gateway, Window, backfills, groups, leases, sessions
from wagate.gateway.leases import Held
from wagate.model.contacts import Person
from wagate.model.groups import GroupSeen, Participant
from wagate.model.organizations import Caller
from wagate.workers import inbox

pytestmark = pytest.mark.anyio

ANN = Person(jid="9990000002@s.whatsapp.net", lid="777000000000002@lid")
GROUP = GroupSeen(
    group_jid="120363000000000001@g.us", subject="g", description="", is_announce=False, is_locked=False,
    members=[Participant(person=ANN, role="member")],
)  # fmt: skip


@pytest.fixture(params=BOTH)
async def gw(request: Any) -> AsyncIterator[Gateway]:
    async with opened_on(request) as gateway:
        yield gateway


async def test_what_is_not_there_or_not_connected_is_refused(gw: Gateway, who: Caller, mine: Held) -> None:
    with pytest.raises(NotFound):
        await backfills.start(gw, "ses_no")
    for session in ("ses_no", mine.id):
        with pytest.raises(NotFound):
            await backfills.get(gw, session)
    await sessions.stop(gw, who, mine.id)
    with pytest.raises(SessionNotConnected):
        await backfills.start(gw, mine.id)


async def test_one_runs_at_a_time_and_the_next_snapshot_finishes_it(gw: Gateway, who: Caller, mine: Held) -> None:
    hints: list[bytes] = []
    gw.broker.subscribe(f"backfill.{mine.id}", hints.append)
    job = await backfills.start(gw, mine.id)
    assert (job.status, job.session_id, job.organization_id) == ("running", mine.id, mine.organization_id)
    assert len(hints) == 1
    assert await backfills.waiting(gw) == [mine.id]
    with pytest.raises(Conflict):
        await backfills.start(gw, mine.id)
    assert await backfills.get(gw, mine.id) == job
    await inbox.keep(gw, mine, Snapshot(groups=[GROUP], people=[ANN]))
    done = await backfills.get(gw, mine.id)
    assert (done.id, done.status, done.contacts, done.groups, done.group_members) == (job.id, "succeeded", 1, 1, 1)
    assert done.finished_at == gw.clock.now()
    assert await backfills.waiting(gw) == []
    assert (await groups.get(gw, who, mine.id, GROUP.group_jid)).participant_count == 1
    again = await backfills.start(gw, mine.id)
    assert (again.status, again.contacts, again.finished_at or None) == ("running", 0, None)
    assert again.id != job.id


async def test_an_empty_snapshot_finishes_it_too(gw: Gateway, mine: Held) -> None:
    await backfills.start(gw, mine.id)
    await inbox.keep(gw, mine, Snapshot(groups=[], people=[]))
    assert (await backfills.get(gw, mine.id)).status == "succeeded"


async def test_a_failure_is_told_and_ends_it(gw: Gateway, mine: Held) -> None:
    await backfills.start(gw, mine.id)
    await backfills.fail(gw, mine, NoAnswer())
    job = await backfills.get(gw, mine.id)
    assert (job.status, job.error) == ("failed", "WhatsApp did not answer in time")
    assert (await backfills.start(gw, mine.id)).status == "running"


async def test_who_lost_the_lease_ends_nothing(gw: Gateway, mine: Held) -> None:
    await backfills.start(gw, mine.id)
    stale: Any = Held(**{**{f: getattr(mine, f) for f in mine.__struct_fields__}, "epoch": mine.epoch - 1})
    with pytest.raises(leases.LeaseLost):
        await backfills.fail(gw, stale, NoAnswer())
    with pytest.raises(leases.LeaseLost):
        await inbox.keep(gw, stale, Snapshot(groups=[], people=[]))
    assert (await backfills.get(gw, mine.id)).status == "running"


async def test_the_platform_sees_the_sessions_of_all(gw: Gateway, who: Caller, mine: Held) -> None:
    other = await held(gw, await caller(gw), "9990000009")
    rows, following = await sessions.page_of_all(gw, WHOLE)
    assert ({row.id for row in rows}, following) == ({mine.id, other.id}, None)
    first, following = await sessions.page_of_all(gw, Window(1))
    rest, end = await sessions.page_of_all(gw, Window(1, following))
    assert (first + rest, end) == (rows, None)
