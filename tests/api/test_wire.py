"""Strangers who speak no HTTP, or too much of it, or never come to the point."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.serving import gateway, line, request, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with gateway() as gw, serving(gw, []) as served:
        yield served


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_cut_off(port: int, said: bytes) -> None:
    async with line(port) as connection:
        await connection.say(said)
        answer = await connection.answer()
        assert (answer.status, answer.code) == (400, "validation_error")
        assert answer.headers["x-request-id"]
        assert await connection.ended()


async def test_garbage_behind_a_request_ends_the_connection(port: int) -> None:
    async with line(port) as connection:
        await connection.say(request("GET", "/healthz"))
        assert (await connection.answer()).status == 200
        await connection.say(b"\x00\x01garbage\r\n\r\n")
        assert (await connection.answer()).status == 400
        assert await connection.ended()


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx-long: "])
async def test_an_endless_head_is_cut_off(port: int, start: bytes) -> None:
    async with line(port) as connection:
        await connection.say(start)
        status = 0
        try:
            for _ in range(64):
                await connection.say(b"a" * 65536)
            status = (await connection.answer()).status
        except (ConnectionError, EOFError):
            pass
        assert status in (0, 431)
        assert await connection.ended()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n"])
async def test_who_never_comes_to_the_point_is_cut_off(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wagate.api.wire.HEAD_SECONDS", 0.05)
    async with gateway() as gw, serving(gw, []) as served, line(served) as connection:
        await connection.say(said)
        assert await connection.ended()


async def test_a_long_head_within_the_limit_is_taken(port: int) -> None:
    async with line(port) as connection:
        await connection.say(request("GET", "/healthz", x_long="a" * 30_000))
        assert (await connection.answer()).status == 200
