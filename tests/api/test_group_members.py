"""Invites and members over HTTP: codes that die, people who come and go, and what becomes of each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account, events, exactly, invalid, refused
from wagate.testing import SandboxGateway

NOWHERE = "120363999999999999@g.us"
LINK = "https://chat.whatsapp.com/"


@pytest.fixture
def group(owner: Account, guest: Account) -> str:
    """A group of the owner, with the guest and 9990000003 as members."""
    return guest.knows(owner.made("9990000002", "9990000003"))


def truth(wagate: SandboxGateway, group: str) -> Any:
    return wagate.get(f"/sandbox/groups/{group}")


# Invites


def test_an_invite_dies_when_it_is_reset(wagate: SandboxGateway, owner: Account, group: str) -> None:
    old = owner.get(f"/{group}/invite")
    exactly(old, "invite")
    assert old["invite"].startswith(LINK)
    assert owner.get(f"/{group}/invite") == old
    new = owner.ask("DELETE", f"/{group}/invite")
    assert new.status == 200
    exactly(new.body, "invite")
    assert new.body != old
    assert owner.get(f"/{group}/invite") == new.body == {"invite": truth(wagate, group)["invite"]}
    joiner = Account(wagate, "9990000080")
    for stale in (old["invite"], old["invite"].removeprefix(LINK)):
        invalid(joiner.ask("POST", ":join", {"invite": stale}), "invite")
    invalid(
        wagate.ask("POST", f"/sandbox/groups/{group}:join", {"phone": "9990000004", "invite": old["invite"]}), "invite"
    )
    answer = joiner.ask("POST", ":join", {"invite": new.body["invite"]})
    assert (answer.status, answer.body) == (200, {"groupJid": group})
    assert joiner.get(f"/{group}")["participantCount"] == 4
    assert joiner.roles(group)["9990000080"] == "member"
    # Already a member: the same answer; the bare code will do.
    code = new.body["invite"].removeprefix(LINK)
    assert joiner.ask("POST", ":join", {"invite": code}).body == {"groupJid": group}
    wagate.until(lambda: owner.roles(group).get("9990000080") == "member")


@pytest.mark.parametrize(
    "invite",
    ["", "x", "not a code", "https://example.com/abcdefghijkl", LINK, "a" * 300, "abcdefghijkl\u0000", None, 7],
)
def test_what_is_no_invite_is_400(wagate: SandboxGateway, owner: Account, invite: Any) -> None:
    stopped = wagate.post("/sessions")["id"]
    body = {} if invite is None else {"invite": invite}
    for groups in (owner.groups, f"/sessions/{stopped}/groups"):
        invalid(wagate.ask("POST", f"{groups}:join", body), "invite")


def test_an_unknown_invite_is_400_after_the_connection(wagate: SandboxGateway, owner: Account) -> None:
    stopped = wagate.post("/sessions")["id"]
    body = {"invite": "abcdefghijklmnop"}
    refused(wagate.ask("POST", f"/sessions/{stopped}/groups:join", body), 501)
    invalid(owner.ask("POST", ":join", body), "invite")


def test_who_was_removed_cannot_come_back_by_the_invite(owner: Account, guest: Account, group: str) -> None:
    invite = owner.get(f"/{group}/invite")
    assert owner.ask("DELETE", f"/{group}/members/{guest.phone}").status == 204
    details = refused(guest.ask("POST", ":join", invite), 422, "refused")
    assert (details["reason"], details["certain"]) == ("removed_earlier", True)
    # An admin's adding lets them in again.
    assert owner.ask("POST", f"/{group}/members", {"participants": [guest.phone]}).status == 204
    guest.wagate.until(lambda: guest.roles(group).get(guest.phone) == "member")


def test_who_left_can_come_back(guest: Account, owner: Account, group: str) -> None:
    invite = owner.get(f"/{group}/invite")
    assert guest.ask("POST", f"/{group}:leave").status == 204
    assert guest.ask("POST", ":join", invite).body == {"groupJid": group}
    assert guest.roles(group)[guest.phone] == "member"


# Members


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "participants"),
        ({"participants": []}, "participants"),
        ({"participants": ["x"]}, "participants[0]"),
        ({"participants": ["9990000002", ""]}, "participants[1]"),
        ({"participants": ["9990000002@g.us"]}, "participants[0]"),
        ({"participants": [7]}, "participants[0]"),
        ({"participants": ["9990000002"], "role": "admin"}, "role"),
    ],
    ids=str,
)
def test_participants_of_nonsense_are_400(owner: Account, group: str, body: Any, path: str) -> None:
    invalid(owner.ask("POST", f"/{group}/members", body), path)
    invalid(owner.ask("POST", f"/{group}/members:approve", body), path)


def test_adding_says_nothing_unless_it_is_asked(wagate: SandboxGateway, owner: Account, group: str) -> None:
    people = ["9990000004", "9990000003", "9994000001", "9993000001"]
    answer = owner.ask("POST", f"/{group}/members", {"participants": people})
    assert (answer.status, answer.body) == (204, b"")
    assert owner.roles(group).keys() == {"9990000001", "9990000002", "9990000003", "9990000004"}
    told = [e["payload"] for e in events(wagate, "group.participant") if e["payload"]["groupJid"] == group]
    assert any(each.get("join") == ["9990000004@s.whatsapp.net"] for each in told)
    for each in told:
        exactly(each, "groupJid", "sender timestamp join leave promote demote")


def test_adding_tells_what_became_of_each(owner: Account, group: str) -> None:
    people = ["9990000005", "9990000003", "9994000002", "9993000001", "9990000005"]
    answer = owner.ask(
        "POST", f"/{group}/members", {"participants": people}, prefer="respond-async, return=representation"
    )
    assert answer.status == 200
    exactly(answer.body, "results")
    results = answer.body["results"]
    assert [each["status"] for each in results] == ["added", "already_member", "invite_required", "not_on_whatsapp"]
    assert [each["jid"] for each in results] == [f"{each}@s.whatsapp.net" for each in people[:4]]
    for each in results:
        exactly(each, "jid status", "waCode invite")
    exactly(results[2]["invite"], "code expiresAt")
    # The invite for one person lets that person in, and nobody else.
    code = results[2]["invite"]["code"]
    where = f"/sandbox/groups/{group}:join"
    invalid(owner.wagate.ask("POST", where, {"phone": "9990000006", "invite": code}), "invite")
    assert owner.wagate.ask("POST", where, {"phone": "9994000002", "invite": code}).status == 204
    owner.wagate.until(lambda: "9994000002" in owner.roles(group))


@pytest.mark.parametrize("form", ["{}", "%2B{}", "{}@s.whatsapp.net", "{}%40s.whatsapp.net", "{}@c.us"])
def test_a_member_is_named_in_many_ways(owner: Account, group: str, form: str) -> None:
    member = f"/{group}/members/{form.format('9990000003')}"
    for verb, role in (("promote", "admin"), ("promote", "admin"), ("demote", "member"), ("demote", "member")):
        answer = owner.ask("POST", f"{member}/{verb}")
        assert (answer.status, answer.body) == (204, b"")
        assert owner.roles(group)["9990000003"] == role
    for _ in range(2):
        assert owner.ask("DELETE", member).status == 204
        assert "9990000003" not in owner.roles(group)


def test_a_member_is_named_by_lid(owner: Account, group: str) -> None:
    lid = next(each["lid"] for each in owner.get(f"/{group}/members")["data"] if each["phoneNumber"] == "9990000003")
    assert owner.ask("POST", f"/{group}/members/{lid}/promote").status == 204
    assert owner.roles(group)["9990000003"] == "admin"
    assert owner.ask("DELETE", f"/{group}/members/{lid.replace('@', '%40')}").status == 204
    assert "9990000003" not in owner.roles(group)


def test_the_creator_stays_what_they_are(owner: Account, guest: Account, group: str) -> None:
    assert owner.ask("POST", f"/{group}/members/{guest.phone}/promote").status == 204
    refused(guest.ask("DELETE", f"/{group}/members/{owner.phone}"), 403, "forbidden")
    refused(guest.ask("POST", f"/{group}/members/{owner.phone}/demote"), 403, "forbidden")
    assert owner.roles(group)[owner.phone] == "superadmin"


def test_who_is_not_in_the_group_cannot_be_promoted(owner: Account, group: str) -> None:
    refused(owner.ask("POST", f"/{group}/members/9990000009/promote"), 404, "not_found")
    assert owner.ask("DELETE", f"/{group}/members/9990000009").status == 204
    for wrong in ("x", "12", f"{NOWHERE}", "9990000003@nowhere"):
        for verb in ("/promote", "/demote"):
            refused(owner.ask("POST", f"/{group}/members/{wrong}{verb}"), 400, "validation_error")
        refused(owner.ask("DELETE", f"/{group}/members/{wrong}"), 400, "validation_error")


def test_who_asks_to_join_is_let_in(wagate: SandboxGateway, owner: Account, group: str) -> None:
    refused(owner.ask("POST", f"/{group}/members:approve", {"participants": ["9990000010"]}), 404, "not_found")
    assert wagate.ask("POST", f"/sandbox/groups/{group}:request", {"phone": "9990000010"}).status == 204
    both = {"participants": ["9990000010", "9990000011"]}
    refused(owner.ask("POST", f"/{group}/members:approve", both), 404, "not_found")
    assert truth(wagate, group)["pending"] == ["9990000010@s.whatsapp.net"]
    answer = owner.ask("POST", f"/{group}/members:approve", {"participants": ["+999 000 0010"]})
    assert (answer.status, answer.body) == (204, b"")
    assert owner.roles(group)["9990000010"] == "member"
    assert truth(wagate, group)["pending"] == []


def test_what_happens_on_other_phones_is_stored_and_told(wagate: SandboxGateway, owner: Account, group: str) -> None:
    where = f"/sandbox/groups/{group}"
    wagate.ask("POST", f"{where}:promote", {"phone": "9990000003"})
    wagate.until(lambda: owner.roles(group)["9990000003"] == "admin")
    wagate.ask("POST", f"{where}:demote", {"phone": "9990000003"})
    wagate.until(lambda: owner.roles(group)["9990000003"] == "member")
    wagate.ask("POST", f"{where}:leave", {"phone": "9990000003"})
    wagate.until(lambda: "9990000003" not in owner.roles(group))
    wagate.ask("POST", f"{where}:join", {"phone": "9990000012", "invite": truth(wagate, group)["invite"]})
    wagate.until(lambda: "9990000012" in owner.roles(group))
    told = [e["payload"] for e in events(wagate, "group.participant", session=owner.session)
            if e["payload"]["groupJid"] == group]  # fmt: skip
    kinds = [kind for each in told for kind in ("join", "leave", "promote", "demote") if kind in each]
    assert kinds[-4:] == ["promote", "demote", "leave", "join"]


def test_what_happened_while_the_session_was_away_is_seen_when_it_is_back(
    wagate: SandboxGateway, guest: Account, group: str
) -> None:
    wagate.post(f"/sessions/{guest.session}:stop")
    wagate.ask("POST", f"/sandbox/groups/{group}:leave", {"phone": "9990000003"})
    wagate.post(f"/sessions/{guest.session}:start")
    wagate.until(lambda: wagate.working(guest.session))
    wagate.until(lambda: "9990000003" not in guest.roles(group))
