"""The sandbox's control routes for people, calls and groups over HTTP, and what sessions hear of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, refused
from wagate.testing import SandboxGateway

ME, BEN = "9990000001", "9990000002"
ABSENT = "9993000001"
NO_GROUP = "120363000000000000@g.us"


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    return "/sessions/" + str(wagate.linked(ME)["id"])


def jid(number: str) -> str:
    return f"{number}@s.whatsapp.net"


def heard(wagate: SandboxGateway, name: str, **fields: Any) -> list[Any]:
    """The payloads of this event that have these fields."""
    payloads = [event["payload"] for event in events(wagate, name)]
    return [payload for payload in payloads if fields.items() <= payload.items()]


# Refused


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", f"/sandbox/people/{BEN}:call", {}, "to"),
        ("POST", f"/sandbox/people/{BEN}:call", {"to": "x"}, "to"),
        ("POST", f"/sandbox/people/{BEN}:call", {"to": "status@broadcast"}, "to"),
        ("POST", f"/sandbox/people/{BEN}:call", {"to": "120363000000000000@newsletter"}, "to"),
        ("POST", f"/sandbox/people/{BEN}:call", {"to": BEN}, "to"),
        ("POST", f"/sandbox/people/{BEN}:call", {"to": ME, "video": "yes"}, "video"),
        ("POST", f"/sandbox/people/{BEN}:call", {"to": ME, "loud": True}, "loud"),
        ("POST", "/sandbox/people/x:call", {"to": ME}, "phone"),
        ("POST", "/sandbox/people/4915123456789:call", {"to": ME}, "phone"),
        ("PATCH", f"/sandbox/people/{BEN}", {"picture": "cat.jpg"}, "picture"),
        ("PATCH", f"/sandbox/people/{BEN}", {"typing": 1}, "typing"),
        ("PATCH", f"/sandbox/people/{BEN}", {"about": "x" * 501}, "about"),
        ("PATCH", f"/sandbox/people/{BEN}", {"about": "a\u0000b"}, "about"),
        (
            "POST",
            "/sandbox/groups",
            {"owner": BEN, "subject": "x", "participants": [ME], "approveJoins": "yes"},
            "approveJoins",
        ),
    ],
)
def test_nonsense_is_refused(wagate: SandboxGateway, here: str, method: str, path: str, body: Any, field: str) -> None:
    invalid(wagate.ask(method, path, body), field)


def test_who_or_what_is_not_there_cannot_be_rung(wagate: SandboxGateway, here: str) -> None:
    refused(wagate.ask("POST", f"/sandbox/people/{BEN}:call", {"to": NO_GROUP}), 404, "not_found")
    for caller, to in ((BEN, ABSENT), (ABSENT, ME)):
        details = refused(wagate.ask("POST", f"/sandbox/people/{caller}:call", {"to": to}), 422, "refused")
        assert details["reason"] == "not_on_whatsapp"
    group = wagate.post("/sandbox/groups", {"owner": BEN, "subject": "s", "participants": [ME]})["groupJid"]
    refused(wagate.ask("POST", "/sandbox/people/9990000009:call", {"to": group}), 422, "refused")
    assert heard(wagate, "call.incoming") == []


# Done


def test_a_call_is_an_event(wagate: SandboxGateway, here: str) -> None:
    group = wagate.post("/sandbox/groups", {"owner": BEN, "subject": "s", "participants": [ME]})["groupJid"]
    for to, video in ((ME, True), (group, None)):
        body = {"to": to} if video is None else {"to": to, "video": video}
        assert wagate.ask("POST", f"/sandbox/people/{BEN}:call", body).status == 204
    wagate.until(lambda: len(heard(wagate, "call.incoming")) == 2)
    alone, together = heard(wagate, "call.incoming")
    exactly(alone, "callId from timestamp isGroup")
    exactly(together, "callId from timestamp isGroup groupJid")
    assert (alone["from"], alone["isGroup"]) == (jid(BEN), False)
    assert (together["isGroup"], together["groupJid"]) == (True, group)


def test_who_is_watched_comes_types_and_goes(wagate: SandboxGateway, here: str) -> None:
    number = "9990000021"
    found = wagate.get(f"{here}/chats/{number}/presence")
    assert (found["from"], found["state"]) == (jid(number), "unknown")
    for change in ({"online": True}, {"typing": True}, {"typing": False}, {"online": False}):
        assert wagate.ask("PATCH", f"/sandbox/people/{number}", change).status == 204
    wagate.until(lambda: len(heard(wagate, "presence.update", **{"from": jid(number)})) == 4)
    told = heard(wagate, "presence.update", **{"from": jid(number)})
    assert [each["state"] for each in told] == ["available", "composing", "paused", "unavailable"]
    assert (told[1]["chatJid"], told[1]["media"]) == (jid(number), "text")
    assert (told[3]["unavailable"], told[3]["lastSeen"] > 0) == (True, True)
    away = wagate.get(f"{here}/chats/{number}/presence")
    assert (away["state"], away["lastSeen"]) == ("unavailable", told[3]["lastSeen"])


def test_what_the_account_shows_is_in_the_audit(wagate: SandboxGateway, here: str) -> None:
    assert wagate.ask("PUT", f"{here}/presence", {"state": "online"}).status == 204
    assert wagate.ask("PUT", f"{here}/chats/{BEN}/presence", {"state": "recording"}).status == 204
    frames = wagate.get("/sandbox/audit?limit=200")["data"]
    shown = [
        (frame["kind"], frame["from"], frame.get("to")) for frame in frames if frame["kind"].startswith("presence")
    ]
    assert ("presence.available", jid(ME), None) in shown
    assert ("presence.recording", jid(ME), jid(BEN)) in shown


def test_a_person_has_an_about_and_a_picture(wagate: SandboxGateway, here: str) -> None:
    number = "9990000022"
    assert wagate.get(f"{here}/contacts/{jid(number)}/about") == {"about": ""}
    refused(wagate.ask("GET", f"{here}/contacts/{jid(number)}/picture"), 404, "not_found")
    assert wagate.ask("PATCH", f"/sandbox/people/{number}", {"about": "busy", "picture": True}).status == 204
    assert wagate.get(f"{here}/contacts/{jid(number)}/about") == {"about": "busy"}
    assert wagate.get(f"{here}/contacts/{jid(number)}/picture")["id"]


def test_a_group_that_approves_joins_lets_people_wait(wagate: SandboxGateway, here: str) -> None:
    body = {"owner": ME, "subject": "s", "participants": [BEN], "approveJoins": True}
    made = wagate.post("/sandbox/groups", body)
    group = made["groupJid"]
    wagate.until(lambda: wagate.ask("GET", f"{here}/groups/{group}").status == 200)
    for number in ("9990000003", "9990000004"):
        assert wagate.ask("POST", f"/sandbox/groups/{group}:request", {"phone": number}).status == 204
    truth = wagate.get(f"/sandbox/groups/{group}")
    assert (truth["approvesJoins"], truth["pending"]) == (True, [jid("9990000003"), jid("9990000004")])
    pending = wagate.get(f"{here}/groups/{group}/members:pending")["data"]
    assert [each["jid"] for each in pending] == truth["pending"]
    members = f"{here}/groups/{group}/members"
    assert wagate.ask("POST", f"{members}:reject", {"participants": ["9990000003"]}).status == 204
    assert wagate.ask("POST", f"{members}:approve", {"participants": ["9990000004"]}).status == 204
    refused(wagate.ask("POST", f"{members}:reject", {"participants": ["9990000003"]}), 404, "not_found")
    truth = wagate.get(f"/sandbox/groups/{group}")
    assert truth["pending"] == []
    assert [member["jid"] for member in truth["members"]] == [jid(ME), jid(BEN), jid("9990000004")]


def test_whoever_changes_a_group_changes_what_is_stored(wagate: SandboxGateway, here: str) -> None:
    made = wagate.post("/sandbox/groups", {"owner": ME, "subject": "s", "participants": [BEN]})
    group = made["groupJid"]
    for number, step in ((BEN, "promote"), (BEN, "demote"), ("9990000005", "join"), ("9990000005", "leave")):
        assert wagate.ask("POST", f"/sandbox/groups/{group}:{step}", {"phone": number}).status == 204
    # The first join is the group's making.
    wagate.until(lambda: len(heard(wagate, "group.participant", groupJid=group)) >= 5)
    changes = heard(wagate, "group.participant", groupJid=group)
    steps = ["join", "promote", "demote", "join", "leave"]
    assert [next(k for k in each if k in steps) for each in changes] == steps
    members = wagate.get(f"{here}/groups/{group}/members")["data"]
    assert {each["phoneNumber"]: each["role"] for each in members} == {ME: "superadmin", BEN: "member"}
