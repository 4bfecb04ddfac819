"""Frames: what goes in comes out, and the other side's nonsense is refused."""

from __future__ import annotations

import asyncio
import struct

import msgspec
import pytest
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.errors import NotGroupAdmin, to_wire
from wagate.model.actions import ResetInvite
from wagate.model.contents import TextContent
from wagate.model.messages import Arrived, Outgoing

pytestmark = pytest.mark.anyio

ARRIVED = Arrived(
    wire_id="3EB0", chat="9990000001@s.whatsapp.net", from_me=False, timestamp=1, content=TextContent(text="hi")
)
FROM_GATEWAY = [
    wire.Asked(id=1, line=2, want=wire.Perform(action=ResetInvite(group="1@g.us")), seconds=3),
    wire.Asked(
        id=1,
        line=2,
        want=wire.Send(outgoing=Outgoing(wire_id=None, chat="1@g.us", content=TextContent(text="é"))),
        seconds=3,
    ),
    wire.Asked(id=1, line=2, want=wire.Read(chat="1@g.us", sender=UNSET, wire_ids=["a"]), seconds=3),
    wire.Taken(line=2, number=7),
]
FROM_HOST = [
    wire.Hello(library="x"),
    wire.Answered(id=1, body=wire.body(None), after=3),
    wire.Failed(id=1, error=to_wire(NotGroupAdmin())),
    wire.Failed(id=1, ended=base.Ended(status="failed", reason="replaced")),
    wire.Told(line=2, number=1, reports=[wire.report(ARRIVED), wire.report(base.LineLost())]),
]


async def read(data: bytes) -> bytes | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await wire.next_frame(reader)


async def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="was announced"):
        await read(struct.pack(">I", wire.FRAME_LIMIT + 1))
    with pytest.raises(ValueError, match="octets"):
        wire.framed(wire.Answered(id=1, body=wire.body("x" * (wire.FRAME_LIMIT + 1))))


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 7])
async def test_a_torn_frame_is_the_end(cut: int) -> None:
    assert await read(wire.framed(wire.Taken(line=1, number=2))[:cut]) is None


async def test_an_unknown_kind_of_report_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError, match="unknown kind"):
        wire.reported(wire.Reported(kind="Rumour", body=wire.body(None)))


@pytest.mark.parametrize("message", FROM_GATEWAY, ids=["perform", "send", "read", "taken"])
async def test_what_the_gateway_says_is_understood(message: wire.FromGateway) -> None:
    frame = await read(wire.framed(message))
    assert frame is not None
    assert msgspec.msgpack.decode(frame, type=wire.FromGateway) == message


@pytest.mark.parametrize("message", FROM_HOST, ids=["hello", "answered", "failed", "ended", "told"])
async def test_what_a_host_says_is_understood(message: wire.FromHost) -> None:
    frame = await read(wire.framed(message))
    assert frame is not None
    again = msgspec.msgpack.decode(frame, type=wire.FromHost)
    assert wire.framed(again) == wire.framed(message)
    if isinstance(again, wire.Told):
        assert [wire.reported(each) for each in again.reports] == [ARRIVED, base.LineLost()]
