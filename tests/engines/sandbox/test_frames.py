from __future__ import annotations

import pytest

from tests.support.engines import Sandbox, jid, text, until
from tests.support.stores import DictStore
from wagate.engines.base import Receipt
from wagate.engines.sandbox.frames import History, Unsettled
from wagate.engines.sandbox.settings import Bounds

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


def test_the_lowest_unsettled_frame_is_known() -> None:
    unsettled = Unsettled()
    assert unsettled.lowest(9) == 9
    for frame in (4, 5, 4):
        unsettled.hold(frame)
    unsettled.free(4)
    assert unsettled.lowest(9) == 4
    unsettled.free(4)
    assert unsettled.lowest(9) == 5
    unsettled.free(7)
    assert 5 in unsettled


async def test_numbering_goes_on_after_a_crash() -> None:
    store = DictStore()
    history = History(store, Bounds())
    for _ in range(700):
        number, changes = history.next("link", 1)
        await store.put(changes)
    assert number == 700
    again = History(store, Bounds())
    # Only what the last mark does not cover is read.
    assert len(await again.load()) == 700 - 512
    assert again.next("link", 1)[0] == 701


async def test_only_the_newest_is_kept(small: Sandbox) -> None:
    connection, _ = await small.linked("s1", ANN)
    for place in range(1200):
        await connection.send(text(f"W{place}", BEN))
    await small.pass_time(1)
    store = small.stores("org_1")
    await until(lambda: "f/000000000001" not in store.rows)
    frames = [key for key in store.keys if key.startswith("f/")]
    assert 50 <= len(frames) < 1100
    assert len([key for key in store.keys if key.startswith("m/")]) <= len(frames)
    assert await small.shown("W0") == []
    assert len(await small.shown("W1199")) == 1
    await connection.send(text("W0", BEN))
    assert len(await small.shown("W0")) == 1


async def test_a_message_that_is_not_at_hand_is_found(small: Sandbox) -> None:
    connection, _ = await small.linked("s1", ANN)
    first = await connection.send(text("W0", BEN))
    for place in range(1, 20):
        await connection.send(text(f"W{place}", BEN))
    await small.pass_time(1)
    assert await connection.send(text("W0", BEN)) == first
    assert [copy.status for copy in await small.shown("W0")] == ["read"]


async def test_one_id_of_two_authors_is_two_messages(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    await ours.send(text("W1", BEN))
    await theirs.send(text("W1", ANN))
    assert [copy.from_ for copy in await world.shown("W1")] == [jid(ANN), jid(BEN)]


async def test_a_send_is_one_put(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    store = world.stores("org_1")
    puts, keys = store.puts, len(store.keys)
    await connection.send(text("W1", BEN))
    assert (store.puts - puts, len(store.keys) - keys) == (1, 2)


async def test_a_mark_never_passes_what_is_on_its_way(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    # The 256th frame carries a mark; its own receipts, and those of its neighbours, are still to come.
    for place in range(256):
        await connection.send(text(f"W{place}", BEN))
    await world.crash()
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.pass_time(1)
    told = {(wire_id, receipt.status) for receipt in sink.of(Receipt) for wire_id in receipt.wire_ids}
    assert len(told) == 512
