"""What all tests share: the event loop, hypothesis' profiles, and PostgreSQL."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.support.postgres import PostgresMissing, cluster, dsn, execute

settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_numbers = itertools.count(1)

WEIGHT = ("engines/whatsapp", "contracts", "journeys", "docs", "cli", "postgres", "api/test_generated.py", "api", "")
LIGHT = ("model", "plan")
"""In which order folders run: what takes long first, what is over at once last. A worker that takes whole files is left
alone with no long one, and what a folder shares (a company of linked people, one gateway) is made once for each."""


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """asyncio's own loop: what the tests show must not rest on uvloop."""
    return "asyncio", {"use_uvloop": False}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: the collector of garbage need not walk through it, 0.5 s each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first. Whoever asks for PostgreSQL carries the mark: `-m "not postgres"` needs no discipline."""
    for item in items:
        if {"postgres", "postgres_dsn"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgres)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """When its folder's turn is; files and tests keep their order."""
    place = item.nodeid.removeprefix("tests/")
    if place.startswith(LIGHT):
        return len(WEIGHT) + next(turn for turn, name in enumerate(LIGHT) if place.startswith(name))
    return next(turn for turn, name in enumerate(WEIGHT) if place.startswith(name))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A running cluster: the DSN of its maintenance database. Skips without PostgreSQL, unless CI requires it."""
    try:
        with cluster() as host:
            yield dsn(host)
    except PostgresMissing as reason:
        if os.environ.get("WAGATE_REQUIRE_POSTGRES"):
            pytest.fail(f"PostgreSQL is required here: {reason}")
        pytest.skip(str(reason))


@pytest.fixture
def postgres_dsn(postgres: str) -> Iterator[str]:
    """The DSN of a fresh, empty database, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    host = postgres.partition("?host=")[2]
    execute(postgres, f"CREATE DATABASE {name}")
    yield dsn(host, name)
    execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")
