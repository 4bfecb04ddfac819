"""Who can ring whom."""

from __future__ import annotations

import pytest

from tests.support.engines import Sandbox, jid, settle
from wagate.engines.base import CallRang
from wagate.errors import BadRequest, NotFound, Refused
from wagate.model.sandbox import ListFrames, Ring

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
ABSENT = "9993000001"


async def test_who_cannot_ring_does_not(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    group = (await world.group(BEN, [jid(ANN)])).group_jid
    for caller, to, error in (
        (BEN, "nonsense", BadRequest),
        (BEN, "4915112345678", BadRequest),
        (BEN, "120363999999999999@newsletter", BadRequest),
        (BEN, jid(BEN), BadRequest),
        ("4915112345678", jid(ANN), BadRequest),
        (BEN, "120363999999999999@g.us", NotFound),
        (BEN, jid(ABSENT), Refused),
        (ABSENT, jid(ANN), Refused),
        (CAT, group, Refused),
    ):
        with pytest.raises(error):
            await world.drive(Ring(caller=caller, to=to, video=False))
    await settle()
    assert sink.of(CallRang) == []


async def test_a_call_that_nobody_hears_is_seen_by_the_network(world: Sandbox) -> None:
    for video in (False, True):
        await world.drive(Ring(caller=ANN, to=BEN, video=video))
    frames = (await world.drive(ListFrames(after="", limit=100))).rows
    assert [(frame.kind, frame.from_, frame.to) for frame in frames] == [
        ("call", jid(ANN), jid(BEN)),
        ("call.video", jid(ANN), jid(BEN)),
    ]
