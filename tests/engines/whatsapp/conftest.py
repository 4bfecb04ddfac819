"""The real library in real host processes, against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.emulator.emulator import Emulator
from tests.support.whatsapp import WhatsApp


@pytest.fixture
async def world() -> AsyncIterator[WhatsApp]:
    """An engine on an empty folder, and a network without anybody in it."""
    async with Emulator() as emulator:
        made = WhatsApp(emulator)
        try:
            yield made
        finally:
            await made.close()
