"""The dialect of a running gateway, as both kinds of client speak it, and two accounts who share a group."""

from __future__ import annotations

import pytest

from tests.support.dialect import Dialect
from tests.support.gateways import Account
from wagate.testing import SandboxGateway


@pytest.fixture(scope="module")
def docs(wagate: SandboxGateway) -> Dialect:
    """A client written from the documentation."""
    return Dialect(wagate)


@pytest.fixture(scope="module")
def sdk(wagate: SandboxGateway) -> Dialect:
    """The SDK, at the root."""
    return Dialect(wagate, sdk=True, base="")


@pytest.fixture(scope="module")
def shop(owner: Account) -> str:
    """The owner's session, which is called `shop`."""
    owner.wagate.ask("PATCH", f"/sessions/{owner.session}", {"label": "shop"})
    return "shop"
