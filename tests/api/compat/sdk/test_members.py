"""Who is in a group and as what, as the Python SDK sees and changes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account
from tests.support.sdk import Sdk, digits, refused
from wagate.testing import SandboxGateway

ALICE, BOB, PRIVATE = "9990000003", "9990000004", "9994000001"


@pytest.fixture
def group(owner: Account, guest: Account) -> str:
    """A group of the owner, the guest and Alice."""
    return guest.knows(owner.made(guest.phone, ALICE))


def truth(wagate: SandboxGateway, group: str) -> dict[str, str]:
    """Who is in the group, and as what, as the network knows it."""
    return {digits(each["jid"]): each["role"] for each in wagate.get(f"/sandbox/groups/{group}")["members"]}


def test_participants_are_listed_with_their_roles(sdk: Sdk, owner: Account, guest: Account, group: str) -> None:
    seen = {digits(each["phone_number"]): each for each in sdk.get_group_participants(owner.session, group)}
    assert set(seen) == {owner.phone, guest.phone, ALICE}
    assert (seen[owner.phone]["is_admin"], seen[owner.phone]["is_super_admin"]) == (True, True)
    assert (seen[ALICE]["is_admin"], seen[ALICE]["is_super_admin"]) == (False, False)
    assert all(digits(each["jid"]) and (each["lid"] is None or each["lid"].endswith("@lid")) for each in seen.values())


@pytest.mark.parametrize(
    ("written", "notify"), [("+{}", None), ("{}", True), ("{}@c.us", False), ("{}@s.whatsapp.net", None)]
)
def test_participants_are_added_promoted_demoted_and_removed(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, written: str, notify: bool | None
) -> None:
    group = owner.made(ALICE)
    who: dict[str, Any] = {"participants": [written.format(BOB)], "notify": notify}
    steps = [
        (sdk.add_group_participants, "member"),
        (sdk.promote_group_participants, "admin"),
        (sdk.demote_group_participants, "member"),
        (sdk.remove_group_participants, None),
    ]
    for step, role in steps:
        assert step(owner.session, group, **who) is None
        assert truth(wagate, group).get(BOB) == role


def test_several_are_changed_at_once(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    group = owner.made("9990000005")
    sdk.add_group_participants(owner.session, group, participants=[f"+{ALICE}", f"+{BOB}"])
    sdk.promote_group_participants(owner.session, group, participants=[f"+{ALICE}", f"+{BOB}"])
    assert truth(wagate, group) == {owner.phone: "superadmin", "9990000005": "member", ALICE: "admin", BOB: "admin"}
    sdk.demote_group_participants(owner.session, group, participants=[f"+{ALICE}", f"+{BOB}"])
    sdk.remove_group_participants(owner.session, group, participants=[f"+{ALICE}", f"+{BOB}"])
    assert truth(wagate, group) == {owner.phone: "superadmin", "9990000005": "member"}


def test_only_an_admin_changes_members(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account, group: str
) -> None:
    before = truth(wagate, group)
    steps = [
        sdk.add_group_participants,
        sdk.promote_group_participants,
        sdk.demote_group_participants,
        sdk.remove_group_participants,
    ]
    for step, whom in zip(steps, (BOB, ALICE, owner.phone, ALICE), strict=True):
        refused(403, lambda step=step, whom=whom: step(guest.session, group, participants=[f"+{whom}"]))
    assert truth(wagate, group) == before


def test_the_creator_stays_admin(sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str) -> None:
    for step in (sdk.demote_group_participants, sdk.remove_group_participants):
        refused(403, lambda step=step: step(owner.session, group, participants=[owner.phone]))
    assert truth(wagate, group)[owner.phone] == "superadmin"


@pytest.mark.parametrize("participants", [[], ["nobody"], [""]])
def test_nobody_is_no_participant(sdk: Sdk, owner: Account, group: str, participants: list[str]) -> None:
    steps = [
        sdk.add_group_participants,
        sdk.promote_group_participants,
        sdk.demote_group_participants,
        sdk.remove_group_participants,
    ]
    for step in steps:
        refused(400, lambda step=step: step(owner.session, group, participants=participants))


def test_who_cannot_be_added_does_not_fail_the_others(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str
) -> None:
    sdk.add_group_participants(owner.session, group, participants=[f"+{PRIVATE}", f"+{BOB}"])
    assert BOB in truth(wagate, group)
    assert PRIVATE not in truth(wagate, group)


def test_who_is_no_member_is_not_promoted(sdk: Sdk, owner: Account, group: str) -> None:
    refused(404, lambda: sdk.promote_group_participants(owner.session, group, participants=[f"+{BOB}"]))
