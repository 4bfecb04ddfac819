"""People who answer by nature."""

from __future__ import annotations

import pytest

from tests.support.engines import Sandbox, jid, settle
from wagate.engines.base import Arrived
from wagate.model.contents import ImageContent, ReactionContent, Target, VideoContent
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

ANN, BEN, ECHO = "9990000001", "9990000002", "9995000001"
THUMB = "\N{THUMBS UP SIGN}"


async def image(world: Sandbox, to: str, wire_id: str = "W1") -> Outgoing:
    content = ImageContent(media=await world.file(caption="look"))
    return Outgoing(wire_id=wire_id, chat=to, content=content)


async def test_others_react_to_nothing(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(await image(world, jid(BEN)))
    video = VideoContent(media=await world.file())
    await connection.send(Outgoing(wire_id="W2", chat=jid(ECHO), content=video))
    await world.pass_time(1)
    assert not sink.of(Arrived)


async def test_a_picture_gets_a_thumb_up_once(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(await image(world, jid(ECHO)))
    await world.pass_time(1)
    (reaction,) = sink.of(Arrived)
    target = Target(message_id="W1", from_me=True)
    assert (reaction.chat, reaction.content) == (jid(ECHO), ReactionContent(target=target, emoji=THUMB))
    await world.crash()
    again, later = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await again.send(await image(world, jid(ECHO)))
    await world.pass_time(1)
    assert not later.of(Arrived)
    (copy,) = await world.shown("W1")
    assert [(each.sender_jid, each.emoji) for each in copy.reactions] == [(jid(ECHO), THUMB)]


async def test_a_picture_in_a_group_too_while_they_are_in(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    group = (await world.group(ANN, [jid(ECHO)])).group_jid
    await settle()
    sink.calls.clear()
    await connection.send(await image(world, group))
    await world.move(group, ECHO, "leave")
    await world.pass_time(5)
    assert not sink.of(Arrived)
    await world.move(group, ECHO, "join")
    await connection.send(await image(world, group, "W2"))
    await world.pass_time(1)
    assert [(each.chat, each.sender) for each in sink.of(Arrived)] == [(group, jid(ECHO))]
