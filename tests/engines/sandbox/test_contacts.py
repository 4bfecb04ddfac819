"""Whom an account blocks: kept before it counts, and by the account, not by one of its sessions."""

from __future__ import annotations

import pytest

from tests.support.engines import ORG, Sandbox, jid, until
from wagate.engines.base import Arrived
from wagate.errors import StorageUnavailable
from wagate.model.actions import GetAbout, SetBlocked
from wagate.model.sandbox import ListFrames

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


async def test_a_block_that_cannot_be_kept_does_not_count(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    world.stores(ORG).full = True
    with pytest.raises(StorageUnavailable):
        await connection.perform(SetBlocked(person=jid(BEN), blocked=True))
    world.stores(ORG).full = False
    await world.say(BEN, jid(ANN))
    await until(lambda: sink.of(Arrived))


async def test_every_session_of_the_account_is_spared_and_the_network_saw_it_once(world: Sandbox) -> None:
    first, _ = await world.linked("s1", ANN)
    _, sink = await world.linked("s2", ANN)
    for blocked in (True, True, False, False, True):
        await first.perform(SetBlocked(person=jid(BEN), blocked=blocked))
    await world.say(BEN, jid(ANN), "unheard")
    await first.perform(SetBlocked(person=jid(BEN), blocked=False))
    await world.say(BEN, jid(ANN), "heard")
    await until(lambda: sink.of(Arrived))
    assert [arrived.content.text for arrived in sink.of(Arrived)] == ["heard"]  # type: ignore[union-attr]
    frames = (await world.drive(ListFrames(after="", limit=100))).rows
    seen = [frame.kind for frame in frames if frame.kind in ("block", "unblock")]
    assert seen == ["block", "unblock", "block", "unblock"]


async def test_a_blocked_account_is_not_shown_the_about(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    await world.alter(ANN, about="busy")
    await ours.perform(SetBlocked(person=jid(BEN), blocked=True))
    assert (await theirs.perform(GetAbout(person=jid(ANN)))).about == ""
    assert (await ours.perform(GetAbout(person=jid(ANN)))).about == "busy"
