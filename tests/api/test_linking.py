"""A session's life over HTTP: linked, started, stopped, and ended in every way that the sandbox can end it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, refused, text
from wagate import testing
from wagate.testing import SandboxGateway
from wagate.workers import unlinking

ALWAYS = (
    "id organizationId gatewayId status isAdminSession autoRead presenceTyping ratePerMin ratePerHour createdAt"
    " updatedAt engine hasProxy"
)
SOMETIMES = "statusReason label createdByUserId phoneNumber waJid waLid lastConnectedAt"
LINKED = "phoneNumber waJid waLid lastConnectedAt"


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose clock only the test turns."""
    with testing.gateway(tmp_path_factory.mktemp("still") / "data", clock="manual") as running:
        yield running


def status(wagate: SandboxGateway, session: str, wanted: str) -> Any:
    """The session once it stands so."""

    def look() -> Any:
        now = wagate.get(f"/sessions/{session}")
        return now if now["status"] == wanted else None

    return wagate.until(look)


def scanning(wagate: SandboxGateway) -> str:
    """A session that shows a code."""
    session: str = wagate.post("/sessions", {"start": True})["id"]
    status(wagate, session, "scan_qr_code")
    return session


def statuses(wagate: SandboxGateway, session: str) -> list[tuple[str, str | None]]:
    return [
        (each["payload"]["status"], each["payload"].get("reason"))
        for each in events(wagate, "session.status", session=session)
    ]


# Linking


def test_linking_by_qr_goes_from_starting_over_scanning_to_working(wagate: SandboxGateway) -> None:
    made = wagate.post("/sessions", {"start": True})
    assert made["status"] == "starting"
    status(wagate, made["id"], "scan_qr_code")
    told = wagate.post(f"/sandbox/sessions/{made['id']}:scan", {"phone": "+999 000-1001", "name": "Ann"})
    exactly(told, "waJid waLid")
    assert told["waJid"] == "9990001001@s.whatsapp.net"
    assert re.fullmatch(r"[0-9]+@lid", told["waLid"])
    assert "9990001001" not in told["waLid"]
    now = status(wagate, made["id"], "working")
    exactly(now, ALWAYS, LINKED)
    assert (now["phoneNumber"], now["waJid"], now["waLid"]) == ("9990001001", told["waJid"], told["waLid"])
    assert now["lastConnectedAt"] >= now["createdAt"]
    assert statuses(wagate, made["id"]) == [
        ("starting", None), ("scan_qr_code", None), ("starting", None), ("working", None),
    ]  # fmt: skip
    (code,) = events(wagate, "auth.code", session=made["id"])
    exactly(code["payload"], "", "jid lid businessName platform")
    assert code["payload"]["jid"] == told["waJid"]
    (shown,) = events(wagate, "auth.qr", session=made["id"])
    exactly(shown["payload"], "code")
    me = wagate.get(f"/sessions/{made['id']}/me")
    exactly(me, "sessionId status connected phoneNumber waJid waLid")
    assert me["connected"] is True


def test_asking_for_the_qr_code_begins_linking(wagate: SandboxGateway) -> None:
    made = wagate.post("/sessions")
    where = f"/sessions/{made['id']}/qr"
    first = wagate.ask("GET", where)
    if first.status != 200:
        refused(first, 404, "not_found")
    wagate.until(lambda: wagate.ask("GET", where).status == 200)
    code = wagate.get(where)
    exactly(code, "code", "expiresAt")
    assert wagate.get(where) == code
    png = wagate.ask("GET", where, headers={"accept": "image/png"})
    assert (png.status, png.headers["content-type"]) == (200, "image/png")
    assert png.body.startswith(b"\x89PNG\r\n\x1a\n")
    svg = wagate.ask("GET", where, headers={"accept": "text/html, image/svg+xml;q=0.9"})
    assert (svg.status, svg.headers["content-type"]) == (200, "image/svg+xml")
    assert b"<svg" in svg.body


def test_a_linked_session_gives_no_codes(wagate: SandboxGateway) -> None:
    session = wagate.linked()["id"]
    refused(wagate.ask("GET", f"/sessions/{session}/qr"), 400, "validation_error")
    answer = wagate.ask("POST", f"/sessions/{session}/pairing-code", {"phone": "9990000003"})
    refused(answer, 400, "validation_error")


