"""The adapters that contract tests run against."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.contracted import Contracted, Lending
from tests.support.engines import Sandbox
from tests.support.whatsapp import why_not

_MARKS = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of an engine runs on every engine; with some the real library takes its time."""
    if "world" in metafunc.fixturenames:
        takes_long = metafunc.definition.get_closest_marker("long_on_whatsapp") is not None
        marks = [*_MARKS, pytest.mark.long] if takes_long else _MARKS
        metafunc.parametrize("world", ["sandbox", pytest.param("whatsapp", marks=marks)], indirect=True)


@pytest.fixture(scope="module")
async def lending() -> AsyncIterator[Lending]:
    """Linked accounts of a file; nothing is made before somebody asks."""
    made = Lending()
    yield made
    await made.close()


@pytest.fixture
async def world(request: pytest.FixtureRequest, lending: Lending) -> AsyncIterator[Any]:
    """An engine and what is around it."""
    made: Any = await (Sandbox().start() if request.param == "sandbox" else Contracted.begin(lending))
    yield made
    await made.close()
