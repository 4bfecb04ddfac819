"""A session's life with a network that does not do as it should: it is never told twice, and works as far as it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.engines import settle
from tests.support.parts import log, words
from wagate.clock import ManualClock
from wagate.engines import base
from wagate.errors import RateLimited
from wagate.gateway import Gateway, outbox, sessions
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry, Offer
from wagate.model.groups import GroupSeen
from wagate.model.messages import Ack, Outgoing
from wagate.model.organizations import Caller
from wagate.workers.runner import Runner

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

CHAT = "9990000002@s.whatsapp.net"


class Network:
    """An engine, and its only connection: lets everybody in when `may_connect`, and chooses the ids by itself."""

    name = "sandbox"
    promises = base.Promises(chooses_wire_id=False, acks_after_commit=False)

    def __init__(self) -> None:
        self.may_connect = asyncio.Event()
        self.may_connect.set()
        self.busy = 0
        self.groups: list[GroupSeen] = []
        self.looks = 0
        self.connects = 0
        self.timestamp = 1_800_000_000_000
        self.sent: list[str] = []

    async def open(self, account: base.Account, sink: base.Sink) -> Network:
        self.sink = sink
        return self

    async def connect(self) -> None:
        self.connects += 1
        await self.may_connect.wait()

    async def snapshot(self) -> base.Snapshot:
        self.looks += 1
        if self.busy:
            self.busy -= 1
            raise RateLimited(waCode=429)
        return base.Snapshot(groups=self.groups, people=[])

    async def send(self, outgoing: Outgoing) -> Ack:
        self.sent.append(outgoing.content.text)  # type: ignore[union-attr]
        return Ack(wire_id=f"W{len(self.sent)}", timestamp=self.timestamp)

    async def close(self) -> None:
        """Nothing is kept open."""


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def runner(gw: Gateway, mine: Held, network: Network) -> AsyncIterator[Runner]:
    made = Runner(gw, network, mine)  # type: ignore[arg-type]
    task = asyncio.ensure_future(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(gw: Gateway, condition: Any) -> None:
    """As for everybody, and the gateway's clock goes on meanwhile."""
    async with asyncio.timeout(60):
        while not await condition():
            await gw.clock.advance(1)  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)


async def accepted(gw: Gateway, who: Caller, mine: Held, text: str) -> Entry:
    return await outbox.accept(gw, who, mine.id, Offer(chat=CHAT, content=words(text), mode="async", digest=text))


async def status(gw: Gateway, who: Caller, mine: Held) -> str:
    return (await sessions.get(gw, who, mine.id)).status


async def test_a_session_works_though_its_groups_cannot_be_read_now_and_they_are_read_later(
    gw: Gateway, who: Caller, mine: Held, network: Network, runner: Runner
) -> None:
    network.busy = 2
    entry = await accepted(gw, who, mine, "hello")

    async def sent() -> bool:
        return (await outbox.get(gw, who, mine.id, entry.id)).status == "sent"

    async def read() -> bool:
        return network.looks == 3

    await until(gw, sent)
    await until(gw, read)
    assert network.connects == 1


async def test_a_session_works_though_a_group_of_it_cannot_be_stored(
    gw: Gateway, who: Caller, mine: Held, network: Network, runner: Runner
) -> None:
    told = {"subject": "Friends", "description": "", "is_announce": False, "is_locked": False, "members": []}
    strange = GroupSeen(group_jid="123@g.us", created_at_wa=1 << 70, **told)  # type: ignore[arg-type]
    network.groups = [strange]
    entry = await accepted(gw, who, mine, "hello")

    async def sent() -> bool:
        return (await outbox.get(gw, who, mine.id, entry.id)).status == "sent"

    await until(gw, sent)
    assert network.connects == 1


async def test_who_is_taken_over_while_it_worked_is_starting_until_it_is_online(
    gw: Gateway, who: Caller, mine: Held, network: Network, runner: Runner
) -> None:
    network.may_connect.clear()

    async def starting() -> bool:
        return await status(gw, who, mine) == "starting"

    async def working() -> bool:
        return await status(gw, who, mine) == "working"

    await until(gw, starting)
    network.may_connect.set()
    await until(gw, working)


async def test_what_was_accepted_and_never_begun_goes_out_when_the_line_is_there(
    gw: Gateway, who: Caller, mine: Held, network: Network
) -> None:
    # The session works, as far as it is known: it is claimed for its holder at once.
    entry = await accepted(gw, who, mine, "hello")
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "pending"
    task = asyncio.ensure_future(Runner(gw, network, mine).run())  # type: ignore[arg-type]

    async def settled() -> bool:
        return (await outbox.get(gw, who, mine.id, entry.id)).status not in ("pending", "queued")

    await until(gw, settled)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "sent"
    assert network.sent == ["hello"]
    told = [payload["status"] for name, payload in await log(gw, who) if name == "message.status"]
    assert told == ["pending", "sent"]


async def test_what_cannot_be_settled_is_not_said_again(
    gw: Gateway, who: Caller, mine: Held, network: Network, runner: Runner
) -> None:
    async def online() -> bool:
        return runner._online

    await until(gw, online)
    network.timestamp = 1 << 70  # no database has room for it
    entry = await accepted(gw, who, mine, "hello")

    async def sent() -> bool:
        return bool(network.sent)

    await until(gw, sent)
    for _ in range(5):
        await settle()
        await runner.look_again()
    network.timestamp = 1_800_000_000_000
    await network.sink([base.LineLost()])

    async def settled() -> bool:
        return (await outbox.get(gw, who, mine.id, entry.id)).status == "uncertain"

    await until(gw, settled)
    assert network.sent == ["hello"]


async def test_what_was_not_begun_when_its_holder_ends_is_the_next_holders_to_send(
    gw: Gateway, who: Caller, mine: Held, network: Network
) -> None:
    network.may_connect.clear()
    task = asyncio.ensure_future(Runner(gw, network, mine).run())  # type: ignore[arg-type]
    # Before it is known that nobody is online here.
    entry = await accepted(gw, who, mine, "hello")
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "pending"

    async def connecting() -> bool:
        return network.connects == 1

    await until(gw, connecting)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "queued"


async def test_a_line_that_falls_again_and_again_is_made_anew_ever_more_slowly(
    gw: Gateway, network: Network, runner: Runner
) -> None:
    clock = gw.clock
    assert isinstance(clock, ManualClock)
    rests = list[float]()
    while len(rests) < 20:
        async with asyncio.timeout(60):
            while not runner._online:
                if clock._sleepers:
                    rests.append((clock._sleepers[0][0] - clock.now()) / 1000)
                    await clock.advance(rests[-1])
                await asyncio.sleep(0)
        await network.sink([base.LineLost()])
        async with asyncio.timeout(60):
            while runner._online:  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0)
    assert max(rests[:3]) <= 1.0, "once may be anybody's doing"
    assert sum(rests) > 60