def test_linking_by_a_typed_code(wagate: SandboxGateway) -> None:
    session = wagate.post("/sessions")["id"]
    code = wagate.post(f"/sessions/{session}/pairing-code", {"phone": "+999 000 1002"})
    exactly(code, "code", "expiresAt")
    assert re.fullmatch(r"[A-Z0-9]{4}-[A-Z0-9]{4}", code["code"])
    wagate.post(f"/sandbox/sessions/{session}:scan")
    assert status(wagate, session, "working")["phoneNumber"] == "9990001002"


@pytest.mark.parametrize("phone", ["", "12", "abcdefg", "999000", "+1", "9990000001@s.whatsapp.net", "999\u0000000001"])
def test_a_typed_code_needs_a_number_that_can_exist(wagate: SandboxGateway, phone: str) -> None:
    session = wagate.post("/sessions")["id"]
    invalid(wagate.ask("POST", f"/sessions/{session}/pairing-code", {"phone": phone}), "phone")
    assert wagate.get(f"/sessions/{session}")["status"] == "stopped"


def test_who_is_not_on_whatsapp_cannot_link(wagate: SandboxGateway) -> None:
    session = scanning(wagate)
    details = refused(wagate.ask("POST", f"/sandbox/sessions/{session}:scan", {"phone": "9993000001"}), 422, "refused")
    assert details["reason"] == "not_on_whatsapp"
    assert details["certain"] is True
    assert wagate.get(f"/sessions/{session}")["status"] == "scan_qr_code"


def test_a_number_has_at_most_four_sessions(wagate: SandboxGateway) -> None:
    for _ in range(4):
        wagate.linked("9990001040")
    refused(wagate.ask("POST", f"/sandbox/sessions/{scanning(wagate)}:scan", {"phone": "9990001040"}), 422, "refused")


def test_an_unlinked_session_has_no_account_and_cannot_start(wagate: SandboxGateway) -> None:
    session = wagate.post("/sessions")["id"]
    refused(wagate.ask("GET", f"/sessions/{session}/me"), 404, "not_found")
    for verb in ("start", "restart"):
        refused(wagate.ask("POST", f"/sessions/{session}:{verb}"), 400, "validation_error")
    for verb in ("stop", "logout"):
        answer = wagate.ask("POST", f"/sessions/{session}:{verb}")
        assert (answer.status, answer.body["status"]) == (200, "stopped")


def test_a_code_that_nobody_scans_times_out(still: SandboxGateway) -> None:
    session = scanning(still)
    first = still.get(f"/sessions/{session}/qr")
    still.post("/sandbox/clock", {"advanceSeconds": 61})
    still.until(lambda: still.ask("GET", f"/sessions/{session}/qr").status == 200)
    assert still.get(f"/sessions/{session}/qr")["code"] != first["code"]

    def later() -> bool:
        still.post("/sandbox/clock", {"advanceSeconds": 21})
        return bool(still.get(f"/sessions/{session}")["status"] == "failed")

    still.until(later)
    assert still.get(f"/sessions/{session}")["statusReason"] == "qr_timeout"
    assert statuses(still, session)[-1] == ("failed", "qr_timeout")
    still.until(lambda: still.ask("GET", f"/sessions/{session}/qr").status == 200)
    assert "statusReason" not in still.get(f"/sessions/{session}")


# Stopped, started, ended


