"""The ground under the protocol, without the client library: nodes, the handshake's keys, the proxy, the process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.emulator.accounts import Accounts, hash_of
from tests.emulator.emulator import Emulator
from tests.emulator.keys import KeyPair
from tests.emulator.nodes import HIDDEN, SERVER, Jid, Node, decode, encode, parse
from tests.emulator.refusals import wire_code
from wagate.errors import NotAMember, NotGroupAdmin, Refused

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("text", ["99900000001@s.whatsapp.net", "99900000001:7@s.whatsapp.net", "12@lid", "g.us"])
def test_an_address_travels_as_it_is(text: str) -> None:
    node = decode(encode(Node("iq", {"to": parse(text), "id": "7", "type": "set"})))
    assert str(node.attrs["to"]) == text
    assert node.attrs["id"] == "7"


def test_content_stays_bytes_even_where_it_is_a_token() -> None:
    node = decode(encode(Node("iq", {"from": SERVER}, [Node("a", {}, b"receipt"), Node("b", {}, b"\0" * 70_000)])))
    assert [child.content for child in node.children] == [b"receipt", b"\0" * 70_000]
    assert (
        decode(encode(Node("list", {}, [Node("item", {}, str(n)) for n in range(300)]))).children[299].bytes == b"299"
    )


def test_a_frame_that_ends_early_is_refused() -> None:
    with pytest.raises(ValueError, match="ends early"):
        decode(encode(Node("iq", {"id": "12345"}))[:-2])


def test_a_signature_can_be_verified_by_the_curve_of_edwards() -> None:
    pair, message = KeyPair(), b"signed"
    signature = bytearray(pair.sign(message))
    sign_bit = signature[63] & 0x80
    signature[63] &= 0x7F
    key = Ed25519PublicKey.from_public_bytes(_edwards(pair.public, sign_bit))
    key.verify(bytes(signature), message)
    with pytest.raises(InvalidSignature):
        key.verify(bytes(signature), b"something else")


def _edwards(public: bytes, sign: int) -> bytes:
    """The same key on the other form of the curve: y = (u - 1) / (u + 1)."""
    prime = 2**255 - 19
    u = int.from_bytes(public, "little")
    y = bytearray(((u - 1) * pow(u + 1, prime - 2, prime) % prime).to_bytes(32, "little"))
    y[31] |= sign
    return bytes(y)


def test_two_keys_agree_on_a_secret() -> None:
    one, other = KeyPair(), KeyPair()
    assert one.agree(other.public) == other.agree(one.public)


def test_a_person_is_found_by_number_and_by_lid_and_nobody_is_not() -> None:
    accounts = Accounts()
    anna = accounts.get("99900000001")
    assert accounts.of(anna.jid()) is accounts.of(anna.jid(HIDDEN)) is anna
    assert accounts.of(Jid("99930000001", "s.whatsapp.net")) is None
    assert accounts.of(Jid("4915111111111", "s.whatsapp.net")) is None


def test_the_hash_of_a_device_list_does_not_depend_on_its_order() -> None:
    devices = [Jid("99900000001", "s.whatsapp.net", place) for place in range(3)]
    assert hash_of(devices) == hash_of(devices[::-1]) != hash_of(devices[:2])


def test_the_rules_of_the_sandbox_read_as_codes() -> None:
    assert [wire_code(each) for each in (NotGroupAdmin(), NotAMember(), Refused(waCode=419))] == [401, 403, 419]


async def test_the_proxy_refuses_every_name_that_is_not_whatsapps() -> None:
    async with Emulator() as emulator:
        for name, answer in (("example.org", b"403"), ("evilwhatsapp.net", b"403"), ("web.whatsapp.com", b"200")):
            reader, writer = await asyncio.open_connection("127.0.0.1", emulator.proxy.port)
            writer.write(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
            assert answer in await reader.readline()
            writer.close()
        emulator.proxy.shut = True
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.proxy.port)
        writer.write(b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\n\r\n")
        assert b"503" in await reader.readline()
        writer.close()
        assert emulator.proxy.refused == ["example.org:443", "evilwhatsapp.net:443"]
        assert emulator.proxy.asked == ["web.whatsapp.com:443"] * 2


async def test_the_proxy_refuses_who_looked_a_name_up_before_asking() -> None:
    async with Emulator() as emulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.proxy.port)
        writer.write(b"\x05\x01\x00")
        assert await reader.readexactly(2) == b"\x05\x00"
        writer.write(b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb")
        assert (await reader.readexactly(10))[1] == 2
        writer.close()
        assert emulator.proxy.refused == ["by address"]


async def test_it_runs_as_a_process_and_is_moved_by_lines() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).parent)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert "proxy" in json.loads(await process.stdout.readline())
    for request, expected in (
        ({"do": "scan", "person": "99900000001", "args": ["no,such,qr,text"]}, "error"),
        ({"do": "call_themselves", "person": "99900000001", "args": ["Anna"]}, "result"),
        ({"do": "state"}, "result"),
    ):
        process.stdin.write(json.dumps(request).encode() + b"\n")
        assert expected in json.loads(await process.stdout.readline())
    process.stdin.close()
    assert await process.wait() == 0
