"""What the emulator's own tests share: three people with a linked session each, in one process of the library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.emulator.emulator import Emulator
from tests.emulator.library import Library, Session

ANNA, BEN, CLEO = "99900000001", "99900000002", "99900000003"


@dataclass
class Town:
    """Three people who can talk."""

    emulator: Emulator
    library: Library
    anna: Session
    ben: Session
    cleo: Session


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[Town]:
    """Linked once for the stories of a file; none of them breaks a session for the next."""
    async with Emulator() as emulator, Library(emulator) as library:
        anna, ben, cleo = [
            await library.link(name, number) for name, number in (("anna", ANNA), ("ben", BEN), ("cleo", CLEO))
        ]
        yield Town(emulator, library, anna, ben, cleo)
        assert emulator.unknown == []
