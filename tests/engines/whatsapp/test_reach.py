"""Sessions that cannot connect: one tries for all where nobody can, and all come back when one does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wagate.engines.base import ConnectionLost, LinkEnded, NotTried
from wagate.engines.whatsapp.reach import Reach

pytestmark = pytest.mark.anyio
NEVER = (3600.0, 3600.0)
AT_ONCE = (0.0, 0.0)
PROXY = "http://somebody:secret@127.0.0.1:9"


class Network:
    """What sessions try to reach: `there` or not; who `tried`, and how many did `most` at once."""

    def __init__(self, *, there: bool) -> None:
        self.there = there
        self.tried: list[str] = []
        self.inside = self.most = 0

    def of(self, id: str) -> Any:
        async def go() -> None:
            self.tried.append(id)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await asyncio.sleep(0)
                if not self.there:
                    raise ConnectionLost
            finally:
                self.inside -= 1

        return go


async def rounds() -> None:
    """Let whatever can run do so."""
    for _ in range(200):
        await asyncio.sleep(0)


async def fail(reach: Reach, network: Network, *ids: str) -> None:
    for id in ids:
        with pytest.raises(ConnectionLost):
            await reach.attempt(PROXY, id, network.of(id))


async def test_where_three_cannot_connect_the_others_do_not_try() -> None:
    reach, network = Reach(NEVER), Network(there=False)
    await fail(reach, network, "a", "b", "c")
    others = [asyncio.ensure_future(reach.attempt(PROXY, f"{n}", network.of(f"{n}"))) for n in range(100)]
    await rounds()
    assert network.tried == ["a", "b", "c"]
    other_way = asyncio.ensure_future(reach.attempt(None, "d", Network(there=True).of("d")))
    await asyncio.wait_for(other_way, 30)
    for each in others:
        each.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*others, return_exceptions=True))
    waiting = asyncio.ensure_future(reach.attempt(PROXY, "e", network.of("e")))
    await rounds()
    assert not waiting.done(), "who went away left their turns to others"
    waiting.cancel()


async def test_when_one_is_let_in_all_come_back_a_few_at_a_time() -> None:
    reach, network = Reach(AT_ONCE), Network(there=False)
    await fail(reach, network, "a", "b", "c")
    network.there = True
    ids = [f"{n}" for n in range(100)]
    await asyncio.wait_for(asyncio.gather(*(reach.attempt(PROXY, id, network.of(id)) for id in ids)), 30)
    assert sorted(network.tried[3:]) == sorted(ids)
    assert 1 < network.most <= 8


async def test_while_it_is_down_one_tries_at_a_time_and_each_has_its_turn() -> None:
    reach, network = Reach(AT_ONCE), Network(there=False)
    await fail(reach, network, "a", "b", "c")
    ids = [f"{n}" for n in range(20)]
    tried = asyncio.gather(*(reach.attempt(PROXY, id, network.of(id)) for id in ids), return_exceptions=True)
    ends = await asyncio.wait_for(tried, 30)
    assert all(isinstance(end, ConnectionLost) for end in ends)
    assert network.tried[3:] == ids
    assert network.most == 1


async def test_one_that_never_connects_makes_nobody_wait() -> None:
    reach, network = Reach(NEVER), Network(there=False)
    await fail(reach, network, *["a"] * 50)
    network.there = True
    await asyncio.wait_for(reach.attempt(PROXY, "b", network.of("b")), 30)


async def test_whom_whatsapp_turns_away_has_reached_it() -> None:
    reach, network = Reach(NEVER), Network(there=False)
    await fail(reach, network, "a", "b")

    async def refused() -> None:
        raise LinkEnded("failed", "temp_banned")

    with pytest.raises(LinkEnded):
        await reach.attempt(PROXY, "c", refused)
    await fail(reach, network, "d", "e")
    network.there = True
    await asyncio.wait_for(reach.attempt(PROXY, "f", network.of("f")), 30)


async def test_nobody_waits_for_a_turn_for_ever() -> None:
    reach, network = Reach(NEVER, patience=0.05), Network(there=False)
    await fail(reach, network, "a", "b", "c")
    ends = await asyncio.gather(
        *(reach.attempt(PROXY, f"{n}", network.of(f"{n}")) for n in range(20)), return_exceptions=True
    )
    assert all(isinstance(end, NotTried) for end in ends)
    assert network.tried == ["a", "b", "c"]


async def test_who_waits_takes_the_turn_of_who_waited_no_longer() -> None:
    reach, network = Reach((0.2, 0.2), patience=0.05), Network(there=False)
    await fail(reach, network, "a", "b", "c")
    network.there = True
    async with asyncio.timeout(30):
        while True:
            try:
                await reach.attempt(PROXY, "d", network.of("d"))
            except NotTried:
                continue
            break
    assert network.tried == ["a", "b", "c", "d"]


async def test_changes_are_told_once_and_without_the_proxys_password() -> None:
    from structlog.testing import capture_logs

    with capture_logs() as logs:
        reach, network = Reach(AT_ONCE), Network(there=False)
        await fail(reach, network, *"abc", *"abcdefgh" * 10)
        network.there = True
        await reach.attempt(PROXY, "a", network.of("a"))
    told = [line["event"] for line in logs]
    assert told == [
        "a session cannot connect",
        "a session cannot connect",
        "WhatsApp cannot be reached: one session tries for all",
        "WhatsApp is reached again",
    ]
    assert logs[-1]["tries"] == 83
    assert "secret" not in str(logs)
