"""Albums on their way out: one entry, one message for each item."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.parts import WHOLE, caller, held, log, opened
from tests.support.traffic import ANN, stored
from wagate.gateway import Gateway, dispatch, messages, outbox
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    ImageContent,
    Media,
)
from wagate.model.messages import Ack
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened() as gateway:
        yield gateway


@pytest.fixture
async def who(gw: Gateway) -> Caller:
    return await caller(gw)


@pytest.fixture
async def mine(gw: Gateway, who: Caller) -> Held:
    return await held(gw, who)


async def test_an_album_is_stored_and_told_as_its_items(gw: Gateway, who: Caller, mine: Held) -> None:
    pictures = [
        AlbumItem(content=ImageContent(media=Media(mimetype="image/png", ref=str(number)))) for number in range(3)
    ]
    offer = Offer(chat=ANN, content=AlbumContent(items=pictures), mode="sync", digest="")
    entry = await outbox.accept(gw, who, mine.id, offer)
    ids = outbox.result(entry).item_ids or []
    assert (len(set(ids)), entry.wire_id) == (3, ids[0])
    await dispatch.settle(gw, mine, entry, Ack(wire_id=ids[0], timestamp=20, item_ids=ids))
    rows, _ = await messages.page(gw, who, mine.id, WHOLE, chat=ANN)
    assert [row.wa_message_id for row in rows] == ids[::-1]
    assert {(row.type, row.status, row.has_media) for row in rows} == {("image", "sent", True)}
    seen = await log(gw, who)
    assert [p["waMessageId"] for name, p in seen if name == "message.from_me"] == ids
    assert [p["messageIds"] for name, p in seen if name == "message.status"] == [ids]


async def test_an_album_takes_the_ids_that_the_network_gives(gw: Gateway, who: Caller, mine: Held) -> None:
    one = AlbumItem(content=ImageContent(media=Media(mimetype="image/png", ref="1")))
    offer = Offer(chat=ANN, content=AlbumContent(items=[one, one]), mode="sync", digest="")
    entry = await outbox.accept(gw, who, mine.id, offer)
    await dispatch.settle(gw, mine, entry, Ack(wire_id="A", timestamp=20, item_ids=["A", "B"]))
    again = outbox.result(await outbox.get(gw, who, mine.id, entry.id))
    assert (again.wa_message_id, again.item_ids) == ("A", ["A", "B"])
    assert (await stored(gw, who, mine, "B")).status == "sent"
