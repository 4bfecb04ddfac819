"""Participants through the dialect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialect import Dialect, strict, told
from tests.support.gateways import Account


def test_who_is_refused_stops_nobody_and_is_told(docs: Dialect, owner: Account, shop: str, group: str) -> None:
    people = ["+9990000007", "+9990000002", "+9990000008"]
    answer = docs.ask("POST", f"/{shop}/groups/{group}/admin/promote", {"participants": people})
    told(answer, 404)
    assert answer.body["applied"] == ["9990000002@s.whatsapp.net"]
    assert [each["id"] for each in answer.body["failed"]] == [
        "9990000007@s.whatsapp.net",
        "9990000008@s.whatsapp.net",
    ]
    assert owner.roles(group)["9990000002"] == "admin"


def test_what_concerns_the_account_stops_at_once(docs: Dialect, owner: Account, shop: str, group: str) -> None:
    # Nobody removes the creator; who comes after is left alone.
    people = ["+9990000002", owner.phone, "+9990000003"]
    answer = docs.ask("POST", f"/{shop}/groups/{group}/participants/remove", {"participants": people})
    told(answer, 403)
    assert answer.body["applied"] == ["9990000002@s.whatsapp.net"]
    assert [each["id"] for each in answer.body["failed"]] == [owner.jid]
    assert set(owner.roles(group)) == {owner.phone, "9990000003"}


@pytest.mark.parametrize("people", [[], ["nobody"], ["12"], [7], "9990000002", ["120363000000000001@g.us"]])
def test_who_is_nobody_is_refused(docs: Dialect, shop: str, group: str, people: Any) -> None:
    for path in ("participants/add", "participants/remove", "admin/promote", "admin/demote"):
        told(docs.ask("POST", f"/{shop}/groups/{group}/{path}", {"participants": people}), 400)


def test_the_sdk_gets_an_array_and_others_an_object(docs: Dialect, sdk: Dialect, shop: str, group: str) -> None:
    where = f"/{shop}/groups/{group}/participants"
    array = strict(sdk.get(where), ["GroupParticipant"])
    assert docs.get(where) == {"success": True, "participants": array, "error": None}
    assert [(each["phoneNumber"], each["isAdmin"], each["isSuperAdmin"]) for each in array] == [
        ("9990000001", True, True),
        ("9990000002", False, False),
        ("9990000003", False, False),
    ]
    assert {each["jid"] for each in array} == {f"{each['phoneNumber']}@s.whatsapp.net" for each in array}
    assert all(each["lid"].endswith("@lid") for each in array)


def test_who_cannot_be_added_is_told_and_fails_nothing(docs: Dialect, owner: Account, shop: str, group: str) -> None:
    wish = {"participants": ["+9990000004", "9994000001@c.us"], "notify": False}
    answer = docs.post(f"/{shop}/groups/{group}/participants/add", wish)
    assert answer["data"]["added"] == ["9990000004@s.whatsapp.net"]
    assert [each["id"] for each in answer["data"]["failed"]] == ["9994000001@s.whatsapp.net"]
    assert "9990000004" in owner.roles(group)


@pytest.mark.parametrize("promote", ["admin/promote", "participants/promote"])
@pytest.mark.parametrize("demote", ["admin/demote", "participants/demote"])
def test_roles_change_by_either_path(
    docs: Dialect, owner: Account, shop: str, group: str, promote: str, demote: str
) -> None:
    people = {"participants": ["+9990000002", "9990000003@c.us"]}
    answer = docs.post(f"/{shop}/groups/{group}/{promote}", people)
    assert answer == {"success": True, "promoted": ["9990000002@s.whatsapp.net", "9990000003@s.whatsapp.net"]}
    assert set(owner.roles(group).values()) == {"superadmin", "admin"}
    assert docs.post(f"/{shop}/groups/{group}/{demote}", people)["demoted"] == answer["promoted"]
    assert owner.roles(group)["9990000002"] == "member"


@pytest.mark.parametrize(("method", "path"), [("POST", "participants/remove"), ("DELETE", "participants")])
def test_people_are_removed_by_either_path(
    docs: Dialect, owner: Account, shop: str, group: str, method: str, path: str
) -> None:
    answer = docs.good(method, f"/{shop}/groups/{group}/{path}", {"participants": ["+9990000003", "+9990000008"]})
    assert len(answer["removed"]) == 2
    assert set(owner.roles(group)) == {"9990000001", "9990000002"}
