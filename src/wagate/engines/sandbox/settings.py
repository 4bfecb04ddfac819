"""How fast the pretend network is."""

from __future__ import annotations

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The network's times in seconds; the defaults are the documented ones. `qr`: how long each code is shown."""

    delivered: float = 0.020
    read: float = 0.060
    slow_ack: float = 2.0
    qr: tuple[float, ...] = (60, 20, 20, 20, 20, 20)
    pairing_code: float = 160
    direct_invite: float = 3 * 86400
    held_back: float = 0.1
    retry: float = 1.0


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much the network keeps: frames (and their messages) in the store, messages at hand in memory."""

    frames: int = 100_000
    at_hand: int = 4096
    replayed: int = 100
    searched: int = 5_000
