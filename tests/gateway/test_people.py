"""From claims to capabilities: what roles open, and that nobody gets into what is not here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.logins import AUDIENCE, ISSUER, jwk, signed
from tests.support.parts import START, opened
from wagate.backends.jwks import PublicKey, read
from wagate.backends.tokens import Claims, Expected, Verifier
from wagate.errors import Unauthorized
from wagate.gateway import Gateway, organizations, people
from wagate.model.organizations import CAPABILITIES, Caller

pytestmark = pytest.mark.anyio

ALL = frozenset(CAPABILITIES)
MEMBER = frozenset({"read", "send", "events"})


class Published:
    """One key that stays."""

    generation = 0

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        return read(json.dumps({"keys": [jwk("EdDSA")]}).encode()).keys.get((kid, algorithm))


def taking(gw: Gateway, **more: Any) -> Gateway:
    """The gateway with a provider."""
    expected = Expected(issuer=ISSUER, audience=AUDIENCE)
    return dataclasses.replace(gw, logins=Verifier(Published(), expected, clock=gw.clock, **more))


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened() as made:
        await organizations.create(made, "Acme", id="acme")
        yield taking(made)


async def comes(gw: Gateway, **claims: Any) -> Caller:
    now = START // 1000
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user_1", "iat": now, "exp": now + 60, **claims}
    return await people.authenticate(gw, signed(told).encode())


@pytest.mark.parametrize(
    ("roles", "platform", "opens"),
    [
        (set(), False, set()),
        ({"guest", "Owner", ""}, False, set()),
        ({"super_admin"}, False, set()),
        ({"member"}, False, MEMBER),
        ({"admin"}, False, ALL),
        ({"owner"}, False, ALL),
        ({"member", "guest"}, False, MEMBER),
        ({"member", "admin"}, True, {*ALL, "super_admin"}),
        (set(), True, {"super_admin"}),
    ],
)
def test_roles_open_what_each_of_them_opens(roles: set[str], platform: bool, opens: set[str]) -> None:
    assert people.capabilities(frozenset(roles), platform) == opens


async def test_a_bad_token_is_nobodys(gw: Gateway) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await comes(gw, iss="https://other.example")
    assert refusal.value.message == Unauthorized().message
    assert refusal.value.__cause__ is None


async def test_a_gateway_without_a_provider_takes_none(gw: Gateway) -> None:
    with pytest.raises(Unauthorized):
        await comes(dataclasses.replace(gw, logins=None))


@pytest.mark.parametrize("acting", [None, "nowhere", "a:b", ["acme", "other"]])
async def test_who_acts_for_nothing_that_is_here_is_somebody_without_a_capability(gw: Gateway, acting: Any) -> None:
    caller = await comes(gw, activeOrganizationId=acting, orgRole="owner")
    assert (caller.organization_id, caller.capabilities, caller.user_id) == ("", frozenset(), "user_1")
    caller = await comes(gw, activeOrganizationId=acting, orgRole="owner", role="super_admin")
    assert (caller.organization_id, caller.capabilities) == ("", {"super_admin"})
    assert [each.id for each in await organizations.all_of_them(gw)] == ["acme"]


async def test_who_acts_for_an_organization_has_their_role_in_it(gw: Gateway) -> None:
    caller = await comes(gw, activeOrganizationId="acme", orgRole="member")
    assert (caller.organization_id, caller.capabilities) == ("acme", MEMBER)
    assert caller.login_until == START + 90_000
    assert not caller.key_id
    assert not caller.expires_at


async def test_an_organization_that_was_made_a_moment_ago_is_here(gw: Gateway) -> None:
    assert (await comes(gw, activeOrganizationId="later", orgRole="owner")).capabilities == frozenset()
    await organizations.create(gw, "Later", id="later")
    assert (await comes(gw, activeOrganizationId="later", orgRole="owner")).capabilities == ALL


async def test_one_that_is_made_by_itself_is_made_once(gw: Gateway) -> None:
    making = taking(gw, create_organizations=True)
    for role in ("guest", "", "super_admin"):
        assert (await comes(making, activeOrganizationId="later", orgRole=role)).organization_id == ""
    assert [each.id for each in await organizations.all_of_them(gw)] == ["acme"]
    for _ in range(2):
        assert (await comes(making, activeOrganizationId="later", orgRole="member")).organization_id == "later"
    assert (await comes(making, activeOrganizationId="a:b", orgRole="member")).organization_id == ""
    assert [each.id for each in await organizations.all_of_them(gw)] == ["acme", "later"]


async def test_who_it_is_stays_with_the_verdict_and_a_role_with_its_token(gw: Gateway) -> None:
    first = await comes(gw, activeOrganizationId="acme", orgRole="member")
    assert await comes(gw, activeOrganizationId="acme", orgRole="member") is first
    assert (await comes(gw, activeOrganizationId="acme", orgRole="admin")).capabilities == ALL


def test_what_claims_open_is_told_without_a_gateway() -> None:
    told: dict[str, Any] = {"user_id": "u", "roles": frozenset({"super_admin"}), "until": 0}
    claims = Claims(organization_id=None, organization_roles=frozenset({"owner"}), **told)
    assert people.granted(claims) == {"super_admin"}
    claims = Claims(organization_id="acme", organization_roles=frozenset({"owner"}), **told)
    assert people.granted(claims) == {*ALL, "super_admin"}
