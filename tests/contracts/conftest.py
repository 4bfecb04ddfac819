"""The adapters that contract tests run against."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.engines import Sandbox


@pytest.fixture(params=["sandbox"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """An engine and what is around it."""
    made = await Sandbox().start()
    yield made
    await made.close()