def test_stop_keeps_the_link_and_start_needs_no_phone(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990001050")
    where = f"/sessions/{session['id']}"
    stopped = wagate.post(f"{where}:stop")
    exactly(stopped, ALWAYS, LINKED)
    assert stopped["status"] == "stopped"
    assert wagate.post(f"{where}:stop")["status"] == "stopped"
    me = wagate.get(f"{where}/me")
    assert (me["connected"], me["status"], me["phoneNumber"]) == (False, "stopped", "9990001050")
    assert wagate.post(f"{where}:start")["status"] == "starting"
    status(wagate, session["id"], "working")
    again = wagate.post(f"{where}:start")
    assert again["status"] == "working"
    assert statuses(wagate, session["id"])[-3:] == [("stopped", None), ("starting", None), ("working", None)]


def test_restart_connects_anew(wagate: SandboxGateway) -> None:
    session = wagate.linked()["id"]
    assert wagate.post(f"/sessions/{session}:restart")["status"] == "starting"
    status(wagate, session, "working")
    assert statuses(wagate, session)[-2:] == [("starting", None), ("working", None)]
    wagate.post(f"/sessions/{session}:stop")
    wagate.post(f"/sessions/{session}:restart")
    status(wagate, session, "working")


def test_logout_forgets_the_number_and_keeps_the_chats(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990001060")["id"]
    wagate.post(f"/sessions/{session}/messages", text("9990000002"))
    gone = wagate.post(f"/sessions/{session}:logout")
    exactly(gone, ALWAYS, "lastConnectedAt")
    assert gone["status"] == "logged_out"
    assert wagate.post(f"/sessions/{session}:logout")["status"] == "logged_out"
    assert wagate.post(f"/sessions/{session}:stop")["status"] == "logged_out"
    refused(wagate.ask("GET", f"/sessions/{session}/me"), 404, "not_found")
    assert len(wagate.get(f"/sessions/{session}/chats")["data"]) == 1
    assert statuses(wagate, session)[-1] == ("logged_out", None)
    # The network was told: the number has all four places again, and the session may become another account.
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{session}/qr").status == 200)
    wagate.post(f"/sandbox/sessions/{session}:scan", {"phone": "9990001061"})
    assert status(wagate, session, "working")["phoneNumber"] == "9990001061"
    assert len(wagate.get(f"/sessions/{session}/chats")["data"]) == 1


def test_logout_connects_a_stopped_session_to_unlink_it(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990001070")["id"]
    wagate.post(f"/sessions/{session}:stop")
    gone = wagate.post(f"/sessions/{session}:logout")
    exactly(gone, ALWAYS, "lastConnectedAt")
    frames = wagate.get("/sandbox/audit?limit=200")
    while frames["nextCursor"]:
        more = wagate.get(f"/sandbox/audit?limit=200&cursor={frames['nextCursor']}")
        frames = {"data": frames["data"] + more["data"], "nextCursor": more["nextCursor"]}
    assert any(frame["kind"] == "logout" and frame.get("session") == session for frame in frames["data"])


def test_logout_without_a_line_says_that_it_is_unconfirmed(
    wagate: SandboxGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlinking, "_TRIES_SECONDS", 0.2)
    session = wagate.linked("9990001080")["id"]
    wagate.ask("POST", f"/sandbox/sessions/{session}:drop", {"seconds": 3600})
    status(wagate, session, "starting")
    gone = wagate.post(f"/sessions/{session}:logout")
    exactly(gone, ALWAYS, "lastConnectedAt statusReason")
    assert (gone["status"], gone["statusReason"]) == ("logged_out", "unlink_unconfirmed")
    assert statuses(wagate, session)[-1] == ("logged_out", "unlink_unconfirmed")


@pytest.mark.parametrize(
    ("what", "wanted", "reason"),
    [("unlink", "logged_out", "unlinked"), ("ban", "logged_out", "banned"), ("replace", "failed", "replaced")],
)
def test_the_network_ends_a_link(wagate: SandboxGateway, what: str, wanted: str, reason: str) -> None:
    session = wagate.linked(f"99900012{len(what)}0")["id"]
    assert wagate.ask("POST", f"/sandbox/sessions/{session}:{what}").status == 204
    now = status(wagate, session, wanted)
    exactly(now, ALWAYS, SOMETIMES)
    assert now["statusReason"] == reason
    assert ("phoneNumber" in now) == ("waJid" in now) == ("waLid" in now) == (wanted == "failed")
    assert statuses(wagate, session)[-1] == (wanted, reason)
    answer = wagate.ask("POST", f"/sessions/{session}/messages", text("9990000002"))
    assert refused(answer, 501, "not_implemented")["reason"] == "session_not_connected"
    if wanted == "failed":
        wagate.post(f"/sessions/{session}:start")
        assert "statusReason" not in status(wagate, session, "working")


def test_a_lost_connection_comes_back_by_itself(wagate: SandboxGateway) -> None:
    session = wagate.linked()["id"]
    before = statuses(wagate, session)
    assert before[-1] == ("working", None)
    assert wagate.ask("POST", f"/sandbox/sessions/{session}:drop", {}).status == 204
    wagate.until(lambda: statuses(wagate, session) == [*before, ("starting", None), ("working", None)])
