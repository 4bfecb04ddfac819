"""The process ends at any moment: what was acknowledged is there, and everything is shown once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.support.engines import ORG, Recorder, Sandbox, jid, text
from tests.support.stores import DictStore
from wagate.engines.base import Ack, Arrived, ConnectionLost, Receipt
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    EditContent,
    ImageContent,
    Media,
    ReactionContent,
    RevokeContent,
    Target,
    TextContent,
)
from wagate.model.messages import Outgoing
from wagate.model.sandbox import ListFrames

pytestmark = pytest.mark.anyio

ANN, BEN, ECHO = "9990000001", "9990000002", "9995000001"
SENDS = [(f"W{place}", (BEN, ECHO, "9998000001", "9990000007")[place % 4]) for place in range(12)]


async def work(world: Sandbox, sink: Recorder, acks: dict[str, Ack], said: set[str]) -> None:
    """Send what is not acknowledged yet, over every lost line, while people write to us."""
    connection, _ = await world.open("s1", jid=jid(ANN))
    connection.sink = sink
    await connection.connect()
    for wire_id, to in SENDS:
        while wire_id not in acks:
            try:
                acks[wire_id] = await connection.send(text(wire_id, to))
            except ConnectionLost:
                await connection.connect()
        said.add(await world.say(BEN, jid(ANN)))
        await world.pass_time(0.025)
    await world.pass_time(1)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("puts", range(1, 80, 3))
async def test_a_crash_at_any_put_loses_and_doubles_nothing(puts: int, written: bool) -> None:
    world = await Sandbox().start()
    await world.linked("s1", ANN)
    _, theirs = await world.linked("s2", BEN)
    store = world.stores(ORG)
    store.dies_at, store.written = store.puts + puts, written
    acks: dict[str, Ack] = {}
    said: set[str] = set()
    ours = Recorder()
    working = asyncio.ensure_future(work(world, ours, acks, said))
    dead = asyncio.ensure_future(store.dead.wait())
    await asyncio.wait([working, dead], return_when=asyncio.FIRST_COMPLETED)
    for task in (working, dead):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    before = dict(acks)

    world.stores.scopes[ORG] = DictStore(store.rows)
    await world.crash()
    back, _ = await world.open("s2", jid=jid(BEN))
    back.sink = theirs
    await back.connect()
    await work(world, ours, acks, said)

    assert {wire_id: acks[wire_id] for wire_id in before} == before
    shown = await world.shown()
    copies = [row.wa_message_id for row in shown if row.from_ == jid(ANN)]
    assert sorted(copies) == sorted(wire_id for wire_id, _ in SENDS)
    assert {row.wa_message_id for row in shown if row.from_ == jid(BEN)} >= said
    assert sum(row.from_ == jid(ECHO) for row in shown) == 3
    ordinary = [row.status for row in shown if row.from_ == jid(ANN) and row.recipient != jid(BEN)]
    assert set(ordinary) == {"read"}
    assert {arrived.wire_id for arrived in theirs.of(Arrived) if not arrived.from_me} == {
        wire_id for wire_id, to in SENDS if to == BEN
    }
    frames = (await world.drive(ListFrames(after="", limit=1000))).rows
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    told = {(wire_id, receipt.status) for receipt in ours.of(Receipt) for wire_id in receipt.wire_ids}
    assert told >= {(wire_id, "read") for wire_id, to in SENDS if to != BEN}
    assert told >= {(wire_id, "delivered") for wire_id, _ in SENDS}
    assert {arrived.wire_id for arrived in ours.of(Arrived)} == {
        row.wa_message_id for row in shown if row.recipient == jid(ANN)
    }
    await world.engine.close()


MINE = Target(message_id="W1", from_me=True)
IMAGE = ImageContent(media=Media(id="med_1", mimetype="image/jpeg"))
CHANGED = [
    Outgoing(wire_id=wire_id, chat=jid(ECHO if wire_id == "E1" else BEN), content=content)
    for wire_id, content in (
        ("W1", TextContent(text="one")),
        ("C1", EditContent(target=MINE, text="two")),
        ("C2", ReactionContent(target=MINE, emoji="!")),
        ("A1", AlbumContent(items=[AlbumItem(content=IMAGE, message_id=each) for each in ("A1", "A2")])),
        ("C3", RevokeContent(target=Target(message_id="A2", from_me=True))),
        ("E1", IMAGE),
    )
]


async def change(world: Sandbox, sink: Recorder, acks: dict[str | None, Ack]) -> None:
    """Send what is not acknowledged yet: a text and what becomes of it, an album, a picture."""
    connection, _ = await world.open("s1", jid=jid(ANN))
    connection.sink = sink
    await connection.connect()
    for outgoing in CHANGED:
        if outgoing.wire_id not in acks:
            acks[outgoing.wire_id] = await connection.send(outgoing)
    for _ in range(8):
        await world.pass_time(0.05)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("puts", range(1, 16))
async def test_a_crash_loses_and_doubles_no_change(puts: int, written: bool) -> None:
    world = await Sandbox().start()
    await world.file()
    await world.linked("s1", ANN)
    _, theirs = await world.linked("s2", BEN)
    store = world.stores(ORG)
    store.dies_at, store.written = store.puts + puts, written
    acks: dict[str | None, Ack] = {}
    ours = Recorder()
    working = asyncio.ensure_future(change(world, ours, acks))
    dead = asyncio.ensure_future(store.dead.wait())
    await asyncio.wait([working, dead], return_when=asyncio.FIRST_COMPLETED)
    for task in (working, dead):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    world.stores.scopes[ORG] = DictStore(store.rows)
    await world.crash()
    back, _ = await world.open("s2", jid=jid(BEN))
    back.sink = theirs
    await back.connect()
    await change(world, ours, acks)

    assert acks["A1"].item_ids == ["A1", "A2"]
    shown = {row.wa_message_id: row for row in await world.shown()}
    assert sorted(shown) == ["A1", "A2", "E1", "W1"]
    assert (shown["W1"].content, shown["W1"].edited) == (TextContent(text="two"), True)
    assert [each.emoji for each in shown["W1"].reactions] == ["!"]
    assert (shown["A1"].revoked, shown["A2"].revoked) == (False, True)
    assert [each.sender_jid for each in shown["E1"].reactions] == [jid(ECHO)]
    told = list(dict.fromkeys(arrived.wire_id for arrived in theirs.of(Arrived)))
    assert told == ["W1", "C1", "C2", "A1", "A2", "C3"]
    assert len({arrived.wire_id for arrived in ours.of(Arrived)}) == 1
    assert len(list(world.root.rglob("sandbox-*"))) == 3
    await world.close()
