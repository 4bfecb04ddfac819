"""Who sees a status post."""

from __future__ import annotations

import pytest

from tests.support.engines import Sandbox, jid, settle, until
from wagate.engines.base import Arrived, Receipt
from wagate.model.contents import RevokeContent, Target, TextContent
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

ANN, BEN, CAT, DAN, EVE = (f"999000000{place}" for place in range(1, 6))
STATUS = "status@broadcast"


def post(wire_id: str = "S1") -> Outgoing:
    return Outgoing(wire_id=wire_id, chat=STATUS, content=TextContent(text="hello all"))


async def test_strangers_do_not_see_it(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, stranger = await world.linked("s2", BEN)
    assert (await connection.send(post())).wire_id == "S1"
    await world.pass_time(1)
    assert await world.shown() == []
    assert not stranger.of(Arrived)


async def test_who_blocks_does_not_see_it(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    for person in (BEN, CAT):
        await world.say(person, jid(ANN))
    await world.alter(BEN, blocked=True)
    await connection.send(post())
    assert [copy.recipient for copy in await world.shown("S1")] == [jid(CAT)]


async def test_contacts_see_it_once(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    _, other = await world.linked("s2", ANN)
    _, member = await world.linked("s3", BEN)
    await world.group(BEN, [jid(ANN), jid(CAT)])
    await world.say(DAN, jid(ANN))
    await world.say(BEN, jid(ANN))
    await world.say(CAT, jid(EVE))
    await settle()
    for each in (sink, other, member):
        each.calls.clear()
    await connection.send(post())
    await connection.send(post())
    await until(lambda: member.of(Arrived) and other.of(Arrived))
    (seen,), (own,) = member.of(Arrived), other.of(Arrived)
    assert (seen.chat, seen.sender, seen.from_me) == (STATUS, jid(ANN), False)
    assert (own.chat, own.from_me) == (STATUS, True)
    assert {copy.recipient for copy in await world.shown("S1")} == {jid(BEN), jid(CAT), jid(DAN)}
    await world.pass_time(1)
    told = {(receipt.chat, receipt.sender, receipt.status) for receipt in sink.of(Receipt)}
    assert (STATUS, jid(CAT), "read") in told
    await connection.send(
        Outgoing(wire_id="C1", chat=STATUS, content=RevokeContent(target=Target(message_id="S1", from_me=True)))
    )
    await until(lambda: len(member.of(Arrived)) == 2)
    assert all(copy.revoked for copy in await world.shown("S1"))
