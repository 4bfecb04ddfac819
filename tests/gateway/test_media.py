"""Files of messages and uploads: durable once taken in, kept while wanted, and never left behind."""

from __future__ import annotations

import pytest

from tests.support.files import JPEG, PNG
from tests.support.parts import caller, held, opened, within
from tests.support.receiver import door, receiving, silent
from wagate.backends.spool import SpoolFile
from wagate.errors import BadRequest, Gone, NotFound, StorageUnavailable
from wagate.gateway import Gateway, media, outbox
from wagate.gateway.media import DAY_MS, SPARE_MS, Offered
from wagate.model.contents import AlbumContent, AlbumItem, Content, ImageContent, Media, TextContent
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

PEER = "9990000002@s.whatsapp.net"


async def spooled(gw: Gateway, data: bytes) -> SpoolFile:
    file = await gw.blobs.spool()
    await file.write(data)
    return file


async def taken(gw: Gateway, who: Caller, session: str, data: bytes = PNG) -> Media:
    offer = Offered(wanted="image", path="media", file=await spooled(gw, data))
    (known,) = await media.take_in(gw, who, [offer], session_id=session)
    return known


async def read(gw: Gateway, id: str) -> bytes | None:
    blob = await gw.blobs.open(id)
    return None if blob is None else b"".join([piece async for piece in blob.read()])


async def count(gw: Gateway) -> int:
    return len(await gw.db.all("SELECT id FROM media WHERE gone_at IS NULL"))


async def accepted(gw: Gateway, who: Caller, session: str, content: Content) -> None:
    await outbox.accept(gw, who, session, outbox.Offer(chat=PEER, content=content, mode="async", digest=""))


async def test_what_waited_too_long_is_not_sent() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        known = await taken(gw, who, mine.id)
        await gw.clock.advance(SPARE_MS / 1000)
        with pytest.raises(Gone):
            await accepted(gw, who, mine.id, ImageContent(media=known))


async def test_another_sessions_file_is_not_sent() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine, other = await held(gw, who), await held(gw, who, "9990000003")
        known = await taken(gw, who, other.id)
        with pytest.raises(Gone):
            await accepted(gw, who, mine.id, ImageContent(media=known))


async def test_a_url_that_keeps_silent_is_refused_after_its_time() -> None:
    async with receiving(x=silent) as server, door() as out, opened(http=out, fetch_timeout=0.1) as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        offer = Offered(wanted="image", path="media", url=f"{server.url}/x")
        with pytest.raises(BadRequest, match=r"media.url: cannot be used: it did not answer in time"):
            await media.take_in(gw, who, [offer], session_id=mine.id)
        assert await count(gw) == 0


async def test_bytes_that_cannot_be_stored_leave_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        good = await spooled(gw, PNG)

        async def refuse(file: SpoolFile, key: str) -> None:
            raise StorageUnavailable

        monkeypatch.setattr(gw.blobs, "adopt", refuse)
        with pytest.raises(StorageUnavailable):
            await media.take_in(gw, who, [Offered(wanted="image", path="media", file=good)], session_id=mine.id)
        assert await count(gw) == 0


async def test_what_nobody_kept_goes_and_what_a_message_keeps_stays() -> None:
    async with opened(media_days=1) as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        kept, spare = await taken(gw, who, mine.id), await taken(gw, who, mine.id)
        await accepted(gw, who, mine.id, ImageContent(media=kept))
        await media.discard(gw, who, [kept, spare])
        assert await read(gw, str(kept.id)) == PNG
        assert await read(gw, str(spare.id)) is None
        forgotten = await taken(gw, who, mine.id)
        await gw.clock.advance(SPARE_MS / 1000)
        assert await media.expire(gw) == 1
        assert await read(gw, str(forgotten.id)) is None
        assert await read(gw, str(kept.id)) == PNG
        await gw.clock.advance(DAY_MS / 1000)
        assert await media.expire(gw) == 1
        assert await media.expire(gw) == 0
        assert await read(gw, str(kept.id)) is None
        assert await gw.db.all("SELECT id FROM media WHERE gone_at IS NOT NULL") == [(kept.id,)]


async def test_an_upload_is_looked_at_again_for_what_it_is_to_be() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        up = await media.upload(gw, who, await spooled(gw, PNG), mimetype="text/plain")
        assert up.mimetype == "text/plain"
        (known,) = await media.take_in(gw, who, [Offered(wanted="image", path="media", id=up.id)], session_id=mine.id)
        assert (known.mimetype, known.size) == ("image/png", len(PNG))
        with pytest.raises(BadRequest):
            await media.take_in(gw, who, [Offered(wanted="sticker", path="media", id=up.id)], session_id=mine.id)
        await gw.clock.advance(DAY_MS / 1000)
        with pytest.raises(BadRequest):
            await media.take_in(gw, who, [Offered(wanted="image", path="media", id=up.id)], session_id=mine.id)
        await media.expire(gw)
        assert await gw.db.all("SELECT id FROM media") == []


async def test_a_copy_outlives_its_original() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        pair = [await taken(gw, who, mine.id, data) for data in (PNG, JPEG)]
        album = AlbumContent(items=[AlbumItem(content=ImageContent(media=each)) for each in pair])
        await accepted(gw, who, mine.id, album)
        copy = await media.duplicate(gw, who, mine.id, album)
        assert not set(media.ids_of(copy)) & set(media.ids_of(album))
        await within(gw, lambda tx: media.drop(tx, who.organization_id, album))
        with pytest.raises(NotFound):
            await media.duplicate(gw, who, mine.id, album)
        assert await media.expire(gw) == 2
        assert [await read(gw, id) for id in media.ids_of(album)] == [None, None]
        assert [await read(gw, id) for id in media.ids_of(copy)] == [PNG, JPEG]
        assert await media.duplicate(gw, who, mine.id, TextContent(text="x")) == TextContent(text="x")


async def test_what_only_the_network_has_is_copied_as_it_is() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        there = ImageContent(media=Media(mimetype="image/png", ref="somewhere"))
        assert await media.duplicate(gw, who, mine.id, there) == there
