"""What the emulator's own tests share. By itself it imports nothing of the emulator, which needs neonize."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

SHORT = {"test_ground", "test_linking"}
"""What `make test` runs: that the library links, talks, and trusts nobody else. The rest is for who changes the
emulator; what it is made for is promised by the tests of the engine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/emulator/") and item.path.stem not in SHORT:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[Any]:
    """Linked once for the stories of a file; none of them breaks a session for the next."""
    from tests.emulator.town import settled

    async with settled() as town:
        yield town
