"""The sandbox's control routes over HTTP: each does what it says, and none exists when the sandbox is off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, organization, refused, text
from wagate import testing
from wagate.testing import SandboxGateway


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    return "/sessions/" + str(wagate.linked("9990000001")["id"])


def everything(wagate: SandboxGateway, path: str) -> list[Any]:
    """All pages of a list."""
    rows: list[Any] = []
    cursor = ""
    while True:
        page = wagate.get(f"{path}{'&' if '?' in path else '?'}limit=200" + (f"&cursor={cursor}" if cursor else ""))
        rows += page["data"]
        cursor = page["nextCursor"]
        if not cursor:
            return rows


# Refused


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/sandbox/messages", {"type": "text", "to": "9990000001", "text": "x"}, "from"),
        ("POST", "/sandbox/messages", text("9990000001", "x", **{"from": "+49 151 23456789"}), "from"),
        ("POST", "/sandbox/messages", text("9990000001", "x", **{"from": "group@g.us"}), "from"),
        ("POST", "/sandbox/messages", text("x", "x", **{"from": "9990000002"}), "to"),
        ("POST", "/sandbox/messages/X:read", {}, "from"),
        ("POST", "/sandbox/groups", {"owner": "9990000002", "subject": "x"}, "participants"),
        ("POST", "/sandbox/groups", {"owner": "x", "subject": "x", "participants": ["9990000003"]}, "owner"),
        ("POST", "/sandbox/faults", {}, "kind"),
        ("POST", "/sandbox/faults", {"kind": "earthquake"}, "kind"),
        ("POST", "/sandbox/faults", {"kind": "refuse", "count": 0}, "count"),
        ("POST", "/sandbox/faults", {"kind": "refuse", "seconds": -1}, "seconds"),
        ("POST", "/sandbox/clock", {"advanceSeconds": 0}, "advanceSeconds"),
        ("POST", "/sandbox/clock", {"advanceSeconds": 1e99}, "advanceSeconds"),
        ("PATCH", "/sandbox/people/9990000002", {"online": "yes"}, "online"),
        ("PATCH", "/sandbox/people/9990000002", {"name": ""}, "name"),
        ("PATCH", "/sandbox/people/x", {}, "phone"),
        ("PATCH", "/sandbox/people/4915123456789", {"online": True}, "phone"),
        ("GET", "/sandbox/messages?to=x", None, "to"),
        ("GET", "/sandbox/messages?cursor=x", None, "cursor"),
        ("GET", "/sandbox/audit?limit=x", None, "limit"),
    ],
)
def test_nonsense_is_refused(wagate: SandboxGateway, here: str, method: str, path: str, body: Any, field: str) -> None:
    invalid(wagate.ask(method, path, body), field)


def test_what_is_not_there_is_404(wagate: SandboxGateway, here: str) -> None:
    refused(wagate.ask("POST", "/sandbox/messages/NOTHING:read", {"from": "9990000002"}), 404, "not_found")
    refused(wagate.ask("GET", "/sandbox/groups/120363000000000000@g.us"), 404, "not_found")
    refused(wagate.ask("POST", "/sandbox/messages", text("120363000000000000@g.us", **{"from": "9990000002"})), 404)
    for verb in ("scan", "unlink", "ban", "replace", "drop"):
        refused(wagate.ask("POST", f"/sandbox/sessions/ses_nobody:{verb}"), 404, "not_found")


def test_a_session_that_shows_no_code_cannot_be_scanned(wagate: SandboxGateway, here: str) -> None:
    refused(wagate.ask("POST", f"/sandbox{here}:scan", {"phone": "9990000005"}), 409, "conflict")
    fresh = wagate.post("/sessions")["id"]
    answer = wagate.ask("POST", f"/sandbox/sessions/{fresh}:scan")
    assert answer.status in (404, 409)


def test_a_key_for_one_session_does_not_turn_everybodys_clock(wagate: SandboxGateway) -> None:
    limited = key(wagate, sessions=[str(wagate.post("/sessions", {})["id"])])
    refused(wagate.ask("POST", "/sandbox/clock", {"advanceSeconds": 1}, key=limited), 403, "forbidden")


def test_the_clock_that_runs_by_itself_is_not_turned(wagate: SandboxGateway) -> None:
    refused(wagate.ask("POST", "/sandbox/clock", {"advanceSeconds": 1}), 409, "conflict")


# Done


def test_what_phones_show_is_listed_by_recipient_sender_and_id(wagate: SandboxGateway, here: str) -> None:
    group = wagate.post(f"{here}/groups", {"name": "g", "participants": ["9990000021", "9990000022"]})["groupJid"]
    id = wagate.post(f"{here}/messages", text(group, "to all"))["waMessageId"]
    copies = everything(wagate, f"/sandbox/messages?mid={id}")
    for copy in copies:
        exactly(copy, "waMessageId from to recipient type content timestamp status edited revoked reactions votes")
    assert {copy["recipient"] for copy in copies} == {"9990000021@s.whatsapp.net", "9990000022@s.whatsapp.net"}
    assert {(copy["from"], copy["to"]) for copy in copies} == {("9990000001@s.whatsapp.net", group)}
    wagate.until(lambda: {c["status"] for c in everything(wagate, f"/sandbox/messages?mid={id}")} == {"read"})
    direct = wagate.post(f"{here}/messages", text("9990000021"))["waMessageId"]
    assert direct in [c["waMessageId"] for c in everything(wagate, "/sandbox/messages?to=9990000021")]
    assert direct in [c["waMessageId"] for c in everything(wagate, "/sandbox/messages?from=9990000001")]
    first = wagate.get("/sandbox/messages?limit=1")
    assert len(first["data"]) == 1
    assert first["nextCursor"]


def test_reading_by_hand_moves_the_message(wagate: SandboxGateway, here: str) -> None:
    id = wagate.post(f"{here}/messages", text("9991000001"))["waMessageId"]
    assert wagate.ask("POST", f"/sandbox/messages/{id}:read", {"from": "9991000001"}).status == 204
    wagate.until(lambda: wagate.get(f"{here}/messages/{id}")["status"] == "read")
    assert wagate.ask("POST", f"/sandbox/messages/{id}:play", {"from": "9991000001"}).status == 204
    wagate.until(lambda: wagate.get(f"{here}/messages/{id}")["status"] == "played")
    assert wagate.get(f"{here}/messages/{id}")["ackLevel"] == 4


def test_a_member_who_reads_is_told_of_each_by_themselves(wagate: SandboxGateway, here: str) -> None:
    group = wagate.post(f"{here}/groups", {"name": "g", "participants": ["9990000023", "9990000024"]})["groupJid"]
    id = wagate.post(f"{here}/messages", text(group))["waMessageId"]

    def readers() -> set[str]:
        return {
            each["payload"]["senderJid"]
            for each in events(wagate, "message.status")
            if id in each["payload"]["messageIds"] and each["payload"]["status"] == "read"
        }

    wagate.until(lambda: readers() == {"9990000023@s.whatsapp.net", "9990000024@s.whatsapp.net"})


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("refuse", 422, "refused"), ("ack_delay", 200, None), ("disconnect", 200, None)]
)
def test_a_fault_strikes_once(wagate: SandboxGateway, here: str, kind: str, status: int, code: str | None) -> None:
    session = here.rpartition("/")[2]
    assert wagate.ask("POST", "/sandbox/faults", {"kind": kind, "session": session}).status == 204
    answer = wagate.ask("POST", f"{here}/messages", text("9990000025"))
    assert answer.status == status, answer.body
    wagate.until(lambda: wagate.working(session))
    assert wagate.ask("POST", f"{here}/messages", text("9990000025")).status == 200


def test_events_that_come_twice_or_late_change_nothing(wagate: SandboxGateway, here: str) -> None:
    for kind in ("duplicate_event", "reorder_events"):
        wagate.ask("POST", "/sandbox/faults", {"kind": kind, "session": here.rpartition("/")[2], "count": 3})
        said = [
            wagate.post("/sandbox/messages", text("9990000001", f"{kind} {i}", **{"from": "9990000026"}))["waMessageId"]
            for i in range(4)
        ]
        wagate.until(lambda said=said: all(  # type: ignore[misc]
            wagate.ask("GET", f"{here}/messages/{each}").status == 200 for each in said))  # fmt: skip
        told = [each["payload"]["waMessageId"] for each in events(wagate, "message")]
        assert [told.count(each) for each in said] == [1] * 4


def test_every_frame_is_in_the_audit_in_order(wagate: SandboxGateway, here: str) -> None:
    id = wagate.post(f"{here}/messages", text("9998000002"))["waMessageId"]
    frames = everything(wagate, "/sandbox/audit")
    for frame in frames:
        exactly(frame, "number timestamp kind", "session waMessageId from to")
    numbers = [frame["number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    assert len([f for f in frames if f["kind"] == "message" and f.get("waMessageId") == id]) == 2
    assert len(everything(wagate, f"/sandbox/messages?mid={id}")) == 1


def test_a_person_is_renamed(wagate: SandboxGateway, here: str) -> None:
    assert wagate.ask("PATCH", "/sandbox/people/9990000027", {"name": "Zoe"}).status == 204
    id = wagate.post("/sandbox/messages", text("9990000001", **{"from": "9990000027"}))["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{id}").status == 200)
    assert wagate.get(f"{here}/messages/{id}")["senderName"] == "Zoe"
    assert wagate.get(f"{here}/chats/9990000027")["name"] == "Zoe"


def test_a_group_that_people_made_shows_the_truth(wagate: SandboxGateway) -> None:
    made = wagate.post(
        "/sandbox/groups", {"owner": "9990000031", "subject": "s", "participants": ["9990000032", "9994000001"]}
    )
    truth = wagate.get(f"/sandbox/groups/{made['groupJid']}")
    exactly(truth, "groupJid subject description isAnnounce isLocked approvesJoins members invite pending")
    for member in truth["members"]:
        exactly(member, "jid lid role")
    assert truth["invite"] == made["invite"]
    assert [member["role"] for member in truth["members"]] == ["superadmin", "member"]


def test_each_organization_has_a_network_of_its_own(wagate: SandboxGateway, here: str) -> None:
    wagate.post(f"{here}/messages", text("9990000041"))
    stranger = key(wagate, owner=organization(wagate))
    assert wagate.ask("GET", "/sandbox/messages", key=stranger).body == {"data": [], "nextCursor": ""}
    assert wagate.ask("GET", "/sandbox/audit", key=stranger).body["data"] == []
    answer = wagate.ask("POST", "/sandbox/messages", text("9990000001", **{"from": "9990000002"}), key=stranger)
    assert answer.status in (200, 422)
    assert len(events(wagate, "message", key=stranger)) == 0


def test_without_the_sandbox_its_routes_and_sessions_do_not_exist(tmp_path: Any) -> None:
    with testing.gateway(tmp_path / "on") as on:
        secret = on.key
        session = on.linked("9990000001")["id"]
    with testing.gateway(tmp_path / "on", sandbox=False) as off:
        for path in ("/sandbox/messages", "/sandbox/audit", "/sandbox/groups/1@g.us"):
            refused(off.ask("GET", path, key=secret), 404, "not_found")
        refused(off.ask("POST", "/sandbox/clock", {"advanceSeconds": 1}, key=secret), 404, "not_found")
        invalid(off.ask("POST", "/sessions", {}, key=secret), "engine")
        invalid(off.ask("POST", "/sessions", {"engine": "sandbox"}, key=secret), "engine")
        # What was stored is still read; nothing goes out.
        assert off.ask("GET", f"/sessions/{session}", key=secret).status == 200
        answer = off.ask("POST", f"/sessions/{session}/messages", text("9990000002"), key=secret)
        assert refused(answer, 501)["reason"] in ("session_not_connected", "unsupported_by_engine")
        answer = off.ask(
            "POST", f"/sessions/{session}/groups", {"name": "g", "participants": ["9990000002"]}, key=secret
        )
        assert refused(answer, 501)["reason"] in ("session_not_connected", "unsupported_by_engine")
        assert off.ask("GET", f"/sessions/{session}/chats", key=secret).status == 200
        assert off.ask("DELETE", f"/sessions/{session}", key=secret).status == 204
