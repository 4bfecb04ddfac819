"""An album is its items, all of them or none."""

from __future__ import annotations

import pytest

from tests.support.engines import ORG, Sandbox, jid, until
from wagate.engines.base import Receipt
from wagate.engines.sandbox.albums import parts
from wagate.errors import Gone
from wagate.model.contents import AlbumContent, AlbumItem, ImageContent, Media, TextContent, VideoContent
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

ANN, BEN, LOST = "9990000001", "9990000002", "9996000001"


def mint(purpose: str, size: int) -> str:
    return "minted"


def item(id: str | None = None, key: str = "med_1") -> AlbumItem:
    content = ImageContent(media=Media(id=key, mimetype="image/jpeg"))
    return AlbumItem(content=content, message_id=id) if id else AlbumItem(content=content)


def test_what_is_no_album_is_itself() -> None:
    content = TextContent(text="x")
    assert parts("W1", content, mint) == [("W1", content)]


def test_the_first_item_says_what_the_album_says() -> None:
    made = parts("W1", AlbumContent(items=[item(), item("W2"), item()], mentions=[jid(BEN)], forwarded=True), mint)
    assert [wire_id for wire_id, _ in made] == ["W1", "W2", "3EB0MINTED"]
    contents = [content for _, content in made]
    assert [bool(content.mentions) for content in contents] == [True, False, False]
    assert all(content.forwarded for content in contents)
    assert not any(isinstance(content, VideoContent) for content in contents)


async def test_an_album_with_a_missing_file_is_not_carried_at_all(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.file("med_1")
    album = AlbumContent(items=[item("W1"), item("W2", "med_none")])
    with pytest.raises(Gone):
        await connection.send(Outgoing(wire_id="W1", chat=jid(BEN), content=album))
    assert await world.shown() == []
    assert list(world.root.rglob("sandbox-*")) == []


async def test_an_album_is_one_put(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.file("med_1")
    puts = world.stores(ORG).puts
    album = AlbumContent(items=[item(), item(), item()])
    ack = await connection.send(Outgoing(wire_id="W1", chat=jid(BEN), content=album))
    assert world.stores(ORG).puts == puts + 1
    assert isinstance(ack.item_ids, list)
    assert len(set(ack.item_ids)) == 3
    again = await connection.send(Outgoing(wire_id="W1", chat=jid(BEN), content=album))
    assert again == ack


async def test_each_item_is_received_and_read(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    await world.file("med_1")
    album = AlbumContent(items=[item("W1"), item("W2")])
    await connection.send(Outgoing(wire_id="W1", chat=jid(BEN), content=album))
    await world.pass_time(1)
    await until(lambda: len(sink.of(Receipt)) == 2)
    assert [(told.status, told.wire_ids) for told in sink.of(Receipt)] == [
        ("delivered", ["W1", "W2"]),
        ("read", ["W1", "W2"]),
    ]
