"""A session's proxy: only where the engine takes one, sealed, never given back, and for that session alone."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from tests.support.parts import SANDBOX, caller, opened
from wagate.backends.guard import Guard
from wagate.backends.sealing import CannotOpen, Sealer
from wagate.errors import BadRequest
from wagate.gateway import Gateway, proxies, sessions
from wagate.model.organizations import Caller
from wagate.model.sessions import CreateSession, UpdateSession

pytestmark = pytest.mark.anyio

URL = "socks5://user:secret@203.0.114.7:1080"
REACHES = dataclasses.replace(SANDBOX, name="whatsapp", hosts_networks=False, takes_proxy=True)


class Door:
    """Judges, and leads nowhere."""

    judge = staticmethod(Guard().judge_url)


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened(engines={"sandbox": SANDBOX, "whatsapp": REACHES}) as gateway:
        yield dataclasses.replace(gateway, http=Door())


@pytest.fixture
async def who(gw: Gateway) -> Caller:
    return await caller(gw)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "http://[::1]:1", "ftp://proxy.example", "http://10.0.0.1"])
async def test_where_none_may_lead_is_refused(gw: Gateway, who: Caller, url: str) -> None:
    with pytest.raises(BadRequest):
        await sessions.create(gw, who, CreateSession(engine="whatsapp", proxy_url=url))


async def test_an_engine_that_takes_none_gets_none(gw: Gateway, who: Caller) -> None:
    with pytest.raises(BadRequest):
        await sessions.create(gw, who, CreateSession(engine="sandbox", proxy_url=URL))


async def test_it_is_sealed_and_kept_until_it_is_taken_away(gw: Gateway, who: Caller) -> None:
    made = await sessions.create(gw, who, CreateSession(engine="whatsapp", proxy_url=URL))
    assert made.has_proxy
    (row,) = await gw.db.all("SELECT proxy FROM sessions -- any organization: a test")
    assert "secret" not in row[0]
    changed = await sessions.update(gw, who, made.id, UpdateSession(label="other"))
    assert changed.has_proxy
    assert await proxies.of(gw, who.organization_id, made.id) == URL
    stranger = dataclasses.replace(gw, sealer=Sealer(b"1" * 32))
    with pytest.raises(CannotOpen):
        await proxies.of(stranger, who.organization_id, made.id)
    gone = await sessions.update(gw, who, made.id, UpdateSession(proxy_url=""))
    assert not gone.has_proxy
    assert await proxies.of(gw, who.organization_id, made.id) is None
