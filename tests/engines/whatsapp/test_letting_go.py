"""A session that the library does not let go yet: its neighbours go on, and nobody else has its keys meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.support.engines import jid, text
from tests.support.villagers import ANN, BEN, online, texts, village
from tests.support.whatsapp import PATIENCE, Village, eventually, why_not
from wagate.engines.base import ConnectionLost, LineLost

__all__ = ["village"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def test_closing_a_session_whose_proxy_says_nothing_ends_nobody_else(village: Village) -> None:
    came = list[asyncio.StreamWriter]()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    nowhere = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, online(village, "s1", "s2") as (world, (ann, _), (_, sink)):
        hosts = world.engine.hosts
        await ann.close()
        lost, _ = await world.open("s1", jid=jid(ANN), proxy=nowhere)
        connecting = asyncio.ensure_future(lost.connect())
        await eventually(lambda: came)
        await lost.close()
        assert isinstance((await asyncio.gather(connecting, return_exceptions=True))[0], ConnectionLost)
        assert world.engine.hosts == hosts
        # Whoever has the session next waits until the library has given up, and has it then.
        again, _ = await world.open("s1", jid=jid(ANN))
        for writer in came:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(ConnectionLost):
                    await again.connect()
                    break
        await again.send(text(None, BEN, "back"))
        await texts(sink, "back")
        assert not sink.of(LineLost)
