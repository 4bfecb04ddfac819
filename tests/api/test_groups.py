"""Groups over HTTP: who may do what, in which order it is refused, and that what was changed is stored and told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account, events, exactly, invalid, key, refused
from wagate.testing import SandboxGateway

GROUP = "id groupJid firstSeenAt updatedAt subject ownerJid participantCount isAnnounce isLocked createdAtWa"
MEMBER = "id sessionId groupJid lid role firstSeenAt lastSeenAt phoneNumber"
NOWHERE = "120363999999999999@g.us"


@pytest.fixture
def group(owner: Account, guest: Account) -> str:
    """A group of the owner, with the guest and 9990000003 as members."""
    return guest.knows(owner.made("9990000002", "9990000003"))


def truth(wagate: SandboxGateway, group: str) -> Any:
    return wagate.get(f"/sandbox/groups/{group}")


# In which order it is refused

ROUTES: list[tuple[str, str, Any]] = [
    ("PATCH", "/{}", {"subject": "new"}),
    ("GET", "/{}/invite", None),
    ("DELETE", "/{}/invite", None),
    ("POST", "/{}/members", {"participants": ["9990000005"]}),
    ("DELETE", "/{}/members/9990000003", None),
    ("POST", "/{}/members/9990000003/promote", None),
    ("POST", "/{}/members/9990000003/demote", None),
    ("POST", "/{}/members:approve", {"participants": ["9990000005"]}),
    ("POST", "/{}:leave", None),
]
ADMINS = list(ROUTES[1:-1])


@pytest.mark.parametrize(("method", "below", "body"), ROUTES, ids=str)
def test_capability_session_body_connection_group(
    wagate: SandboxGateway, owner: Account, method: str, below: str, body: Any
) -> None:
    bad = b'{"participants": "x"}' if body is not None else None
    reader = key(wagate, *(["send", "manage"] if method == "GET" else ["read", "manage"]))  # type: ignore[list-item]
    stopped = wagate.post("/sessions")["id"]
    gone = f"/sessions/ses_nobody/groups{below.format(NOWHERE)}"
    there = f"/sessions/{stopped}/groups{below.format(NOWHERE)}"
    refused(wagate.ask(method, gone, bad, key=reader), 403, "forbidden")
    refused(wagate.ask(method, gone, bad), 404, "not_found")
    if body is not None:
        refused(wagate.ask(method, there, bad), 400, "validation_error")
    assert refused(wagate.ask(method, there, body), 501)["reason"] == "session_not_connected"
    details = refused(owner.ask(method, below.format(NOWHERE), body), 404, "not_found")
    assert details["reason"] == "not_a_member"
    for gid in ("9990000002", "120363@s.whatsapp.net", "x@g.us"):
        refused(owner.ask(method, below.format(gid), body), 404, "not_found")


@pytest.mark.parametrize(("method", "below", "body"), ADMINS, ids=str)
def test_only_admins_may(
    wagate: SandboxGateway, guest: Account, group: str, method: str, below: str, body: Any
) -> None:
    before = truth(wagate, group)
    refused(guest.ask(method, below.format(group), body), 403, "forbidden")
    assert truth(wagate, group) == before


@pytest.mark.parametrize(("method", "below", "body"), ROUTES, ids=str)
def test_who_has_left_finds_nothing(guest: Account, group: str, method: str, below: str, body: Any) -> None:
    assert guest.ask("POST", f"/{group}:leave").status == 204
    details = refused(guest.ask(method, below.format(group), body), 404, "not_found")
    assert details["reason"] == "not_a_member"
    # What was stored stays readable.
    assert guest.get(f"/{group}")["groupJid"] == group


# Made and read


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": "x"}, "participants"),
        ({"name": "", "participants": ["9990000002"]}, "name"),
        ({"name": "x" * 101, "participants": ["9990000002"]}, "name"),
        ({"name": "a\u0000", "participants": ["9990000002"]}, "name"),
        ({"name": "x", "participants": []}, "participants"),
        ({"name": "x", "participants": ["9990000002", "group@g.us"]}, "participants[1]"),
        ({"name": "x", "participants": ["12"]}, "participants[0]"),
        ({"name": "x", "participants": "9990000002"}, "participants"),
        ({"name": "x", "participants": ["9990000002"] * 1025}, "participants"),
        ({"name": "x", "participants": ["9990000002"], "locked": True}, "locked"),
    ],
    ids=str,
)
def test_a_group_of_nonsense_is_refused(wagate: SandboxGateway, owner: Account, body: Any, path: str) -> None:
    invalid(owner.ask("POST", "", body), path)
    # The body is judged before the connection.
    stopped = wagate.post("/sessions")["id"]
    invalid(wagate.ask("POST", f"/sessions/{stopped}/groups", body), path)


def test_a_group_is_made_of_those_who_can_be_added_and_stored_before_the_answer(owner: Account) -> None:
    people = ["+999 000 0002", "9993000001", "9994000001", "9990000003@c.us", "9990000003"]
    answer = owner.ask("POST", "", {"name": "new group", "participants": people})
    assert answer.status == 201
    exactly(answer.body, "groupJid subject ownerJid participants isAnnounce isLocked", "description")
    assert answer.body | {"subject": "new group", "ownerJid": owner.jid, "participants": 3} == answer.body
    stored = owner.get(f"/{answer.body['groupJid']}")
    exactly(stored, GROUP)
    assert isinstance(stored["id"], int)
    assert stored | {"subject": "new group", "ownerJid": owner.jid, "participantCount": 3} == stored
    assert (stored["isAnnounce"], stored["isLocked"]) == (False, False)
    listed = owner.get(f"/{stored['groupJid']}/members")
    assert listed["nextCursor"] == ""
    for member in listed["data"]:
        exactly(member, MEMBER, "tag")
        assert member["lid"].endswith("@lid")
    assert owner.roles(stored["groupJid"]) == {
        "9990000001": "superadmin", "9990000002": "member", "9990000003": "member",
    }  # fmt: skip


def test_stored_routes_know_only_what_this_session_has_stored(wagate: SandboxGateway, owner: Account) -> None:
    other = Account(wagate, "9990000070")
    lonely = owner.made("9990000003")
    for below in (f"/{lonely}", f"/{lonely}/members", f"/{NOWHERE}", "/9990000001", "/x", "/x@g.us/members"):
        refused(other.ask("GET", below), 404, "not_found")
    assert other.get() == {"data": [], "nextCursor": ""}
    # Stored ones are read while the session is stopped.
    mine = other.made("9990000003")
    wagate.post(f"/sessions/{other.session}:stop")
    assert other.get(f"/{mine}")["groupJid"] == mine
    assert len(other.get(f"/{mine}/members")["data"]) == 2


def test_groups_and_members_are_one_page_unless_they_are_asked_to_page(wagate: SandboxGateway) -> None:
    account = Account(wagate, "9990000071")
    made = [account.made("9990000003", "9990000004", "9990000005") for _ in range(3)]
    whole = account.get()
    assert ([each["groupJid"] for each in whole["data"]], whole["nextCursor"]) == (made, "")
    for below, size in (("", 3), (f"/{made[0]}/members", 4)):
        everything = account.get(below)["data"]
        assert len(everything) == size
        first = account.get(f"{below}?limit=2")
        assert first["nextCursor"]
        rest = account.get(f"{below}?limit=2&cursor={first['nextCursor']}")
        assert first["data"] + rest["data"] == everything
        assert rest["nextCursor"] == ""
        invalid(account.ask("GET", f"{below}?cursor=x"), "cursor")


def test_a_group_that_others_made_is_stored_and_told(wagate: SandboxGateway, owner: Account) -> None:
    body = {"owner": "9990000003", "subject": "theirs", "participants": ["9990000001", "9990000004"]}
    made = wagate.post("/sandbox/groups", body)
    exactly(made, "groupJid invite")
    owner.knows(made["groupJid"])
    assert owner.roles(made["groupJid"])["9990000003"] == "superadmin"
    told = [e["payload"] for e in events(wagate, "group.update") if e["payload"]["groupJid"] == made["groupJid"]]
    assert any("reason" in each for each in told)


# Changed


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (None, ""),
        ({}, ""),
        ({"subject": None}, "subject"),
        ({"description": None}, "description"),
        ({"announce": None}, "announce"),
        ({"subject": "x", "locked": None}, "locked"),
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 101}, "subject"),
        ({"subject": "a\nb"}, "subject"),
        ({"description": "x" * 2049}, "description"),
        ({"description": "\u0000"}, "description"),
        ({"announce": "true"}, "announce"),
        ({"announce": 1}, "announce"),
        ({"name": "x"}, "name"),
    ],
    ids=str,
)
def test_a_change_to_nonsense_is_refused(
    wagate: SandboxGateway, owner: Account, group: str, body: Any, path: str
) -> None:
    invalid(owner.ask("PATCH", f"/{group}", body), path)
    stopped = wagate.post("/sessions")["id"]
    invalid(wagate.ask("PATCH", f"/sessions/{stopped}/groups/{group}", body), path)


def test_each_field_changes_alone_and_is_stored_before_the_answer(
    wagate: SandboxGateway, owner: Account, guest: Account, group: str
) -> None:
    for change, field, value in (
        ({"subject": "renamed"}, "subject", "renamed"),
        ({"description": "line 1\nline 2"}, "description", "line 1\nline 2"),
        ({"announce": True}, "isAnnounce", True),
        ({"locked": True}, "isLocked", True),
        ({"announce": False}, "isAnnounce", False),
    ):
        answer = owner.ask("PATCH", f"/{group}", change)
        assert (answer.status, answer.body) == (204, b"")
        assert owner.get(f"/{group}")[field] == value
        wagate.until(lambda field=field, value=value: guest.get(f"/{group}").get(field) == value)  # type: ignore[misc]
    assert owner.ask("PATCH", f"/{group}", {"description": ""}).status == 204
    assert "description" not in owner.get(f"/{group}")
    assert truth(wagate, group)["description"] == ""
    told = [
        e["payload"] for e in events(wagate, "group.update", session=owner.session) if e["payload"]["groupJid"] == group
    ]
    changed = [each for each in told if "reason" not in each]
    for each in changed:
        exactly(each, "groupJid", "sender timestamp subject description isAnnounce isLocked newInviteLink")
        assert len(set(each) - {"groupJid", "sender", "timestamp"}) == 1
    assert [each.get("description") for each in changed if "description" in each][-1] == ""


def test_earlier_fields_stand_when_a_later_one_is_refused(
    wagate: SandboxGateway, owner: Account, guest: Account, group: str
) -> None:
    body = {"locked": True, "announce": True, "description": "mine", "subject": "mine"}
    details = refused(guest.ask("PATCH", f"/{group}", body), 403, "forbidden")
    assert details["applied"] == ["subject", "description"]
    now = truth(wagate, group)
    assert (now["subject"], now["description"], now["isAnnounce"], now["isLocked"]) == ("mine", "mine", False, False)
    assert owner.ask("PATCH", f"/{group}", {"locked": True}).status == 204
    details = refused(guest.ask("PATCH", f"/{group}", {"subject": "again"}), 403, "forbidden")
    assert details["applied"] == []
    assert truth(wagate, group)["subject"] == "mine"
