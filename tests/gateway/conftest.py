"""A gateway on an empty database, a caller who may do everything, and a session of theirs that works."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.parts import caller, held, opened
from wagate.gateway import Gateway
from wagate.gateway.leases import Held
from wagate.model.organizations import Caller


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened() as gateway:
        yield gateway


@pytest.fixture
async def who(gw: Gateway) -> Caller:
    return await caller(gw)


@pytest.fixture
async def mine(gw: Gateway, who: Caller) -> Held:
    return await held(gw, who)
