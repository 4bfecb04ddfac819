"""No answer is larger or slower than allowed, and whatever comes is an answer or one of our errors."""

from __future__ import annotations

import asyncio
import errno
import gzip
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.receiver import (
    HERE,
    LONG,
    Reply,
    answer,
    bodiless,
    door,
    dripping,
    fetch,
    forever,
    receiving,
    reset,
    silent,
)
from wagate.backends.guard import HeaderRefused
from wagate.backends.http import BODY_START, PIECE, Answer, CustomerDoor, Fetched, FetchFailed, TooLarge

pytestmark = pytest.mark.anyio


# What comes


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "304 Not Modified", "101 Switching", "429 Slow"])
async def test_what_is_not_2xx_is_a_failure_with_its_status(status: str) -> None:
    said = b"" if status.startswith("304") else b"sorry"
    async with receiving(file=answer(said, status=status)) as receiver, door() as opened:
        with pytest.raises(FetchFailed) as caught:
            await fetch(opened, f"{receiver.url}/file")
        assert caught.value.status == int(status[:3])


async def test_no_content_is_a_body_of_no_bytes() -> None:
    async with receiving(file=b"HTTP/1.1 204 No Content\r\n\r\n") as receiver, door() as opened:
        fetched, _ = await fetch(opened, f"{receiver.url}/file")
        assert fetched == Fetched(content_type="application/octet-stream", size=0)


async def test_a_body_that_declares_itself_too_large_is_not_read() -> None:
    async def boast(writer: asyncio.StreamWriter) -> None:
        writer.write(bodiless("Content-Length: 1001"))
        await silent(writer)

    async with receiving(file=boast) as receiver, door() as opened:
        with pytest.raises(TooLarge):
            await fetch(opened, f"{receiver.url}/file")


async def test_a_body_that_does_not_end_is_cut_off_at_the_limit() -> None:
    async with receiving(file=forever) as receiver, door() as opened:
        with pytest.raises(TooLarge):
            await fetch(opened, f"{receiver.url}/file", most_bytes=3 * PIECE)
        await asyncio.wait_for(receiver.left.wait(), LONG)


@pytest.mark.parametrize("size", [0, 1, 1000, 1001])
async def test_a_chunked_body_is_bounded_to_the_byte(size: int) -> None:
    chunks = b"".join(b"1\r\nx\r\n" for _ in range(size)) + b"0\r\n\r\n"
    async with receiving(file=bodiless("Transfer-Encoding: chunked") + chunks) as receiver, door() as opened:
        if size <= 1000:
            assert (await fetch(opened, f"{receiver.url}/file"))[1] == b"x" * size
        else:
            with pytest.raises(TooLarge):
                await fetch(opened, f"{receiver.url}/file")


async def test_large_bodies_go_through_in_pieces() -> None:
    body = bytes(range(256)) * 4096 * 2
    async with receiving(file=answer(body)) as receiver, door() as opened:
        assert (await fetch(opened, f"{receiver.url}/file", most_bytes=len(body)))[1] == body


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZIP", "zstd"])
async def test_a_compressed_body_is_refused_and_never_unpacked(encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    async with receiving(file=answer(bomb, f"Content-Encoding: {encoding}")) as receiver, door() as opened:
        with pytest.raises(FetchFailed, match="compressed"):
            await fetch(opened, f"{receiver.url}/file", most_bytes=100_000_000)
        assert "accept-encoding: identity" in receiver.heads[0].lower()


@pytest.mark.parametrize("reply", [silent, dripping])
async def test_an_answer_that_takes_too_long_is_a_failure(reply: Reply) -> None:
    async def drop(piece: bytes) -> None:
        assert piece

    async with receiving(file=reply) as receiver, door() as opened:
        with pytest.raises(FetchFailed, match="in time"):
            await opened.get(f"{receiver.url}/file", sink=drop, most_bytes=1_000_000, timeout=0.2)


@pytest.mark.parametrize(
    "reply",
    [
        reset, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", b"\0\0\0 what\r\n\r\n", b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)  # fmt: skip
async def test_an_answer_that_breaks_off_or_is_not_http_is_a_failure(reply: Reply) -> None:
    async def broken(writer: asyncio.StreamWriter) -> None:
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
            writer.close()
        else:
            await reply(writer)

    async with receiving(file=broken) as receiver, door() as opened:
        with pytest.raises(FetchFailed):
            await fetch(opened, f"{receiver.url}/file")


async def test_nobody_there_is_a_failure() -> None:
    async with receiving() as receiver:
        port = receiver.port
    async with door(name=["127.0.0.1", "::1"]) as opened:
        for host in ("127.0.0.1", "name.test"):
            with pytest.raises(FetchFailed, match="connected"):
                await fetch(opened, f"http://{host}:{port}/")


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(tmp_path: Path) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(self_signed(tmp_path))
    async with receiving(file=answer(b"secret"), tls=served) as receiver, door() as opened:
        with pytest.raises(FetchFailed, match="certificate"):
            await fetch(opened, f"https://127.0.0.1:{receiver.port}/file")
        with pytest.raises(FetchFailed, match="certificate"):
            await opened.post(f"https://127.0.0.1:{receiver.port}/file", b"", {}, timeout=LONG)
        assert not receiver.heads


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.now(UTC) - timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    signed = made.not_valid_before(start).not_valid_after(start + timedelta(days=9)).sign(key, hashes.SHA256())
    pem = folder / "server.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    pem.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return pem


@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "full"), TimeoutError("slow disk"), KeyError("x")])
async def test_the_sinks_own_error_reaches_the_caller(trouble: Exception) -> None:
    async def full(piece: bytes) -> None:
        raise trouble

    async with receiving(file=answer(b"whole")) as receiver, door() as opened:
        with pytest.raises(type(trouble)) as caught:
            await opened.get(f"{receiver.url}/file", sink=full, most_bytes=1000, timeout=LONG)
        assert caught.value is trouble


