"""Keys over the API: nobody grants more than they hold, and a secret is shown once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import key, organization, refused
from wagate.testing import SandboxGateway


def new(wagate: SandboxGateway, **body: Any) -> Any:
    return wagate.ask("POST", "/keys", {"name": "k", "permissions": ["read", "manage"]} | body)


def ids(answer: Any) -> list[str]:
    return [each["id"] for each in answer.body["data"]]


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"permissions": []},
        {"permissions": ["super_admin"]},
        {"expiresAt": 1},
        {"expiresAt": "soon"},
        {"sessionIds": []},
        {"sessionIds": ["ses_nobody"]},
        {"secret": "wa_mine"},
    ],
    ids=str,
)
def test_a_key_of_nonsense_is_refused_and_not_made(wagate: SandboxGateway, body: Any) -> None:
    before = wagate.get("/keys")
    refused(new(wagate, **body), 400, "validation_error")
    assert [each["id"] for each in wagate.get("/keys")["data"]] == [each["id"] for each in before["data"]]


def test_nobody_grants_or_rotates_what_they_do_not_hold(wagate: SandboxGateway) -> None:
    strong = new(wagate, permissions=["send"]).body
    weak = new(wagate).body["secret"]
    refused(wagate.ask("POST", "/keys", {"name": "k", "permissions": ["send"]}, key=weak), 403, "forbidden")
    refused(wagate.ask("POST", f"/keys/{strong['id']}:rotate", key=weak), 403, "forbidden")
    assert wagate.ask("GET", "/keys", key=weak).status == 200


def test_a_key_that_expires_makes_none_that_outlives_it(wagate: SandboxGateway) -> None:
    soon = wagate.running.gw.clock.now() + 3_600_000
    mine = new(wagate, expiresAt=soon).body["secret"]
    for until, status in ((None, 403), (soon + 1, 403), (soon, 201)):
        body = {"name": "k", "permissions": ["read"], "expiresAt": until}
        assert wagate.ask("POST", "/keys", body, key=mine).status == status


def test_a_limited_key_sees_and_makes_keys_within_its_sessions_only(wagate: SandboxGateway) -> None:
    one, other = (wagate.post("/sessions", {})["id"] for _ in range(2))
    limited = new(wagate, sessionIds=[one]).body
    beside = new(wagate, sessionIds=[one, other]).body
    mine = limited["secret"]
    assert ids(wagate.ask("GET", "/keys", key=mine)) == [limited["id"]]
    for action in ("DELETE", "POST"):
        path = f"/keys/{beside['id']}" + (":rotate" if action == "POST" else "")
        refused(wagate.ask(action, path, key=mine), 404, "not_found")
    for sessions in (None, [other], [one, other]):
        body = {"name": "k", "permissions": ["read"], "sessionIds": sessions}
        refused(wagate.ask("POST", "/keys", body, key=mine), 403, "forbidden")
    made = wagate.ask("POST", "/keys", {"name": "k", "permissions": ["read"], "sessionIds": [one]}, key=mine)
    assert made.status == 201


def test_another_organizations_key_does_not_exist(wagate: SandboxGateway) -> None:
    stranger = key(wagate, owner=organization(wagate))
    theirs = ids(wagate.ask("GET", "/keys", key=stranger))
    for id in (theirs[0], "key_nothing"):
        refused(wagate.ask("DELETE", f"/keys/{id}"), 404, "not_found")
        refused(wagate.ask("POST", f"/keys/{id}:rotate"), 404, "not_found")
    assert not set(theirs) & set(ids(wagate.ask("GET", "/keys")))


def test_the_secret_is_shown_once_and_a_rotated_or_revoked_one_fails_at_once(wagate: SandboxGateway) -> None:
    made = new(wagate).body
    listed = next(each for each in wagate.get("/keys")["data"] if each["id"] == made["id"])
    assert "secret" not in listed
    assert made["secret"].startswith(listed["prefix"])
    turned = wagate.post(f"/keys/{made['id']}:rotate")
    assert (turned["id"], turned["name"], turned["permissions"]) == (made["id"], "k", ["read", "manage"])
    assert turned["prefix"] != made["prefix"]
    refused(wagate.ask("GET", "/keys", key=made["secret"]), 401, "unauthorized")
    assert wagate.ask("GET", "/keys", key=turned["secret"]).status == 200
    assert wagate.ask("DELETE", f"/keys/{made['id']}").status == 204
    refused(wagate.ask("GET", "/keys", key=turned["secret"]), 401, "unauthorized")
    refused(wagate.ask("DELETE", f"/keys/{made['id']}"), 404, "not_found")


def test_keys_are_listed_page_by_page(wagate: SandboxGateway) -> None:
    made = [new(wagate).body["id"] for _ in range(3)]
    found, cursor = [], ""
    while True:
        page = wagate.get(f"/keys?limit=1&cursor={cursor}")
        found += [each["id"] for each in page["data"]]
        if not (cursor := page["nextCursor"]):
            break
    assert found[-3:] == made
