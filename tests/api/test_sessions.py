"""Sessions over HTTP: made, changed, listed, deleted, and seen by limited keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import events, exactly, home, invalid, key, organization, refused, text
from wagate.testing import SandboxGateway

ALWAYS = (
    "id organizationId gatewayId status isAdminSession autoRead presenceTyping ratePerMin ratePerHour createdAt"
    " updatedAt engine hasProxy"
)


def status(wagate: SandboxGateway, session: str, wanted: str) -> Any:
    """The session once it stands so."""

    def look() -> Any:
        now = wagate.get(f"/sessions/{session}")
        return now if now["status"] == wanted else None

    return wagate.until(look)


# Made and changed


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"label": "a\nb"}, "label"),
        ({"label": "x" * 201}, "label"),
        ({"label": 7}, "label"),
        ({"autoRead": "yes"}, "autoRead"),
        ({"start": 1}, "start"),
        ({"engine": "other"}, "engine"),
        ({"engine": "whatsapp"}, "engine"),
        ({"proxyUrl": "socks5://user:pass@127.0.0.1:1"}, "proxyUrl"),
        ({"ratePerMin": 1}, "ratePerMin"),
        ({"id": "mine"}, "id"),
    ],
)
def test_a_session_of_nonsense_is_refused_and_not_made(wagate: SandboxGateway, body: Any, path: str) -> None:
    before = len(wagate.get("/sessions")["data"])
    invalid(wagate.ask("POST", "/sessions", body), path)
    assert len(wagate.get("/sessions")["data"]) == before


def test_a_new_session_is_stopped_and_complete(wagate: SandboxGateway) -> None:
    answer = wagate.ask("POST", "/sessions")
    assert answer.status == 201
    exactly(answer.body, ALWAYS)
    made = answer.body
    assert ":" not in made["id"]
    assert made | {"status": "stopped", "isAdminSession": False, "autoRead": False, "presenceTyping": False} == made
    assert made | {"ratePerMin": 20, "ratePerHour": 200, "engine": "sandbox", "hasProxy": False} == made
    assert made["organizationId"] == home(wagate)
    assert made["gatewayId"] == "test"
    assert wagate.get(f"/sessions/{made['id']}") == made


def test_null_counts_as_absent(wagate: SandboxGateway) -> None:
    answer = wagate.ask("POST", "/sessions", {"label": None, "autoRead": None, "start": None, "engine": None})
    assert answer.status == 201
    exactly(answer.body, ALWAYS)


def test_settings_change_one_by_one(wagate: SandboxGateway) -> None:
    made = wagate.post("/sessions", {"label": "first", "autoRead": True, "presenceTyping": True})
    assert (made["label"], made["autoRead"], made["presenceTyping"]) == ("first", True, True)
    where = f"/sessions/{made['id']}"
    changed = wagate.ask("PATCH", where, {"ratePerMin": 0, "ratePerHour": 7}).body
    assert changed == made | {"ratePerMin": 0, "ratePerHour": 7, "updatedAt": changed["updatedAt"]}
    changed = wagate.ask("PATCH", where, {"label": "second", "autoRead": False, "presenceTyping": None}).body
    assert (changed["label"], changed["autoRead"], changed["presenceTyping"]) == ("second", False, True)
    assert wagate.ask("PATCH", where, {}).status == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"ratePerMin": -1}, "ratePerMin"),
        ({"ratePerMin": 1.5}, "ratePerMin"),
        ({"ratePerHour": "9"}, "ratePerHour"),
        ({"ratePerHour": 10**9}, "ratePerHour"),
        ({"status": "working"}, "status"),
        ({"proxyUrl": "http://127.0.0.1"}, "proxyUrl"),
    ],
)
def test_a_change_to_nonsense_is_refused(wagate: SandboxGateway, body: Any, path: str) -> None:
    made = wagate.post("/sessions")
    invalid(wagate.ask("PATCH", f"/sessions/{made['id']}", body), path)
    assert wagate.get(f"/sessions/{made['id']}") == made


# Lists


def test_the_list_is_one_page_unless_it_is_asked_to_page(wagate: SandboxGateway) -> None:
    secret = key(wagate, owner=organization(wagate))

    def ask(query: str) -> Any:
        return wagate.ask("GET", "/sessions" + query, key=secret)

    assert ask("").body == {"data": [], "nextCursor": ""}
    made = sorted(wagate.ask("POST", "/sessions", key=secret).body["id"] for _ in range(5))
    everything = ask("").body
    assert [row["id"] for row in everything["data"]] == made
    assert everything["nextCursor"] == ""
    for row in everything["data"]:
        exactly(row, ALWAYS)
    seen, query = [], "?limit=2"
    while query:
        page = ask(query).body
        assert set(page) == {"data", "nextCursor"}
        seen += [row["id"] for row in page["data"]]
        query = f"?limit=2&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    assert seen == made
    assert ask("?limit=5").body["nextCursor"] == ""
    assert len(ask("?limit=0").body["data"]) == 5
    assert len(ask("?limit=-3").body["data"]) == 1
    assert len(ask("?limit=999999").body["data"]) == 5
    assert len(ask("?cursor=").body["data"]) == 5


def test_a_limit_that_is_no_number_and_a_broken_cursor_are_400(wagate: SandboxGateway) -> None:
    wagate.post("/sessions"), wagate.post("/sessions")
    for wrong in ("x", "1.5", "", "%00", "0x10"):
        invalid(wagate.ask("GET", f"/sessions?limit={wrong}"), "limit")
    cursor = wagate.get("/sessions?limit=1")["nextCursor"]
    middle = len(cursor) // 2
    other = "A" if cursor[middle] != "A" else "B"
    for wrong in ("x", cursor[:-1], cursor + "A", cursor[:middle] + other + cursor[middle + 1 :], "%ff", "A" * 9000):
        invalid(wagate.ask("GET", f"/sessions?cursor={wrong}"), "cursor")
    stranger = key(wagate, owner=organization(wagate))
    invalid(wagate.ask("GET", f"/sessions?cursor={cursor}", key=stranger), "cursor")
    session = wagate.get("/sessions")["data"][0]["id"]
    invalid(wagate.ask("GET", f"/sessions/{session}/chats?cursor={cursor}"), "cursor")


# Deleted


def test_delete_removes_the_session_and_all_that_was_stored(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990001090")["id"]
    wagate.post(f"/sessions/{session}/messages", text("9990000002"))
    wagate.post(f"/sessions/{session}/groups", {"name": "g", "participants": ["9990000003"]})
    answer = wagate.ask("DELETE", f"/sessions/{session}")
    assert (answer.status, answer.body) == (204, b"")
    for below in ("", "/me", "/qr", "/chats", "/outbox", "/groups"):
        refused(wagate.ask("GET", f"/sessions/{session}{below}"), 404, "not_found")
    refused(wagate.ask("DELETE", f"/sessions/{session}"), 404, "not_found")
    assert session not in [row["id"] for row in wagate.get("/sessions")["data"]]
    refused(wagate.ask("GET", f"/events?session={session}"), 404, "not_found")


# Keys that are limited to some sessions


def test_a_limited_key_sees_its_sessions_only(wagate: SandboxGateway) -> None:
    mine, other = wagate.linked()["id"], wagate.linked()["id"]
    limited = key(wagate, sessions=[mine])
    assert [row["id"] for row in wagate.ask("GET", "/sessions", key=limited).body["data"]] == [mine]
    assert [row["id"] for row in wagate.ask("GET", "/sessions?limit=1", key=limited).body["data"]] == [mine]
    assert wagate.ask("GET", f"/sessions/{mine}", key=limited).status == 200
    for method, below, body in (
        ("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("GET", "/me", None), ("GET", "/chats", None),
        ("POST", ":stop", None), ("POST", "/messages", text("9990000002")), ("GET", "/groups", None),
        ("GET", "/outbox", None),
    ):  # fmt: skip
        refused(wagate.ask(method, f"/sessions/{other}{below}", body, key=limited), 404, "not_found")
    refused(wagate.ask("POST", f"/sandbox/sessions/{other}:drop", {}, key=limited), 404, "not_found")
    refused(wagate.ask("POST", "/sessions", {}, key=limited), 403, "forbidden")
    seen = {event["session"] for event in events(wagate, key=limited)}
    assert seen == {mine}
    refused(wagate.ask("GET", f"/events?session={other}", key=limited), 404, "not_found")
    assert wagate.get(f"/sessions/{other}")["status"] == "working"
