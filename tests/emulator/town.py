"""Three people with a linked session each, in one process of the library: what most stories begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

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


@asynccontextmanager
async def settled() -> AsyncIterator[Town]:
    """A town for as long as it is needed."""
    async with Emulator() as emulator, Library(emulator) as library:
        emulator.first_count = 1
        people = (("anna", ANNA), ("ben", BEN), ("cleo", CLEO))
        anna, ben, cleo = [await library.link(name, number) for name, number in people]
        yield Town(emulator, library, anna, ben, cleo)
