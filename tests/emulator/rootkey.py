"""Let a test process trust the emulator: its Noise root in the place of WhatsApp's, in this process's memory only.

The library on disk stays as it was installed, and the product has no such switch. Works on Linux, where a process can
read its own memory map; the key stands in a writable part of the library, once.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

WHATSAPP_ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")


def trust(root: bytes, library: str = "neonize-linux") -> None:
    """Replace the pinned key by `root`, 32 bytes, in the loaded library.

    Raises:
        RuntimeError: the key is not there exactly once, or where it is cannot be written.
    """
    found = [
        place for begin, end in _writable(library) for place in _places(ctypes.string_at(begin, end - begin), begin)
    ]
    if len(found) != 1 or len(root) != len(WHATSAPP_ROOT):
        raise RuntimeError(f"the pinned key was found {len(found)} times in {library}")
    ctypes.memmove(found[0], root, len(root))


def _writable(library: str) -> list[tuple[int, int]]:
    ranges = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        if len(fields) >= 6 and Path(fields[5]).name.startswith(library) and fields[1].startswith("rw"):
            begin, _, end = fields[0].partition("-")
            ranges.append((int(begin, 16), int(end, 16)))
    return ranges


def _places(memory: bytes, begin: int) -> list[int]:
    places, place = [], memory.find(WHATSAPP_ROOT)
    while place >= 0:
        places.append(begin + place)
        place = memory.find(WHATSAPP_ROOT, place + 1)
    return places
