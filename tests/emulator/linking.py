"""Linking a companion: by a QR text that the phone scans, or by a code that somebody types into the phone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.emulator.accounts import Account, Device
from tests.emulator.keys import KeyPair
from tests.emulator.lines import Line
from tests.emulator.nodes import HIDDEN, SERVER, Node
from tests.emulator.refusals import Refusal
from tests.emulator.schemas import ADVDeviceIdentity, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

REFS = 6
_ROUNDS = 2 << 16


@dataclass
class Typing:
    """A pairing code that a companion asked for: whose phone it is for, and what the companion wrapped with it.

    `ephemeral` and `companion`: the phone's key, and the companion's as the code that was typed last unwraps it;
    `wrong`: how many codes were typed that were not the companion's.
    """

    line: Line
    account: Account
    wrapped: bytes
    ref: bytes
    ephemeral: KeyPair | None = None
    companion: bytes = b""
    wrong: int = 0


class Linking:
    """Everybody who waits to be linked."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.refs = REFS
        self._by_ref: dict[str, Line] = {}
        self._typing: dict[str, Typing] = {}
        self._joining: dict[Line, Device] = {}

    async def begin(self, line: Line) -> None:
        """A new companion: give it the refs that it shows as QR codes one after the other."""
        refs = [base64.b64encode(os.urandom(24)) for _ in range(self.refs)]
        self._by_ref |= {ref.decode(): line for ref in refs}
        await line.ask("md", [Node("pair-device", {}, [Node("ref", {}, ref) for ref in refs])])

    async def scan(self, account: Account, qr: str, *, place: int | None = None) -> Device:
        """The phone scans a QR text; `place` 0 links a session in the phone's own place.

        Raises:
            Refusal: 404, the text is not one that is shown now.
        """
        ref, noise, identity, secret = qr.rpartition("#")[2].split(",")[:4]
        line = self._by_ref.get(ref)
        if line is None:
            raise Refusal(404)
        keys = (base64.b64decode(noise), base64.b64decode(identity))
        if keys != (line.static, line.payload.devicePairingData.eIdent):
            raise Refusal(404, "the QR text is another connection's")
        return await self._accept(line, account, base64.b64decode(secret), place=place)

    async def ask_code(self, line: Line, request: Node) -> list[Node]:
        """A companion wants a code for somebody's phone, or ends what the phone began with it."""
        if request.attrs.get("stage") == "companion_finish":
            return await self._finish(line, request)
        account = self._emulator.accounts.of(request.attrs["jid"])
        if account is None:
            raise Refusal(404)
        ref = base64.b64encode(os.urandom(12))
        wrapped = request.need("link_code_pairing_wrapped_companion_ephemeral_pub").bytes
        self._typing[account.number] = Typing(line=line, account=account, wrapped=wrapped, ref=ref)
        return [Node("link_code_companion_reg", {"stage": "companion_hello"}, [Node("link_code_pairing_ref", {}, ref)])]

    async def type_in(self, account: Account, code: str) -> None:
        """Somebody types the code into the phone. A wrong one shows on the companion, which cannot read the answer.

        Raises:
            Refusal: 404, no companion asked for a code for this phone.
        """
        typing = self._typing.get(account.number)
        if typing is None:
            raise Refusal(404)
        typing.ephemeral = KeyPair()
        key = await asyncio.to_thread(_code_key, code, salt := os.urandom(32))
        theirs = await asyncio.to_thread(_code_key, code, typing.wrapped[:32])
        typing.companion = _counter(theirs, typing.wrapped[32:48], typing.wrapped[48:80])
        start = os.urandom(16)
        wrapped = salt + start + _counter(key, start, typing.ephemeral.public)
        content = [
            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
            Node("primary_identity_pub", {}, account.identity.public),
            Node("link_code_pairing_ref", {}, typing.ref),
        ]
        attrs = {"from": SERVER, "type": "link_code_companion_reg", "id": f"c{time.time_ns()}", "t": int(time.time())}
        body = Node("link_code_companion_reg", {"stage": "primary_hello"}, content)
        await typing.line.send(Node("notification", attrs, [body]))

    def wrong_codes(self, account: Account) -> int:
        """How many wrong codes were typed for the code that this phone is asked for now."""
        typing = self._typing.get(account.number)
        return 0 if typing is None else typing.wrong

    async def _finish(self, line: Line, request: Node) -> list[Node]:
        ref = request.need("link_code_pairing_ref").bytes
        typing = next((each for each in self._typing.values() if each.line is line and each.ref == ref), None)
        if typing is None or typing.ephemeral is None:
            raise Refusal(404)
        bundle = request.need("link_code_pairing_wrapped_key_bundle").bytes
        companion = request.need("companion_identity_public").bytes
        shared = typing.ephemeral.agree(typing.companion)
        key = _derive(shared, bundle[:32], b"link_code_pairing_key_bundle_encryption_key")
        try:
            opened = AESGCM(key).decrypt(bundle[32:44], bundle[44:], None)
        except InvalidTag:
            typing.wrong += 1
            raise Refusal(400, "the code is not the companion's") from None
        if opened[:64] != companion + typing.account.identity.public:
            raise Refusal(401)
        del self._typing[typing.account.number]
        secret = _derive(shared + typing.account.identity.agree(companion) + opened[64:], b"", b"adv_secret")
        await self._accept(line, typing.account, secret)
        return []

    async def _accept(self, line: Line, account: Account, secret: bytes, *, place: int | None = None) -> Device:
        data = line.payload.devicePairingData
        if place is None:
            place, account.next_place = account.next_place, account.next_place + 1
        details = ADVDeviceIdentity(rawID=7, timestamp=int(time.time()), keyIndex=place).SerializeToString()
        signed = ADVSignedDeviceIdentity(
            details=details,
            accountSignatureKey=account.identity.public,
            accountSignature=account.identity.sign(b"\x06\x00" + details + data.eIdent),
        ).SerializeToString()
        container = ADVSignedDeviceIdentityHMAC(
            details=signed, HMAC=hmac.new(secret, signed, hashlib.sha256).digest()
        ).SerializeToString()
        device = Device(account=account, place=place, noise=line.static, identity=data.eIdent, registration=data.eRegid)
        self._joining[line] = device
        content = [
            Node("device-identity", {}, container),
            Node("biz", {"name": ""}),
            Node("device", {"jid": device.jid(), "lid": device.jid(HIDDEN)}),
            Node("platform", {"name": "android"}),
        ]
        await line.ask("md", [Node("pair-success", {}, content)])
        return device

    async def confirmed(self, line: Line) -> None:
        """The companion signed its identity: it is linked now and told to come back under its own name."""
        device = self._joining.pop(line, None)
        if device is None:
            return
        self._by_ref = {ref: each for ref, each in self._by_ref.items() if each is not line}
        account = device.account
        account.devices[device.place] = device
        if device.place:
            await self._emulator.tell_devices(account, "add", device)
        else:
            await self._emulator.tell_identity(account)
        await line.end(Node("stream:error", {"code": "515"}))

    def forget(self, line: Line) -> None:
        """The line is gone, and with it what it showed."""
        self._by_ref = {ref: each for ref, each in self._by_ref.items() if each is not line}
        self._typing = {number: each for number, each in self._typing.items() if each.line is not line}
        self._joining.pop(line, None)


def _code_key(code: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", code.replace("-", "").upper().encode(), salt, _ROUNDS, 32)


def _counter(key: bytes, start: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _derive(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, purpose).derive(secret)