# Posts


async def post(opened: CustomerDoor, url: str, body: bytes = b"{}", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await opened.post(url, body, named, timeout=LONG)


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "404 Not Found", "410 Gone", "500 Oops"])
async def test_any_answer_to_a_post_is_an_answer(status: str) -> None:
    said = b"" if status.startswith("204") else b"said"
    reply = answer(said, "Retry-After: 7", "Location: /x", status=status)
    async with receiving(hook=reply) as receiver, door() as opened:
        got = await post(opened, f"{receiver.url}/hook", b"{1}", X_Own="grüße", Content_Type="application/json")
        assert (got.status, got.body_start) == (int(status[:3]), said)
        assert got.headers["retry-after"] == "7"
        assert receiver.bodies == [b"{1}"]
        head = receiver.heads[0].lower()
        assert head.startswith("post /hook http/1.1")
        for line in ("user-agent: wagate/", "content-type: application/json", "x-own: ", "content-length: 3"):
            assert line in head


@pytest.mark.parametrize(
    ("name", "value"), [("X-Own", "a\r\nX: 1"), ("X-Own", "a\0"), ("X\nY", "1"), ("Host", "x"), ("Content-Length", "9")]
)
async def test_a_header_that_breaks_out_is_refused_before_anything_is_sent(name: str, value: str) -> None:
    async with receiving(hook=answer()) as receiver, door() as opened:
        with pytest.raises(HeaderRefused):
            await opened.post(f"{receiver.url}/hook", b"{}", {name: value}, timeout=LONG)
        assert not receiver.connections


async def test_posts_to_one_host_share_a_connection_and_one_resolution() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with receiving(hook=answer(b"fine")) as receiver:
        opened = CustomerDoor(HERE, resolve=resolve)
        for _ in range(20):
            assert (await post(opened, f"http://name.test:{receiver.port}/hook")).status == 200
        await opened.close()
        assert (receiver.connections, len(receiver.heads), asked) == (1, 20, ["name.test"])


@pytest.mark.parametrize("reply", [forever, answer(b"x" * 1_000_000), answer(b"x" * (BODY_START + 1))])
async def test_only_the_start_of_a_long_answer_is_read(reply: Reply) -> None:
    async with receiving(hook=reply) as receiver, door() as opened:
        got = await post(opened, f"{receiver.url}/hook")
        assert (got.status, got.body_start) == (200, b"x" * BODY_START)
        receiver.replies["/hook"] = answer(b"fine")
        assert (await post(opened, f"{receiver.url}/hook")).body_start == b"fine"


async def test_a_status_stands_although_the_body_after_it_breaks_off() -> None:
    async with receiving(hook=reset) as receiver, door() as opened:
        got = await post(opened, f"{receiver.url}/hook")
        assert got.status == 200
        assert got.body_start == b"x" * len(got.body_start)
        assert len(receiver.heads) == 1


async def test_a_status_stands_although_the_body_after_it_drips() -> None:
    async with receiving(hook=dripping) as receiver, door() as opened:
        got = await opened.post(f"{receiver.url}/hook", b"{}", {}, timeout=0.2)
        assert got.status == 200
        await asyncio.wait_for(receiver.left.wait(), LONG)


async def test_a_post_without_an_answer_fails_and_is_not_sent_again() -> None:
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with receiving(silent=silent, hangs=hang_up) as receiver, door() as opened:
        with pytest.raises(FetchFailed, match="in time"):
            await opened.post(f"{receiver.url}/silent", b"{}", {}, timeout=0.2)
        with pytest.raises(FetchFailed, match="broke off"):
            await post(opened, f"{receiver.url}/hangs")
        assert receiver.paths == ["/silent", "/hangs"]


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


async def test_interim_answers_without_end_take_nobody_elses_time() -> None:
    async def chatter(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(INTERIM * 1000)
            await writer.drain()

    async with receiving(x=chatter) as receiver, door() as opened:
        with pytest.raises(FetchFailed, match="not HTTP"):
            await opened.post(f"{receiver.url}/x", b"", {}, timeout=LONG)
        await receiver.left.wait()


async def test_a_few_interim_answers_are_let_through_each_time() -> None:
    async with receiving(x=INTERIM * 10 + answer()) as receiver, door() as opened:
        for _ in range(3):
            assert (await opened.post(f"{receiver.url}/x", b"", {}, timeout=LONG)).status == 200
        assert receiver.connections == 1
