"""Stored bytes over a real socket: whole, in ranges, never as a page of ours; who goes away leaves nothing open."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engines import until
from tests.support.serving import Answer, ask, gateway, key, line, request, serving
from wagate.api.app import ApiOptions
from wagate.api.blobs import Described, disposition, of_blob
from wagate.api.operations import READ, Call, Operation, Reply
from wagate.backends.blobs import DiskBlobs
from wagate.errors import NotFound

pytestmark = pytest.mark.anyio

BYTES = os.urandom(700_001)
SHA256 = hashlib.sha256(BYTES).hexdigest()
ETAG = f'"{SHA256}"'


@dataclass
class Store:
    blobs: DiskBlobs
    port: int
    secret: str
    described: Described

    async def ask(self, method: str = "GET", name: str = "media_1", **headers: str) -> Answer:
        return await ask(self.port, method, f"/api/v1/media/{name}", x_api_key=self.secret, **headers)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    blobs = DiskBlobs(tmp_path)

    async def get_media(call: Call) -> Reply:
        """Get."""
        blob = await blobs.open(call.path["id"])
        if blob is None:
            raise NotFound
        if call.path["id"] == "vanishing":
            await blobs.remove(["vanishing"])
        return of_blob(call, blob, store.described)

    operation = Operation(
        id="getMedia", method="GET", path="/media/{id}", run=get_media, tag="t", capability=READ, answer=bytes
    )
    await blobs.put("media_1", [BYTES])
    await blobs.put("vanishing", [BYTES])
    await blobs.put("nothing", [])
    options = ApiOptions(body_timeout=0.2)
    async with gateway() as gw, serving(gw, [operation], options) as port:
        described = Described(mimetype="image/png", sha256=SHA256, filename="x.png")
        store = Store(blobs, port, (await key(gw, "read")).secret, described)
        yield store
    await blobs.close()


async def test_a_range_behind_the_end_is_refused(store: Store) -> None:
    for wanted in (f"bytes={len(BYTES)}-", "bytes=9999999-10000000", "bytes=-0"):
        refused = await store.ask(range=wanted)
        assert (refused.status, refused.code) == (416, "range_not_satisfiable")
        assert refused.headers["content-range"] == f"bytes */{len(BYTES)}"
    assert (await store.ask(name="nothing", range="bytes=0-")).status == 416


@pytest.mark.parametrize(
    "wanted", ["bytes=5-4", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "x", ""]
)
async def test_what_is_no_single_range_gets_the_whole(store: Store, wanted: str) -> None:
    answer = await store.ask(range=wanted)
    assert (answer.status, answer.body) == (200, BYTES)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, len(BYTES)),
        ("bytes=0-99999999", 0, len(BYTES)),
        ("bytes=-5", len(BYTES) - 5, len(BYTES)),
        ("bytes=-99999999", 0, len(BYTES)),
        ("Bytes = 262143 - 262145", 262143, 262146),
    ],
)
async def test_a_range_is_served(store: Store, wanted: str, start: int, end: int) -> None:
    answer = await store.ask(range=wanted)
    assert (answer.status, answer.body) == (206, BYTES[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"
    assert answer.headers["etag"] == ETAG


async def test_the_whole_says_what_it_is_and_is_no_page(store: Store) -> None:
    answer = await store.ask()
    assert (answer.status, answer.body) == (200, BYTES)
    said = {
        "content-type": "image/png", "content-length": str(len(BYTES)), "etag": ETAG, "accept-ranges": "bytes",
        "cache-control": "private", "x-content-type-options": "nosniff",
        "content-disposition": 'attachment; filename="x.png"',
    }  # fmt: skip
    assert said.items() <= answer.headers.items()
    assert (await store.ask(name="nothing")).headers["content-length"] == "0"


async def test_a_strange_type_is_not_repeated(store: Store) -> None:
    for strange in ("text/html\r\nx: y", "nothing", "", "a/b; c=\u00fc"):
        store.described = Described(mimetype=strange, sha256=SHA256)
        answer = await store.ask()
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == "attachment"


async def test_head_tells_of_the_whole(store: Store) -> None:
    answer = await store.ask("HEAD", range="bytes=0-0")
    assert (answer.status, answer.headers["content-length"], answer.headers["etag"]) == (200, str(len(BYTES)), ETAG)


async def test_conditions_are_heard(store: Store) -> None:
    assert (await store.ask(range="bytes=0-0", if_range=ETAG)).status == 206
    for other in ('"other"', "W/" + ETAG, "Tue, 01 Jan 2030 00:00:00 GMT"):
        assert (await store.ask(range="bytes=0-0", if_range=other)).status == 200
    async with line(store.port) as connection:
        for known in (ETAG, f'"x", W/{ETAG}', "*"):
            headers = {"x_api_key": store.secret, "if_none_match": known}
            await connection.say(request("GET", "/api/v1/media/media_1", **headers))
            assert (await connection.answer(head=True)).status == 304
    assert (await store.ask(if_none_match='"other"')).status == 200


async def test_what_vanishes_meanwhile_is_told_as_gone(store: Store) -> None:
    assert (await store.ask(name="vanishing")).code == "gone"


async def test_the_connection_goes_on_after_a_streamed_answer(store: Store) -> None:
    async with line(store.port) as connection:
        asked = request("GET", "/api/v1/media/media_1", x_api_key=store.secret, range="bytes=-300000")
        await connection.say(asked, asked)
        for _ in range(2):
            assert (await connection.answer()).body == BYTES[-300_000:]


def opened() -> list[str]:
    links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
    return [os.readlink(each) for each in links if os.path.lexists(each) and "media_" in os.readlink(each)]


@pytest.mark.parametrize("leaving", [True, False])
async def test_who_goes_away_or_takes_nothing_leaves_nothing_open(store: Store, leaving: bool) -> None:
    await store.blobs.put("media_2", [BYTES] * 60)
    async with line(store.port) as connection:
        await connection.say(request("GET", "/api/v1/media/media_2", x_api_key=store.secret))
        await connection.reader.readexactly(1000)
        await until(lambda: opened())
        if leaving:
            connection.writer.transport.abort()
        await until(lambda: not opened())


@given(st.text(min_size=1, max_size=60))
def test_any_filename_survives(filename: str) -> None:
    header = disposition(filename)
    header.encode("ascii")
    assert not any(ord(each) < 32 for each in header)
    _, _, encoded = header.partition("filename*=UTF-8''")
    if encoded:
        assert unquote(encoded) == filename.encode("utf-8", "replace").decode()
    else:
        assert header == f'attachment; filename="{filename}"'
