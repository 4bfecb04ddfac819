"""The server's side of the Noise XX handshake, and the cipher of the frames after it."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.emulator.keys import KeyPair
from tests.emulator.schemas import HandshakeMessage

_XX = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"


class Handshake:
    """One handshake, begun by the client's first bytes (`WA`, 6, dictionary version)."""

    def __init__(self, header: bytes, static: KeyPair, chain: bytes) -> None:
        self._digest = self._salt = _XX
        self._cipher = Cipher(_XX)
        self._static = static
        self._chain = chain
        self._ephemeral = KeyPair()
        self._client = b""
        self._absorb(header)

    def answer(self, hello: bytes) -> bytes:
        """The server hello to a client hello. A quicker way that the client offers is never taken: XX always works."""
        message = HandshakeMessage.FromString(hello)
        self._client = message.clientHello.ephemeral
        self._absorb(self._client)
        self._absorb(self._ephemeral.public)
        self._mix(self._ephemeral.agree(self._client))
        static = self._seal(self._static.public)
        self._mix(self._static.agree(self._client))
        answer = HandshakeMessage()
        answer.serverHello.ephemeral = self._ephemeral.public
        answer.serverHello.static = static
        answer.serverHello.payload = self._seal(self._chain)
        return answer.SerializeToString()

    def finish(self, finish: bytes) -> tuple[bytes, bytes]:
        """(the client's static key, its payload).

        Raises:
            InvalidTag: the client does not know what it must.
        """
        message = HandshakeMessage.FromString(finish).clientFinish
        static = self._open(message.static)
        self._mix(self._ephemeral.agree(static))
        payload: bytes = self._open(message.payload)
        return static, payload

    def split(self) -> tuple[Cipher, Cipher]:
        """Ciphers for (what comes, what goes)."""
        coming, going = self._derive(b"")
        return Cipher(coming), Cipher(going)

    def _absorb(self, data: bytes) -> None:
        self._digest = hashlib.sha256(self._digest + data).digest()

    def _mix(self, secret: bytes) -> None:
        self._salt, key = self._derive(secret)
        self._cipher = Cipher(key)

    def _derive(self, secret: bytes) -> tuple[bytes, bytes]:
        derived = HKDF(hashes.SHA256(), 64, self._salt, b"").derive(secret)
        return derived[:32], derived[32:]

    def _seal(self, plain: bytes) -> bytes:
        sealed = self._cipher.seal(plain, self._digest)
        self._absorb(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        plain = self._cipher.open(sealed, self._digest)
        self._absorb(sealed)
        return plain


class Cipher:
    """AES-GCM with a counter for a nonce: in the handshake, then one for each direction."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)
        self._count = 0

    def seal(self, plain: bytes, bound: bytes = b"") -> bytes:
        """The next ciphertext."""
        return self._aes.encrypt(self._nonce(), plain, bound)

    def open(self, sealed: bytes, bound: bytes = b"") -> bytes:
        """The next plaintext."""
        return self._aes.decrypt(self._nonce(), sealed, bound)

    def _nonce(self) -> bytes:
        self._count += 1
        return (self._count - 1).to_bytes(12, "big")
