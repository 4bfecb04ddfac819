"""The real library in real host processes, against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.emulator.emulator import Emulator
from tests.support.company import Company, gathered
from tests.support.whatsapp import WhatsApp


@pytest.fixture
async def world() -> AsyncIterator[WhatsApp]:
    """An engine on an empty folder, and a network without anybody in it."""
    async with Emulator() as emulator:
        emulator.first_count = 1
        made = WhatsApp(emulator)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture(scope="package")
async def everybody() -> AsyncIterator[Company]:
    """People who were linked once for the stories of this folder."""
    async with gathered() as company:
        yield company


@pytest.fixture
async def company(everybody: Company) -> Company:
    """The same people, who have heard nothing yet. No story leaves anybody unlinked, or a lock behind."""
    await everybody.rest()
    everybody.forget()
    return everybody
