"""A door that is made when somebody goes through it: once, whoever goes away meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping

import pytest

from wagate.backends.doors import Answer, Closed, Fetched, FetchFailed, Late, Sink

pytestmark = pytest.mark.anyio


class Counting:
    """A door that counts how often one like it was made and closed."""

    made = closed = 0

    def __init__(self) -> None:
        type(self).made += 1

    async def get(self, url: str, *, sink: Sink, most_bytes: int, redirects: int = 3, timeout: float) -> Fetched:
        return Fetched(content_type=url, size=most_bytes)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        return Answer(status=204, headers={}, body_start=body)

    def judge(self, url: str) -> None:
        """Never called: a late door judges before it is made."""

    async def close(self) -> None:
        type(self).closed += 1


def anything(url: str) -> None:
    """Judge that every URL may be used."""


async def nothing(piece: bytes) -> None:
    """A sink that keeps nothing."""


async def test_a_closed_door_leads_nowhere() -> None:
    with pytest.raises(FetchFailed):
        await Closed().get("http://127.0.0.1/", sink=nothing, most_bytes=1, timeout=1)


async def test_a_late_door_is_made_once_and_outlives_who_asked_first() -> None:
    class Slow(Counting):
        free = threading.Event()

        def __init__(self) -> None:
            assert self.free.wait(10)
            super().__init__()

    door = Late(Slow, anything)
    first = asyncio.ensure_future(door.get("a", sink=nothing, most_bytes=1, timeout=1))
    second = asyncio.ensure_future(door.get("b", sink=nothing, most_bytes=2, timeout=1))
    await asyncio.sleep(0)
    first.cancel()
    Slow.free.set()
    assert await second == Fetched(content_type="b", size=2)
    await door.close()
    assert (Slow.made, Slow.closed) == (1, 1)


async def test_a_late_door_that_nobody_used_is_closed_without_being_made() -> None:
    class Unused(Counting):
        """Never made."""

    await Late(Unused, anything).close()
    assert Unused.made == 0


def test_a_start_does_not_load_the_http_client() -> None:
    code = "import sys, wagate.bootstrap; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
