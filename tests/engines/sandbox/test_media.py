"""The network's copies of files: made once, gone with their message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engines import ORG, Sandbox, jid, text, until
from tests.support.files import JPEG
from wagate.errors import Gone, Refused, StorageUnavailable
from wagate.model.actions import FetchMedia
from wagate.model.contents import ImageContent, Media
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


def copies(world: Sandbox) -> list[Path]:
    """The files that the network keeps."""
    return list(world.root.rglob("sandbox-*"))


async def image(world: Sandbox, wire_id: str = "W1", to: str = BEN) -> Outgoing:
    return Outgoing(wire_id=wire_id, chat=jid(to), content=ImageContent(media=await world.file()))


async def test_nothing_stays_of_a_message_that_was_not_carried(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    for refused in ("9993000001", "9997000001"):
        with pytest.raises(Refused):
            await connection.send(await image(world, to=refused))
    assert copies(world) == []


async def test_a_message_that_could_not_be_kept_is_sent_again_with_its_file(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    world.stores(ORG).full = True
    with pytest.raises(StorageUnavailable):
        await connection.send(await image(world))
    world.stores(ORG).full = False
    await connection.send(await image(world))
    assert len(copies(world)) == 1


async def test_other_bytes_than_were_said_are_not_given(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(await image(world))
    ref = copies(world)[0].name
    with pytest.raises(Gone):
        await connection.perform(FetchMedia(media=Media(ref=ref, mimetype="image/jpeg", sha256="00"), into="med_2"))
    assert await world.bytes_of("med_2") is None


async def test_a_repeat_copies_nothing(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    sending = await image(world)
    await connection.send(sending)
    await world.files.remove(["med_1"])
    await connection.send(sending)
    assert len(copies(world)) == 1


async def test_what_the_sender_did_not_tell_is_measured(world: Sandbox) -> None:
    known = await world.file()
    await world.speak(BEN, jid(ANN), ImageContent(media=Media(id=known.id, mimetype="image/jpeg")))
    content = (await world.shown())[0].content
    assert isinstance(content, ImageContent)
    assert (content.media.size, content.media.sha256) == (len(JPEG), known.sha256)


async def test_a_file_goes_with_its_message(small: Sandbox) -> None:
    connection, _ = await small.linked("s1", ANN)
    await connection.send(await image(small))
    (kept,) = copies(small)
    for place in range(1200):
        await connection.send(text(f"T{place}", BEN))
    await until(lambda: not kept.exists())
    await connection.send(await image(small, "W2"))
    assert len(copies(small)) == 1
    assert len([key for key in small.stores(ORG).keys if key.startswith("media/")]) == 1
