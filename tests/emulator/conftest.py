"""What the emulator's own tests share. By itself it imports nothing of the emulator, which needs neonize."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[Any]:
    """Linked once for the stories of a file; none of them breaks a session for the next."""
    from tests.emulator.town import settled

    async with settled() as town:
        yield town
