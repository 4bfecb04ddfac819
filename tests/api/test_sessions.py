"""Sessions over HTTP: made, linked, started, stopped, ended in every way that the sandbox can end them, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import events, exactly, home, invalid, key, organization, refused, text
from wagate import testing
from wagate.testing import SandboxGateway
from wagate.workers import runner

ALWAYS = (
    "id organizationId gatewayId status isAdminSession autoRead presenceTyping ratePerMin ratePerHour createdAt"
    " updatedAt engine hasProxy"
)
SOMETIMES = "statusReason label createdByUserId phoneNumber waJid waLid lastConnectedAt"
LINKED = "phoneNumber waJid waLid lastConnectedAt"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data") as running:
        yield running


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
    made = [wagate.ask("POST", "/sessions", key=secret).body["id"] for _ in range(5)]
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
    monkeypatch.setattr(runner, "_LOGOUT_TRIES_SECONDS", 0.2)
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
    assert wagate.ask("POST", f"/sandbox/sessions/{session}:drop", {}).status == 204
    wagate.until(lambda: statuses(wagate, session)[-2:] == [("starting", None), ("working", None)])
    assert len(statuses(wagate, session)) == 6


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
