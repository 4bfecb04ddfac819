from __future__ import annotations

import asyncio
from typing import get_args

import pytest

from tests.support.engines import ORG, Recorder, Sandbox, jid, settle, text, until
from wagate.engines.base import Account, ConnectionLost, LineLost, Receipt
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.errors import StorageUnavailable, Unavailable, UnsupportedByEngine
from wagate.model.actions import Action, SetSubject
from wagate.model.contents import Content
from wagate.model.sandbox import ListFrames

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


async def test_a_network_that_is_not_held_here_cannot_be_reached(world: Sandbox) -> None:
    connection = await world.engine.open(Account(session_id="s1", organization_id="elsewhere"), Recorder())
    with pytest.raises(ConnectionLost):
        await connection.connect()
    with pytest.raises(ConnectionLost):
        await connection.link()
    with pytest.raises(Unavailable):
        await world.sandbox.drive("elsewhere", ListFrames(after="", limit=1))


async def test_an_unknown_action_is_unsupported(world: Sandbox) -> None:
    class Fly(Action, frozen=True, kw_only=True):
        pass

    with pytest.raises(UnsupportedByEngine):
        await world.drive(Fly())


async def test_a_network_that_cannot_be_loaded_can_be_loaded_later(world: Sandbox) -> None:
    store = world.stores("org_2")
    store.full = True
    with pytest.raises(StorageUnavailable):
        await world.sandbox.host("org_2")
    store.full = False
    await world.sandbox.host("org_2")
    assert (await world.sandbox.drive("org_2", ListFrames(after="", limit=1))).rows == []


async def test_organizations_do_not_meet(world: Sandbox) -> None:
    await world.sandbox.host("org_2")
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    assert (await world.sandbox.drive("org_2", ListFrames(after="", limit=9))).rows == []


async def test_release_loses_the_lines_and_keeps_the_state(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.sandbox.release(ORG)
    await world.sandbox.release(ORG)
    assert sink.reports[-1] == LineLost()
    with pytest.raises(ConnectionLost):
        await connection.connect()
    await world.sandbox.host(ORG)
    await connection.connect()
    await world.pass_time(1)
    assert [receipt.status for receipt in sink.of(Receipt)] == ["delivered", "read"]


async def test_close_is_quick_and_leaves_nothing_running(world: Sandbox) -> None:
    await settle()
    before = asyncio.all_tasks()
    for place in range(20):
        connection, _ = await world.linked(f"s{place}", f"99900001{place:02d}")
        await connection.send(text(f"W{place}", BEN))
    waiting, _ = await world.open("linking")
    await waiting.link()
    async with asyncio.timeout(30):
        await world.engine.close()
        await world.engine.close()
    await settle()
    assert asyncio.all_tasks() <= before
    with pytest.raises(Unavailable):
        await world.sandbox.host(ORG)


async def test_idle_connections_run_no_task(world: Sandbox) -> None:
    # Other tests on this loop may have left some, as crashes do, and these may go meanwhile.
    before = asyncio.all_tasks()
    for place in range(50):
        await world.linked(f"s{place}", f"99900001{place:02d}")
    await settle()
    assert not asyncio.all_tasks() - before


async def test_a_seed_gives_the_same_codes() -> None:
    async def story(seed: str) -> list[str]:
        world = Sandbox()
        world.engine = SandboxEngine(world.stores, world.clock, seed=seed)
        await world.start()
        try:
            await world.linked("s1", ANN)
            made = await world.group(ANN, [jid(BEN)])
            return [made.group_jid, made.invite, await world.say(BEN, jid(ANN))]
        finally:
            await world.engine.close()

    assert await story("one") == await story("one")
    assert not set(await story("one")) & set(await story("two"))


async def test_a_second_connection_of_a_session_takes_over(world: Sandbox) -> None:
    first, first_sink = await world.linked("s1", ANN)
    second, second_sink = await world.open("s1", jid=jid(ANN))
    await second.connect()
    with pytest.raises(ConnectionLost):
        await first.send(text("W1", BEN))
    await first.close()
    await world.say(BEN, jid(ANN))
    await until(lambda: second_sink.reports)
    assert not first_sink.reports


@pytest.mark.parametrize("turns", range(6))
async def test_an_action_given_up_is_done_or_not_done(world: Sandbox, turns: int) -> None:
    connection, _ = await world.linked("s1", ANN)
    group = (await world.group(ANN, [jid(BEN)])).group_jid
    acting = asyncio.ensure_future(connection.perform(SetSubject(group=group, subject="Crew")))
    for _ in range(turns):
        await asyncio.sleep(0)
    acting.cancel()
    await asyncio.gather(acting, return_exceptions=True)
    await settle()
    truth = await world.truth(group)
    await world.restart()
    assert await world.truth(group) == truth


async def test_a_dropped_line_does_not_stay_refused_when_the_clock_is_turned_back(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.disturb("s1", "drop", seconds=5)
    world.clock._now -= 3_600_000
    await connection.connect()


def test_everything_that_can_be_said_is_sent() -> None:
    said = {kind.__struct_config__.tag for kind in get_args(Content)}
    assert SandboxEngine.contents == said - {"gone"}
