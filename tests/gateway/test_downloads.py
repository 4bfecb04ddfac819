"""The bytes of what arrived are fetched from the network once, and are then kept like our own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.support.files import PNG
from tests.support.parts import caller, held, opened, within
from wagate.errors import Gone, NotFound, SessionNotConnected, to_wire
from wagate.gateway import Gateway, actions, downloads, leases, media, messages
from wagate.gateway.downloads import Where
from wagate.gateway.leases import Held
from wagate.model.actions import SessionAction
from wagate.model.contents import ImageContent, Media
from wagate.model.media import FetchedMedia
from wagate.model.messages import Arrived
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

PEER = "9990000002@s.whatsapp.net"


class Network:
    """Answers for the worker that holds the session."""

    def __init__(self, gw: Gateway, session: str) -> None:
        self.gw = gw
        self.asked: list[Any] = []
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.gone = False
        self.stop = gw.broker.respond(f"runner.{session}", self._perform)

    async def _perform(self, payload: bytes) -> bytes:
        action = msgspec.json.decode(payload, type=SessionAction)
        self.asked.append(action)
        self.reached.set()
        await self.gate.wait()
        if self.gone:
            return actions.encode_error(to_wire(Gone()))
        await self.gw.blobs.put(action.into, [PNG])
        return actions.encode_answer(FetchedMedia(size=len(PNG), sha256="00"))


@asynccontextmanager
async def arrived(**rules: Any) -> Any:
    """A gateway, who may use it, a session to which a picture came, and its network."""
    async with opened(**rules) as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        said = ImageContent(media=Media(mimetype="image/png", ref="there", filename="x.png"))
        report = Arrived(wire_id="1", chat=PEER, from_me=False, timestamp=1, content=said, sender=PEER)
        await within(gw, lambda tx: messages.arrived(tx, mine, 1, report))
        yield gw, who, mine, Network(gw, mine.id)


async def read(gw: Gateway, who: Caller, mine: Held, **more: Any) -> tuple[Any, bytes]:
    known, blob = await downloads.open(gw, who, Where(session_id=mine.id, wire_id="1", **more))
    return known, b"".join([piece async for piece in blob.read()])


async def test_what_the_network_no_longer_has_is_gone() -> None:
    async with arrived() as (gw, who, mine, network):
        network.gone = True
        with pytest.raises(Gone):
            await read(gw, who, mine)
        network.gone = False
        assert (await read(gw, who, mine))[1] == PNG


async def test_what_is_not_here_is_not_to_be_had_without_a_connection() -> None:
    async with arrived() as (gw, who, mine, network):
        await leases.set_status(gw, mine, "starting")
        with pytest.raises(SessionNotConnected):
            await read(gw, who, mine)
        assert await gw.db.all("SELECT id FROM media") == []
        assert network.asked == []


async def test_another_chat_has_no_such_message() -> None:
    async with arrived() as (gw, who, mine, _):
        with pytest.raises(NotFound):
            await read(gw, who, mine, chat="9990000003@s.whatsapp.net")
        with pytest.raises(NotFound):
            await read(gw, await caller(gw), mine)
        assert (await read(gw, who, mine, chat=PEER))[1] == PNG


async def test_those_who_ask_at_once_fetch_once_also_if_the_first_goes_away() -> None:
    async with arrived() as (gw, who, mine, network):
        network.gate.clear()
        first, *others = [asyncio.ensure_future(read(gw, who, mine)) for _ in range(5)]
        await network.reached.wait()
        first.cancel()
        network.gate.set()
        assert {answer[1] for answer in await asyncio.gather(*others)} == {PNG}
        assert len(network.asked) == 1
        assert gw.underway == {}


async def test_what_was_fetched_is_kept_for_its_days() -> None:
    async with arrived(media_days=1) as (gw, who, mine, network):
        known, _ = await read(gw, who, mine)
        assert (known.mimetype, known.filename, known.size) == ("image/png", "x.png", len(PNG))
        assert known.expires_at == gw.clock.now() + media.DAY_MS
        await gw.clock.advance(media.DAY_MS / 1000 - 1)
        assert await media.expire(gw) == 0
        assert (await read(gw, who, mine))[1] == PNG
        await gw.clock.advance(1)
        for _ in range(2):
            with pytest.raises(Gone):
                await read(gw, who, mine)
            await media.expire(gw)
        assert len(network.asked) == 1


async def test_a_message_taken_back_while_it_is_fetched_leaves_nothing() -> None:
    async with arrived() as (gw, who, mine, network):
        network.gate.clear()
        asked = asyncio.ensure_future(read(gw, who, mine))
        await network.reached.wait()
        await within(gw, lambda tx: tx.run("UPDATE messages SET content = :c", c='{"type":"gone"}'))
        network.gate.set()
        with pytest.raises(NotFound):
            await asked
        assert await gw.db.all("SELECT id FROM media") == []
        assert await gw.blobs.open(network.asked[0].into) is None
