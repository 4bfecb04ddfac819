"""The guide's worked configurations: each is loaded, and its token opens what the guide says."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.source import ROOT
from wagate.backends.tokens import claims_of
from wagate.bootstrap.logins import expected
from wagate.config import load
from wagate.gateway.people import granted
from wagate.model.organizations import ROLES

GUIDE = (ROOT / "docs" / "guides" / "identity-providers.md").read_text()
WORKED = re.findall(r"```sh\n(WAGATE.*?)```\n\n```json\n(.*?)```\n\n(This opens .*?)\. ?", GUIDE, re.DOTALL)
NOW = 1_800_000_000


def test_three_providers_are_worked_out() -> None:
    assert len(WORKED) == 3


@pytest.mark.parametrize(("variables", "claims", "sentence"), WORKED, ids=["generic", "keycloak", "better-auth"])
def test_a_worked_configuration_opens_what_the_guide_says(variables: str, claims: str, sentence: str) -> None:
    chosen = load(dict(line.split("=", 1) for line in variables.strip().splitlines()))
    found = claims_of({**json.loads(claims), "exp": NOW + 300}, expected(chosen), now=NOW * 1000)
    *opens, organization = [word for word in re.findall(r"`(\w+)`", sentence) if word != "super_admin"]
    platform = {"super_admin"} if "super_admin" in sentence else set()
    assert found.organization_id == organization
    assert granted(found) == {*opens, *platform}


def test_the_table_of_roles_is_the_programs() -> None:
    table = GUIDE.partition("## What a token opens")[2].partition("## ")[0]
    for line in table.splitlines():
        named = [re.findall(r"`(\w+)`", cell) for cell in line.split("|")[1:-1]]
        if len(named) == 2 and named[0]:
            assert all(ROLES[role] == set(named[1]) for role in named[0])
    assert all(f"`{role}`" in table for role in ROLES)
