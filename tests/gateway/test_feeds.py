"""Feeds: one read for all who watch a log, nobody who misses or repeats, and nobody who holds the others up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from tests.support.parts import caller, opened
from tests.support.readers import record
from wagate.backends.database import Tx
from wagate.errors import CursorExpired, Unauthorized
from wagate.gateway import Gateway, events, feeds, keys
from wagate.gateway.feeds import MOST_BEHIND, Reader, Wanted
from wagate.model.events import AuthQr, Event
from wagate.model.organizations import Caller, CreateKey

pytestmark = pytest.mark.anyio

DAY = 86_400


class Lines:
    """Each event as its code in a line; a lost cursor is told where `tells`."""

    kind = "lines"

    def __init__(self, *, tells: bool = True) -> None:
        self.packed = 0
        self.tells = tells

    def pack(self, event: Event, text: bytes) -> bytes:
        self.packed += 1
        return str(msgspec.json.decode(event.payload)["code"]).encode() + b" "

    def heartbeat(self, now: int) -> bytes:
        return b"beat "

    def lost(self, oldest: str) -> bytes | None:
        return b"lost " if self.tells else None


class Glass:
    """Takes what comes, until it is full."""

    def __init__(self) -> None:
        self.held = b""
        self.full = False

    def write(self, piece: bytes) -> bool:
        if not self.full:
            self.held += piece
        return not self.full

    @property
    def words(self) -> list[str]:
        return self.held.decode().split()


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened() as gateway:
        yield gateway


@pytest.fixture
async def who(gw: Gateway) -> Caller:
    return await caller(gw)


@pytest.fixture
async def watch(gw: Gateway, who: Caller) -> AsyncIterator[Callable[..., object]]:
    """Make readers that run until the test ends."""
    made: list[tuple[Reader, asyncio.Task[object]]] = []

    async def start(
        packing: Lines, wish: Wanted | None = None, *, since: str | None = None, by: Caller = who
    ) -> tuple[Reader, Glass]:
        glass = Glass()
        reader = await feeds.follow(gw, by, wish or Wanted(), packing=packing, outlet=lambda nudge: glass)
        if since is not None:
            reader.position = since
        made.append((reader, asyncio.create_task(reader.run())))
        return reader, glass

    yield start
    for reader, task in made:
        reader.leave()
        await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - whatever it is, it tells nobody
            await asyncio.sleep(0.001)


async def test_a_key_that_is_gone_watches_nothing(gw: Gateway, who: Caller) -> None:
    gone = msgspec.structs.replace(who, key_id="key_gone")
    with pytest.raises(Unauthorized):
        await feeds.follow(gw, gone, Wanted(), packing=Lines(), outlet=lambda nudge: Glass())
    assert not gw.feeds


async def test_an_event_is_packed_once_for_all_who_want_the_same(gw: Gateway, who: Caller, watch: Any) -> None:
    packing = Lines()
    readers = [await watch(packing) for _ in range(20)]
    await until(lambda: all(reader.live for reader, _ in readers))
    await record(gw, who.organization_id, "a", "b")
    await until(lambda: all(glass.words == ["a", "b"] for _, glass in readers))
    assert packing.packed == 2
    assert feeds.count(gw) == {"lines": 20}


async def test_who_is_full_waits_alone_and_catches_up_from_the_log(gw: Gateway, who: Caller, watch: Any) -> None:
    packing = Lines()
    (slow, glass), (_, quick) = await watch(packing), await watch(packing)
    await until(lambda: slow.live)
    glass.full = True
    for number in range(30):
        await record(gw, who.organization_id, str(number))
    await until(lambda: len(quick.words) == 30)
    assert (glass.words, slow.missed) == ([], 30)
    glass.full = False
    slow.nudge()
    await until(lambda: slow.live)
    await record(gw, who.organization_id, "30")
    await until(lambda: len(glass.words) == 31)
    assert glass.words == [str(number) for number in range(31)]
    assert slow.missed == 0


async def test_only_what_is_wanted_counts_as_missed_and_too_much_of_it_ends_a_reader(
    gw: Gateway, who: Caller, watch: Any
) -> None:
    packing = Lines()
    everything, few = await watch(packing), await watch(packing, Wanted(names=frozenset({"auth.code"})))
    await until(lambda: everything[0].live and few[0].live)
    everything[1].full = few[1].full = True
    await record(gw, who.organization_id, "x", name="auth.code")
    await record(gw, who.organization_id, *["y"] * (MOST_BEHIND - 2))
    await until(lambda: everything[0].missed == MOST_BEHIND - 1)
    assert everything[0].ending is None
    await record(gw, who.organization_id, "y")
    await until(lambda: everything[0].ending == "slow")
    assert (few[0].missed, few[0].ending) == (1, None)


async def test_who_replays_more_than_that_is_not_slow(gw: Gateway, who: Caller, watch: Any) -> None:
    await record(gw, who.organization_id, *["x"] * (3 * MOST_BEHIND))
    reader, glass = await watch(Lines(), since="")
    await until(lambda: reader.live)
    assert len(glass.words) == 3 * MOST_BEHIND


async def test_a_position_that_left_the_log_is_told_or_ends_the_reader(gw: Gateway, who: Caller, watch: Any) -> None:
    await record(gw, who.organization_id, "1", "2")
    old, _ = await events.read(gw, who, events.Wish(limit=1))
    await gw.clock.advance(8 * DAY)
    await events.expire(gw)
    await record(gw, who.organization_id, "3", "4")
    _, glass = await watch(Lines(), since=old[0].id)
    silent, nothing = await watch(Lines(tells=False), since=old[0].id)
    await until(lambda: glass.words == ["lost", "3", "4"])
    await until(lambda: silent.ending == "cursor_expired")
    assert nothing.words == []
    with pytest.raises(CursorExpired):
        await silent.feed.after(old[0].id)


async def test_a_lost_hint_costs_a_second_and_no_event(gw: Gateway, who: Caller, watch: Any) -> None:
    reader, glass = await watch(Lines())
    await until(lambda: reader.live)

    async def quiet(tx: Tx) -> None:
        await events.record(
            tx, gw.clock.now(), who.organization_id, session_id="s", facts=[("auth.qr", AuthQr(code="a"))]
        )

    await gw.db.write(quiet)
    await until(lambda: glass.words == ["a"])


async def test_heartbeats_follow_the_clock(gw: Gateway, who: Caller, watch: Any) -> None:
    reader, glass = await watch(Lines())
    await until(lambda: reader.live)
    await asyncio.sleep(0)
    for _ in range(3):
        await gw.clock.advance(20)
    await until(lambda: glass.words == ["beat"] * 3)


async def test_a_key_that_is_revoked_ends_its_readers_and_no_others(gw: Gateway, who: Caller, watch: Any) -> None:
    made = [await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["events"])) for _ in range(2)]
    one, other = [await watch(Lines(), by=msgspec.structs.replace(who, key_id=each.id)) for each in made]
    await keys.revoke(gw, made[0].id)
    await until(lambda: one[0].ending == "revoked")
    assert other[0].ending is None


async def test_a_person_stays_for_an_hour(gw: Gateway, who: Caller, watch: Any) -> None:
    reader, _ = await watch(Lines(), by=msgspec.structs.replace(who, user_id="usr_1"))
    await gw.clock.advance(3599)
    await asyncio.sleep(0.6)
    assert reader.ending is None
    await gw.clock.advance(1)
    await until(lambda: reader.ending == "revoked")


async def test_the_last_who_leaves_ends_the_reading(gw: Gateway, who: Caller, watch: Any) -> None:
    (first, _), (second, _) = await watch(Lines()), await watch(Lines())
    first.leave()
    assert who.organization_id in gw.feeds
    second.leave()
    second.leave()
    assert not gw.feeds


async def test_when_the_process_stops_every_reader_ends(gw: Gateway, who: Caller, watch: Any) -> None:
    reader, _ = await watch(Lines())
    await until(lambda: reader.live)
    gw.broker.publish("closing")
    await until(lambda: reader.ending == "closing")


async def test_a_log_that_cannot_be_read_is_read_later(gw: Gateway, who: Caller, watch: Any) -> None:
    await record(gw, who.organization_id, "1", "2")
    other, _ = await watch(Lines())
    await until(lambda: other.live)
    await gw.db.write(lambda tx: tx.run("ALTER TABLE events RENAME TO elsewhere"))
    reader, glass = await watch(Lines(), since="")
    await asyncio.sleep(0.05)
    assert (reader.ending, glass.words) == (None, [])
    await gw.db.write(lambda tx: tx.run("ALTER TABLE elsewhere RENAME TO events"))
    await until(lambda: glass.words == ["1", "2"])
