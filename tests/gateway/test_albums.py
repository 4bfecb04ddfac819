"""Albums on their way out: one entry, one message for each item."""

from __future__ import annotations

import pytest

from tests.support.parts import WHOLE, log, within
from tests.support.traffic import ANN, stored
from wagate.errors import NoAnswer
from wagate.gateway import Gateway, dispatch, messages, outbox, receipts
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    ImageContent,
    Media,
)
from wagate.model.messages import Ack, Receipt
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize("timed_out", [False, True])
async def test_a_receipt_of_any_item_proves_that_the_album_went_out(
    gw: Gateway, who: Caller, mine: Held, timed_out: bool
) -> None:
    one = AlbumItem(content=ImageContent(media=Media(mimetype="image/png", ref="1")))
    offer = Offer(chat=ANN, content=AlbumContent(items=[one, one]), mode="sync", digest="")
    entry = await outbox.accept(gw, who, mine.id, offer)
    first, second = outbox.result(entry).item_ids or []
    if timed_out:
        await dispatch.settle(gw, mine, entry, NoAnswer())

    async def came(wire_id: str) -> None:
        receipt = Receipt(chat=ANN, wire_ids=[wire_id], status="delivered", timestamp=20, sender=ANN)
        await within(gw, lambda tx: receipts.came(tx, mine, gw.clock.now(), receipt))

    await came("NOBODYS")
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == ("uncertain" if timed_out else "pending")
    await came(second)
    proved = await outbox.get(gw, who, mine.id, entry.id)
    assert (proved.status, proved.wire_id) == ("sent", first)
    await dispatch.settle(gw, mine, entry, Ack(wire_id=first, timestamp=20, item_ids=[first, second]))
    await came(first)
    assert [(await stored(gw, who, mine, id)).status for id in (first, second)] == ["delivered", "delivered"]
