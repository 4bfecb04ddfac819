"""The log: ids in the order of commits, without holes, whatever the clock does."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.parts import caller, within
from wagate.errors import BadRequest, CursorExpired, NotFound
from wagate.gateway import Gateway, events
from wagate.gateway.events import Wish, event_id, number_of
from wagate.model.events import AuthQr
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

DAY = 86_400


async def record(gw: Gateway, who: Caller, *codes: str, session: str = "s") -> None:
    facts: list[events.Fact] = [("auth.qr", AuthQr(code=code)) for code in codes]
    now = gw.clock.now()
    await within(gw, lambda tx: events.record(tx, now, who.organization_id, session_id=session, facts=facts))


async def ids(gw: Gateway, who: Caller) -> list[str]:
    found, _ = await events.read(gw, who, Wish(limit=10_000))
    return [each.id for each in found]


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1))
def test_an_id_holds_its_number(ms: int, number: int) -> None:
    id = event_id(ms, number)
    assert (len(id), number_of(id)) == (30, number)
    assert number == 2**80 - 1 or event_id(ms, number + 1) > id


@pytest.mark.parametrize(
    "id",
    ["", "evt_", "x" * 30, "evt_" + "U" * 26, "evt_" + "8" * 26, "EVT_" + "0" * 26, "evt_01arz3ndektsv4rrffq69g5fav"],
)
def test_what_is_no_id_is_refused(id: str) -> None:
    with pytest.raises(BadRequest):
        number_of(id)


async def test_an_organization_that_is_not_there_has_no_log(gw: Gateway) -> None:
    with pytest.raises(NotFound):
        await record(gw, Caller(organization_id="org_nobody", capabilities=frozenset()), "x")


async def test_ids_grow_also_when_the_clock_is_turned_back(gw: Gateway, who: Caller) -> None:
    for step in (0, -3_600_000, 5, -1, 0, 7_200_000, -86_400_000):
        gw.clock._now += step  # type: ignore[attr-defined]
        await record(gw, who, "a", "b")
    found = await ids(gw, who)
    assert found == sorted(set(found))
    assert [number_of(id) for id in found] == list(range(1, 15))


async def test_many_writers_leave_no_holes(gw: Gateway, who: Caller) -> None:
    other = await caller(gw)
    await asyncio.gather(*(record(gw, each, str(i)) for i in range(50) for each in (who, other)))
    for each in (who, other):
        assert [number_of(id) for id in await ids(gw, each)] == list(range(1, 51))


async def test_what_is_undone_uses_up_no_number(gw: Gateway, who: Caller) -> None:
    async def work(tx: object) -> None:
        await events.record(tx, 1, who.organization_id, session_id="s", facts=[("auth.qr", AuthQr(code="x"))])  # type: ignore[arg-type]
        raise RuntimeError

    await record(gw, who, "a")
    with pytest.raises(RuntimeError):
        await within(gw, work)
    await record(gw, who, "b")
    assert [number_of(id) for id in await ids(gw, who)] == [1, 2]


async def test_a_piece_at_a_time_leaves_after_its_days(gw: Gateway, who: Caller) -> None:
    await record(gw, who, *"abcde")
    await gw.clock.advance(6 * DAY)  # type: ignore[attr-defined]
    await record(gw, who, "f")
    assert await events.expire(gw) == 0
    first = (await ids(gw, who))[0]
    await gw.clock.advance(2 * DAY)  # type: ignore[attr-defined]
    assert [await events.expire(gw, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    (left,) = await ids(gw, who)
    with pytest.raises(CursorExpired) as gone:
        await events.read(gw, who, Wish(after=first))
    assert gone.value.details == {"oldest": left}
    # Whoever has read the fifth misses nothing.
    assert (await events.read(gw, who, Wish(after=event_id(0, 5))))[1] is not None


class Interrupted:
    """A database where the janitor comes in between: behind the first reading."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._came = False

    async def one(self, sql: str, **values: object) -> object:
        return await self._then(await self._gw.db.one(sql, **values))

    async def all(self, sql: str, **values: object) -> object:
        return await self._then(await self._gw.db.all(sql, **values))

    async def _then(self, found: object) -> object:
        if not self._came:
            self._came = True
            while await events.expire(self._gw):
                pass
        return found


async def test_what_leaves_the_log_while_it_is_read_is_told_and_not_skipped(gw: Gateway, who: Caller) -> None:
    await record(gw, who, *"abc")
    first = (await ids(gw, who))[0]
    await gw.clock.advance(6 * DAY)  # type: ignore[attr-defined]
    await record(gw, who, "d")
    await gw.clock.advance(2 * DAY)  # type: ignore[attr-defined]
    with pytest.raises(CursorExpired):
        await events.read(dataclasses.replace(gw, db=Interrupted(gw)), who, Wish(after=first))  # type: ignore[arg-type]


async def test_a_cursor_of_the_future_reads_nothing(gw: Gateway, who: Caller) -> None:
    await record(gw, who, "a")
    far = event_id(2**47, 99)
    assert await events.read(gw, who, Wish(after=far)) == ([], far)


async def test_a_filtered_reader_still_moves_on(gw: Gateway, who: Caller) -> None:
    await record(gw, who, *map(str, range(2500)))
    await record(gw, who, "x", session="other")
    found, cursor = await events.read(gw, who, Wish(limit=1, session_id="other", names=frozenset({"auth.qr"})))
    assert [each.session for each in found] == ["other"]
    assert number_of(cursor) == 2501
    found, cursor = await events.read(gw, who, Wish(limit=5, session_id="nobody"))
    assert (found, number_of(cursor)) == ([], 2501)


async def test_waiting_ends_with_the_commit(gw: Gateway, who: Caller) -> None:
    waiting = asyncio.create_task(events.read_or_wait(gw, who, Wish(), wait=30))
    await asyncio.sleep(0)
    await record(gw, who, "a")
    events.hint(gw, who.organization_id)
    async with asyncio.timeout(60):
        found, _ = await waiting
    assert len(found) == 1
