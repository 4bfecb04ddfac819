"""A network to try things on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.engines import Sandbox
from wagate.engines.sandbox.settings import Bounds


@pytest.fixture
async def world() -> AsyncIterator[Sandbox]:
    """The sandbox and its outside."""
    made = await Sandbox().start()
    yield made
    await made.close()


@pytest.fixture
async def small() -> AsyncIterator[Sandbox]:
    """A network that keeps little: three records at hand, 50 frames."""
    made = await Sandbox(Bounds(frames=50, at_hand=3)).start()
    yield made
    await made.close()
