"""One gateway for all tests of the command line that need a running one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.command import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("gateway") / "data") as gateway:
        yield gateway
