"""Keys: shown once, stored as a digest, void the moment they are revoked or expire."""

from __future__ import annotations

import dataclasses
import re

import pytest

from tests.support.parts import caller
from wagate.errors import Forbidden, NotFound, Unauthorized
from wagate.gateway import Gateway, keys
from wagate.model.organizations import Caller, CreateKey

pytestmark = pytest.mark.anyio


async def test_an_unknown_key_is_refused(gw: Gateway) -> None:
    for secret in ("", "wa_", keys.mint()):
        with pytest.raises(Unauthorized):
            await keys.authenticate(gw, secret)


async def test_a_revoked_key_fails_at_once(gw: Gateway, who: Caller) -> None:
    key = await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["read"]))
    await keys.authenticate(gw, key.secret)
    with pytest.raises(NotFound):
        await keys.revoke(gw, key.id, organization_id=(await caller(gw)).organization_id)
    await keys.revoke(gw, key.id, organization_id=who.organization_id)
    with pytest.raises(Unauthorized):
        await keys.authenticate(gw, key.secret)
    with pytest.raises(NotFound):
        await keys.revoke(gw, key.id)


async def test_a_key_expires(gw: Gateway, who: Caller) -> None:
    until = gw.clock.now() + 1000
    key = await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["read"], expires_at=until))
    await gw.clock.advance(0.999)  # type: ignore[attr-defined]
    await keys.authenticate(gw, key.secret)
    await gw.clock.advance(0.001)  # type: ignore[attr-defined]
    with pytest.raises(Unauthorized):
        await keys.authenticate(gw, key.secret)


async def test_nobody_grants_what_they_do_not_hold(gw: Gateway, who: Caller) -> None:
    reader = Caller(organization_id=who.organization_id, capabilities=frozenset({"read", "manage"}))
    with pytest.raises(Forbidden):
        await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["send"]), by=reader)
    limited = Caller(
        organization_id=who.organization_id, capabilities=who.capabilities, session_ids=frozenset({"ses_1"})
    )
    with pytest.raises(Forbidden):
        await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["read"]), by=limited)


async def test_a_key_is_its_organization_and_its_capabilities(gw: Gateway, who: Caller) -> None:
    wish = CreateKey(name="k", permissions=["read", "send", "read"], session_ids=["ses_1"])
    key = await keys.create(gw, who.organization_id, wish)
    assert re.fullmatch(r"wa_[0-9A-Za-z]{43}", key.secret)
    seen = await keys.authenticate(gw, key.secret)
    assert (seen.organization_id, seen.capabilities) == (who.organization_id, {"read", "send"})
    assert seen.session_ids == {"ses_1"}
    (listed,) = await keys.of(gw, who.organization_id)
    assert not hasattr(listed, "secret")
    assert (listed.prefix, listed.permissions) == (key.secret[:8], ["read", "send"])
    assert await keys.of(gw, (await caller(gw)).organization_id) == []


async def test_the_secret_is_stored_nowhere(gw: Gateway, who: Caller) -> None:
    key = await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["read"]))
    rows = await gw.db.all("SELECT * FROM keys")
    assert key.secret[8:] not in str(rows)
    assert keys.digest(key.secret) in str(rows)


async def test_its_use_is_noted_once_a_minute(gw: Gateway, who: Caller) -> None:
    key = await keys.create(gw, who.organization_id, CreateKey(name="k", permissions=["read"]))

    async def noted() -> int:
        await keys.authenticate(gw, key.secret)
        used = (await keys.of(gw, who.organization_id))[0].last_used_at
        assert isinstance(used, int)
        return used

    first = await noted()
    await gw.clock.advance(59)  # type: ignore[attr-defined]
    assert await noted() == first
    await gw.clock.advance(2)  # type: ignore[attr-defined]
    assert await noted() == first + 61_000


def test_no_two_are_alike() -> None:
    assert len({keys.mint() for _ in range(1000)}) == 1000
    assert dataclasses.is_dataclass(Gateway)
