"""Forwards: a copy of what is still kept, and of nothing else."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from tests.support.parts import WHOLE, caller, words
from tests.support.traffic import ANN, BOB, by, said, take
from wagate.errors import NotFound, SessionNotConnected
from wagate.gateway import Gateway, dispatch, forwards, leases, messages, outbox
from wagate.gateway.leases import Held
from wagate.gateway.targets import Pointer
from wagate.model.contents import ImageContent, Media, Quote, RevokeContent, TextContent
from wagate.model.messages import Ack
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

M = Pointer(chat=ANN, message_id="M")


async def test_what_is_not_kept_is_not_forwarded(gw: Gateway, who: Caller, mine: Held) -> None:
    with pytest.raises(NotFound):
        await forwards.forward(gw, who, mine.id, M, to=BOB)
    await take(gw, mine, said(words()))
    await take(gw, mine, said(RevokeContent(target=by(ANN)), "R"))
    await take(gw, mine, said(ImageContent(media=Media(mimetype="image/png", id="med_gone")), "P"))
    for pointer in (M, Pointer(chat=ANN, message_id="P"), Pointer(chat=BOB, message_id="P")):
        with pytest.raises(NotFound):
            await forwards.forward(gw, who, mine.id, pointer, to=BOB)
    await leases.set_status(gw, mine, "starting")
    with pytest.raises(SessionNotConnected):
        await forwards.forward(gw, who, mine.id, M, to=BOB)
    with pytest.raises(NotFound):
        await forwards.forward(gw, await caller(gw), mine.id, M, to=BOB)
    assert (await outbox.page(gw, who, mine.id, WHOLE, status=""))[0] == []


async def test_a_copy_is_marked_and_leaves_its_quote_behind(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(TextContent(text="so?", mentions=[BOB], quote=Quote(message_id="Q"))))
    entry = await forwards.forward(gw, who, mine.id, M, to=BOB)
    assert (entry.chat, entry.content) == (BOB, TextContent(text="so?", mentions=[BOB], forwarded=True))
    await dispatch.settle(gw, mine, entry, Ack(wire_id=entry.wire_id or "", timestamp=20))
    copy = await messages.get(gw, who, mine.id, entry.wire_id or "", chat=BOB)
    assert (copy.body, copy.from_me, copy.quoted_message_id) == ("so?", True, UNSET)


async def test_what_only_the_network_has_is_forwarded_by_its_word(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(ImageContent(media=Media(mimetype="image/png", ref="there"))))
    entry = await forwards.forward(gw, who, mine.id, M, to=BOB)
    assert entry.content == ImageContent(media=Media(mimetype="image/png", ref="there"), forwarded=True)
