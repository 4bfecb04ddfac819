"""Curve25519 keys and the XEdDSA signatures that WhatsApp makes with them.

No library signs with a Curve25519 key as it is, so the few lines of curve arithmetic stand here: for certificates and
device identities of a test network, where speed and side channels do not matter.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P

_Point = tuple[int, int, int, int]


class KeyPair:
    """A Curve25519 key; `private` is 32 random bytes unless given."""

    def __init__(self, private: bytes | None = None) -> None:
        self.private = private or os.urandom(32)
        self._key = X25519PrivateKey.from_private_bytes(self.private)
        self.public = self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """The secret shared with the owner of another key."""
        return self._key.exchange(X25519PublicKey.from_public_bytes(public))

    def sign(self, message: bytes) -> bytes:
        """An XEdDSA signature, 64 bytes: whoever knows `public` can verify it."""
        scalar = int.from_bytes(self.private, "little")
        scalar = scalar & ((1 << 255) - 8) | 1 << 254
        public = _pack(_multiply(scalar, _BASE))
        nonce = _hash(b"\xfe" + b"\xff" * 31, self.private, message, os.urandom(64))
        point = _pack(_multiply(nonce, _BASE))
        answer = (nonce + _hash(point, public, message) * scalar) % _ORDER
        signature = bytearray(point + answer.to_bytes(32, "little"))
        signature[63] |= public[31] & 0x80
        return bytes(signature)


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % _ORDER


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _base() -> _Point:
    y = 4 * pow(5, _P - 2, _P) % _P
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if x & 1:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE = _base()


def _pack(point: _Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
