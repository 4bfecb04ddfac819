"""Base64 becomes the same file however it came, and a body's digest is the same for the same content.

What is large goes to disk as it arrives, and nothing of it stays there unless somebody keeps it.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.engines import until
from tests.support.serving import Answer, gateway, key, line, request, serving
from tests.support.serving import ask as asked
from wagate.api.app import ApiOptions
from wagate.api.operations import MEDIA_BODY, MIB, SEND, Call, Operation
from wagate.api.scanner import Scanner
from wagate.api.spools import Spools, media_file
from wagate.backends.blobs import DiskBlobs
from wagate.errors import BadRequest, PayloadTooLarge
from wagate.model import Ask
from wagate.model.media import FILE_BYTES

pytestmark = pytest.mark.anyio

BYTES = os.urandom(100_001)
TEXT = base64.b64encode(BYTES).decode()


class Media(Ask, frozen=True, kw_only=True):
    data: str | None = None
    caption: str | None = None


class Body(Ask, frozen=True, kw_only=True):
    to: str
    media: Media | None = None
    medias: list[Media] | None = None


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DiskBlobs]:
    store = DiskBlobs(tmp_path)
    yield store
    assert not list(tmp_path.glob("spool/*"))
    await store.close()


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "A", "AAAAA", "AA=", "A===", "====", "AAA-", "AA_A", "AA AA", "AA==AA==", "AAA=A", "Ää==", " AAAA",
        "\ud800", "AA\0A", "data:", "data:,AAAA", "data:text/plain,AAAA", "data:;base64,", "data:;base64",
        "data:x;base64,AAAA", "data:image/png;\n;base64,AAAA", "data:image/png;base64,data:image/png;base64,AAAA",
    ],
)  # fmt: skip
async def test_what_is_not_base64_is_refused_by_its_path(blobs: DiskBlobs, text: str) -> None:
    async with Spools(blobs.spooling) as spools:
        with pytest.raises(BadRequest) as refused:
            await media_file(text, spools, path="medias[1].data")
    assert refused.value.details["fields"][0]["path"] == "medias[1].data"


async def test_too_much_inline_is_refused_too(blobs: DiskBlobs) -> None:
    async with Spools(blobs.spooling, limit=150_000) as spools:
        await media_file(TEXT, spools)
        with pytest.raises(PayloadTooLarge):
            await media_file(TEXT, spools)


@pytest.mark.parametrize(
    ("text", "mimetype"),
    [
        ("AAECAw==", None),
        ("AAECAw", None),
        ("data:image/png;base64,AAECAw==", "image/png"),
        ("DATA:Image/PNG;name=x.png;BASE64,AAECAw", "image/png"),
        ("data:;base64,AAECAw", None),
    ],
)
async def test_base64_is_read_in_its_several_forms(blobs: DiskBlobs, text: str, mimetype: str | None) -> None:
    async with Spools(blobs.spooling) as spools:
        media = await media_file(text, spools)
        assert (await media.file.head(), media.mimetype) == (b"\0\1\2\3", mimetype)


async def test_one_text_twice_is_two_files(blobs: DiskBlobs) -> None:
    async with Spools(blobs.spooling) as spools:
        first, second = await media_file("AAAA", spools), await media_file("AAAA", spools)
        assert first.file.path != second.file.path
        await blobs.adopt(first.file, "media_1")
        await blobs.adopt(second.file, "media_2")


async def digest(blobs: DiskBlobs, raw: str, *, spooled: bool) -> str:
    async with Spools(blobs.spooling) as spools:
        if spooled:
            scanner = Scanner(spools, limit=1 << 20)
            scanner.feed(raw.encode())
            raw = scanner.finish().decode()
        assert spooled != (TEXT[:1000] in raw)
        body = msgspec.json.decode(raw, type=Body)
        for media in [body.media, *(body.medias or ())]:
            if media is not None and media.data is not None:
                await media_file(media.data, spools)
        return spools.digest(body)


async def test_a_digest_knows_the_bytes_and_not_how_they_came(blobs: DiskBlobs) -> None:
    plain = '{"to":"1","media":{"data":"' + TEXT + '"}}'
    same = [plain, plain.replace("=", ""), '{"media":{"data":"' + TEXT + '","caption":null},"to":"1"}']
    found = {await digest(blobs, raw, spooled=spooled) for raw in same for spooled in (True, False)}
    assert len(found) == 1
    others = [
        plain.replace('"1"', '"2"'),
        plain.replace('"data":"', '"data":"AAAA'),
        plain.replace('"data":"', '"data":"data:image/png;base64,'),
        '{"to":"1","medias":[{"data":"' + TEXT + '"}]}',
    ]
    found |= {await digest(blobs, raw, spooled=True) for raw in others}
    assert len(found) == 1 + len(others)


async def test_a_body_without_media_has_the_digest_of_its_json(blobs: DiskBlobs) -> None:
    body = Body(to="1", media=Media(caption="c"))
    async with Spools(blobs.spooling) as spools:
        assert spools.digest(body) == hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


async def test_what_nobody_adopts_goes_with_the_request(blobs: DiskBlobs) -> None:
    async with Spools(blobs.spooling) as spools:
        kept = await media_file(TEXT, spools)
        await media_file(TEXT, spools)
        await blobs.adopt(kept.file, "media_1")
    blob = await blobs.open("media_1")
    assert blob is not None
    assert b"".join([piece async for piece in blob.read()]) == BYTES


class Kept(Ask, frozen=True, kw_only=True):
    name: str
    data: str | None = None


async def keep(call: Call) -> dict[str, Any]:
    """Keep a file that came in JSON."""
    media = await media_file(call.body.data, call.spools) if call.body.data is not None else None
    facts = {} if media is None else {"size": media.file.size, "sha256": media.file.sha256}
    return {"name": call.body.name, "digest": call.spools.digest(call.body), **facts}


async def upload(call: Call) -> dict[str, Any]:
    """Keep a file that came raw."""
    return {"size": call.body.size, "sha256": call.body.sha256}


def operation(id: str, run: Any, **more: Any) -> Operation:
    return Operation(id=id, method="POST", path=f"/{id}", run=run, tag="t", capability=SEND, spooled=True, **more)


MEDIA = [
    operation("keep", keep, body=Kept, max_body=MEDIA_BODY),
    operation("upload", upload, body=bytes, max_body=FILE_BYTES),
]


@dataclass
class Gate:
    port: int
    secret: str
    spool: Path

    async def ask(self, path: str, body: bytes, **headers: str) -> Answer:
        return await asked(self.port, "POST", f"/api/v1/{path}", body, x_api_key=self.secret, **headers)

    def head(self, path: str, **headers: str) -> bytes:
        return request("POST", f"/api/v1/{path}", x_api_key=self.secret, **headers)

    def spooled(self) -> list[Path]:
        return list(self.spool.glob("*"))


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    blobs = DiskBlobs(tmp_path)
    options = ApiOptions(body_timeout=0.5)
    async with gateway() as gw, serving(dataclasses.replace(gw, blobs=blobs), MEDIA, options) as port:
        gate = Gate(port, (await key(gw, "send")).secret, blobs.spooling.folder)
        yield gate
    # Whatever was done, and however it ended.
    assert not gate.spooled()
    await blobs.close()


def document(raw: bytes) -> bytes:
    return b'{"data":"' + base64.b64encode(raw) + b'","name":"x"}'


@pytest.mark.parametrize("size", [FILE_BYTES, 100_000, 1])
async def test_a_file_of_the_largest_size_comes_through_whole(gate: Gate, size: int) -> None:
    raw = os.urandom(size)
    facts = {"size": size, "sha256": hashlib.sha256(raw).hexdigest()}
    body = document(raw)
    kept = await gate.ask("keep", body)
    assert facts.items() <= kept.json().items()
    assert (await gate.ask("upload", raw, content_type="image/png")).json() == facts
    chunks = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
    async with line(gate.port) as connection:
        await connection.say(gate.head("keep", transfer_encoding="chunked"))
        await connection.say(*(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks), b"0\r\n\r\n")
        assert (await connection.answer()).json() == kept.json()
        await connection.say(gate.head("keep", content_length="12"), b'{"name":"y"}')
        assert (await connection.answer()).json()["name"] == "y"


async def test_a_file_of_more_than_the_largest_size_is_refused(gate: Gate) -> None:
    for path, body in (("keep", document(bytes(FILE_BYTES + 1))), ("upload", bytes(FILE_BYTES + 1))):
        async with line(gate.port) as connection:
            await connection.say(gate.head(path, transfer_encoding="chunked"))
            # The answer may come before all is written.
            connection.writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            assert (await connection.answer()).code == "payload_too_large"


async def test_what_is_too_much_is_refused_before_it_has_all_come(gate: Gate) -> None:
    more = document(bytes(FILE_BYTES + MIB))
    for path, body in (("keep", more), ("upload", bytes(FILE_BYTES + MIB)), ("keep", bytes(2 * MIB))):
        async with line(gate.port) as connection:
            await connection.say(gate.head(path, transfer_encoding="chunked"))
            # The last byte is never sent: the answer comes without it.
            connection.writer.write(b"%x\r\n" % len(body) + body[:-1])
            refused = await connection.answer()
            assert (refused.status, refused.code, refused.headers["connection"]) == (413, "payload_too_large", "close")


async def test_what_is_no_file_is_limited_as_ever(gate: Gate) -> None:
    body = json.dumps({"name": "x" * (1 << 20)}).encode()
    assert (await gate.ask("keep", body)).code == "payload_too_large"
    assert (await gate.ask("keep", json.dumps({"name": "x" * 1_000_000}).encode())).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"name":"x","data":1}', b'{"name":"x","data":""}', b'{"name":"x","data":"%"}',
        b'{"name":"x","data":"' + b"%" * 999_999 + b'"}', document(os.urandom(300_000))[:-1],
        document(os.urandom(300_000))[:300_000], b"[" + document(os.urandom(300_000)) + b"]",
        document(os.urandom(300_000))[:-1] + b',"unknown":1}', b"[" * 1_000_000, b"\xff" * 1_000_000,
        b'{"name":"\xff","data":"' + b"AAAA" * 100_000 + b'"}', b'{"name":"x","data":"' + b"AA\nA" * 100_000 + b'"}',
    ],
)  # fmt: skip
async def test_a_wrong_large_body_is_refused_like_a_small_one(gate: Gate, body: bytes) -> None:
    refused = await gate.ask("keep", body)
    assert (refused.status, refused.code) == (400, "validation_error")


async def test_an_empty_upload_and_a_wrong_type_are_refused(gate: Gate) -> None:
    assert (await gate.ask("upload", b"")).code == "validation_error"
    async with line(gate.port) as connection:
        await connection.say(gate.head("keep", content_type="multipart/form-data", content_length=str(MEDIA_BODY)))
        assert (await connection.answer()).code == "validation_error"
        assert await connection.ended()


async def test_no_credential_no_body_read(gate: Gate) -> None:
    async with line(gate.port) as connection:
        head = request("POST", "/api/v1/keep", x_api_key="wrong", content_length=str(MEDIA_BODY))
        await connection.say(head, document(bytes(100_000)))
        assert (await connection.answer()).status == 401
        assert await connection.ended()


@pytest.mark.parametrize("path", ["keep", "upload"])
@pytest.mark.parametrize("leaving", [True, False])
async def test_who_leaves_or_stalls_in_the_middle_leaves_no_file(gate: Gate, path: str, leaving: bool) -> None:
    async with line(gate.port) as connection:
        await connection.say(gate.head(path, content_length="10000000"), document(bytes(1_000_000)))
        await until(gate.spooled)
        if leaving:
            connection.writer.transport.abort()
        else:
            refused = await connection.answer()
            assert (refused.status, refused.code) == (400, "validation_error")
        await until(lambda: not gate.spooled())


async def test_a_full_disk_is_told(gate: Gate) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        refused = [await gate.ask("keep", document(bytes(300_000))), await gate.ask("upload", bytes(200_000))]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(each.status, each.code) for each in refused] == [(503, "gateway_unavailable")] * 2
