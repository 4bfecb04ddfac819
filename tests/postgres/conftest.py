"""One gateway on each of the databases, and a session of it that works."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.postgres import dsn, execute
from wagate import testing
from wagate.testing import SandboxGateway

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def wagate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway on each of the databases."""
    settings: dict[str, Any] = {"send_timeout": 0.6, "allowed_networks": ("127.0.0.1/32",)}
    if request.param == "postgres":
        cluster = request.getfixturevalue("postgres")
        name = f"life_{next(_numbers)}"
        execute(cluster, f"CREATE DATABASE {name}")
        settings["database_url"] = dsn(cluster.partition("?host=")[2], name)
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    return "/sessions/" + str(wagate.linked("9990000001", autoRead=True)["id"])
