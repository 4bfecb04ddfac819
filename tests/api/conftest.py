"""A running gateway for each file, and two accounts on its network who share a group."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateways import Account
from wagate import testing
from wagate.testing import SandboxGateway


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def owner(wagate: SandboxGateway) -> Account:
    return Account(wagate, "9990000001")


@pytest.fixture(scope="module")
def guest(wagate: SandboxGateway) -> Account:
    return Account(wagate, "9990000002")


@pytest.fixture
def group(owner: Account, guest: Account) -> str:
    return guest.knows(owner.made("9990000002", "9990000003"))
