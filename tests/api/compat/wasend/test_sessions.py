"""Sessions through the dialect: what their maker says is kept, and means what it says."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.dialect import Dialect, strict, told
from tests.support.gateways import key
from wagate import testing
from wagate.api.compat.wasend.naming import SDK_AGENT
from wagate.testing import SandboxGateway

URL = "https://hooks.example/in"


def wish(name: str, **more: Any) -> dict[str, Any]:
    return {"sessionName": name, "phoneNumber": "+999 000-0021", **more}


def webhooks(client: Dialect) -> list[Any]:
    found: list[Any] = client.wagate.get("/webhooks")["data"]
    return found


# Refusals


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"phoneNumber": "12"}, "phoneNumber"),
        ({"phoneNumber": "call me"}, "phoneNumber"),
        ({"sessionName": ""}, "sessionName"),
        ({"sessionName": "x" * 201}, "sessionName"),
        ({"enableWebhook": True}, "webhookUrl"),
        ({"enableWebhook": True, "webhookUrl": ""}, "webhookUrl"),
        ({"webhookUrl": "http://127.0.0.1/"}, "webhookUrl"),
        ({"webhookUrl": "ftp://hooks.example/"}, "webhookUrl"),
        ({"enableAccountProtection": "yes"}, "enableAccountProtection"),
    ],
)
def test_a_wish_that_cannot_be_met_makes_nothing(docs: Dialect, more: Any, field: str) -> None:
    before = len(docs.get("/sessions")["sessions"])
    assert told(docs.ask("POST", "/sessions", wish("refused") | more), 400).startswith(field)
    assert len(docs.get("/sessions")["sessions"]) == before
    assert not [each for each in webhooks(docs) if each["url"] == more.get("webhookUrl")]


def test_a_key_for_some_sessions_cannot_make_one(docs: Dialect, wagate: SandboxGateway) -> None:
    mine = docs.post("/sessions", wish("limited"))["id"]
    limited = key(wagate, sessions=[mine])
    told(docs.ask("POST", "/sessions", wish("more"), key=limited), 403)
    listed = docs.ask("GET", "/sessions", key=limited).body["sessions"]
    assert [each["session"]["id"] for each in listed] == [mine]


def test_a_name_that_two_sessions_have_names_neither(docs: Dialect) -> None:
    ids = [docs.post("/sessions", wish("twin"))["id"] for _ in range(2)]
    told(docs.ask("GET", "/sessions/twin"), 409, "several")
    assert [docs.get(f"/sessions/{id}")["id"] for id in ids] == ids


@pytest.mark.parametrize(
    ("name", "written"),
    [("shop:main", "shop:main"), ("a/b", "a%2Fb"), ("über uns", "%C3%BCber%20uns"), ("me@home+1", "me@home+1")],
)
def test_a_session_is_found_by_any_name(docs: Dialect, sdk: Dialect, name: str, written: str) -> None:
    made = docs.post("/sessions", wish(name))["id"]
    for client in (docs, sdk):
        assert client.get(f"/sessions/{written}")["id"] == made
        told(client.ask("GET", f"/{written}/groups/1@g.us/invite-link"), 503)


def test_a_linked_session_shows_no_code(docs: Dialect, shop: str) -> None:
    told(docs.ask("GET", f"/sessions/{shop}/auth/qr"), 400, "linked already")


# What is kept


def test_all_that_is_said_is_kept_and_shown(docs: Dialect) -> None:
    switches = {"enableAccountProtection": True, "enableMessageLogging": True, "enableWebhook": True}
    made = strict(docs.post("/sessions", wish("kept", webhookUrl=URL, **switches)), "Session")
    assert made == docs.get("/sessions/kept") == docs.get(f"/sessions/{made['uniqueSessionId']}")
    assert {name: made[name] for name in switches} == switches == {name: made["config"][name] for name in switches}
    assert (made["sessionName"], made["phoneNumber"], made["webhookUrl"]) == ("kept", "+9990000021", URL)
    assert made["status"] == "CREATED"
    native = docs.wagate.get(f"/sessions/{made['id']}")
    assert (native["label"], native["engine"], native["ratePerMin"]) == ("kept", "sandbox", 20)


def test_what_is_not_said_is_off_but_for_the_budget(docs: Dialect) -> None:
    made = strict(docs.post("/sessions", wish("unsaid")), "Session")
    assert (made["enableAccountProtection"], made["enableMessageLogging"], made["enableWebhook"]) == (
        True,
        False,
        False,
    )
    assert "webhookUrl" not in made


def test_without_protection_there_is_no_budget(docs: Dialect) -> None:
    made = docs.post("/sessions", wish("unprotected", enableAccountProtection=False))
    native = docs.wagate.get(f"/sessions/{made['id']}")
    assert (native["ratePerMin"], native["ratePerHour"], made["enableAccountProtection"]) == (0, 0, False)


def test_protection_has_a_budget_also_where_the_operator_has_none(tmp_path: Any) -> None:
    with testing.gateway(tmp_path / "data", default_rate_per_min=0, default_rate_per_hour=0) as wagate:
        client = Dialect(wagate)
        plain = client.post("/sessions", wish("plain"))
        safe = client.post("/sessions", wish("safe", enableAccountProtection=True))
        native = wagate.get(f"/sessions/{safe['id']}")
    assert (plain["enableAccountProtection"], safe["enableAccountProtection"]) == (False, True)
    assert (native["ratePerMin"], native["ratePerHour"]) == (20, 200)


def test_its_webhook_is_made_and_goes_with_it(docs: Dialect) -> None:
    other = docs.wagate.post("/webhooks", {"url": URL, "active": False})["id"]
    made = docs.post("/sessions", wish("hooked", enableWebhook=True, webhookUrl=URL))["id"]
    (hook,) = [each for each in webhooks(docs) if each.get("sessionId") == made]
    assert (hook["url"], hook["active"], hook["events"]) == (URL, True, ["*"])
    docs.wagate.ask("PATCH", f"/webhooks/{hook['id']}", {"active": False})
    assert docs.get("/sessions/hooked")["enableWebhook"] is False
    strict(docs.good("DELETE", "/sessions/hooked"), {"success": bool})
    assert made not in [each.get("sessionId") for each in webhooks(docs)]
    assert other in [each["id"] for each in webhooks(docs)]
    told(docs.ask("DELETE", "/sessions/hooked"), 404)


def test_its_webhook_goes_also_with_a_native_delete_and_others_stay(docs: Dialect) -> None:
    made = docs.post("/sessions", wish("native", enableWebhook=True, webhookUrl=URL))["id"]
    own = docs.wagate.post("/webhooks", {"url": URL, "sessionId": made, "active": False})["id"]
    docs.wagate.ask("DELETE", f"/sessions/{made}")
    assert [each["id"] for each in webhooks(docs) if each.get("sessionId") == made] == [own]


def test_a_webhook_that_is_switched_off_keeps_its_url(docs: Dialect) -> None:
    made = docs.post("/sessions", wish("silent", enableWebhook=False, webhookUrl=URL))
    assert (made["enableWebhook"], made["webhookUrl"]) == (False, URL)
    (hook,) = [each for each in webhooks(docs) if each.get("sessionId") == made["id"]]
    assert hook["active"] is False


# Its life


def test_a_session_is_linked_stopped_started_and_restarted(docs: Dialect, wagate: SandboxGateway) -> None:
    made = docs.post("/sessions", wish("life"))["id"]
    assert docs.post("/sessions/life/start")["status"] in ("STARTING", "SCAN_QR_CODE")
    code = strict(docs.get("/sessions/life/auth/qr"), "QRCode")
    assert base64.b64decode(code["data"], validate=True).startswith(b"\x89PNG\r\n")
    assert set(docs.get("/sessions/life/qr")) == set(code)
    assert docs.get("/sessions/life")["status"] == "SCAN_QR_CODE"
    wagate.post(f"/sandbox/sessions/{made}:scan", {"phone": "9990000022"})
    wagate.until(lambda: wagate.working(made))
    linked = strict(docs.get("/sessions/life"), "Session")
    assert (linked["status"], linked["phoneNumber"]) == ("CONNECTED", "+9990000022")
    assert linked["engine"]["gows"] == {"found": True, "connected": True}
    assert docs.post("/sessions/life/stop")["status"] == "STOPPED"
    for verb in ("start", "restart"):
        strict(docs.post(f"/sessions/life/{verb}"), "Session")
        wagate.until(lambda: docs.get("/sessions/life")["status"] == "CONNECTED")


def test_the_list_says_how_each_stands_in_two_tongues(docs: Dialect, shop: str) -> None:
    listed = strict(docs.get("/sessions"), "SessionList")["sessions"]
    (mine,) = [each for each in listed if each["session"]["sessionName"] == shop]
    assert (mine["session"]["status"], mine["downstream"]["status"]) == ("CONNECTED", "WORKING")
    assert "config" not in mine["session"]


def test_a_session_of_the_native_api_is_told_as_well(docs: Dialect, wagate: SandboxGateway) -> None:
    made = wagate.post("/sessions", {})["id"]
    shown = strict(docs.get(f"/sessions/{made}"), "Session")
    assert (shown["sessionName"], shown["phoneNumber"], shown["enableMessageLogging"]) == ("", "", True)


def test_an_empty_body_may_call_itself_json(docs: Dialect, shop: str) -> None:
    for headers in ({"content-type": "application/json"}, {"content-type": "application/x-www-form-urlencoded"}):
        assert docs.ask("POST", f"/sessions/{shop}/start", headers={**headers, "content-length": "0"}).status == 200
        assert docs.ask("GET", f"/sessions/{shop}", headers={**headers, "user-agent": SDK_AGENT}).status == 200


def test_the_account_is_the_organization(docs: Dialect) -> None:
    shown = strict(docs.get("/account"), "Account")
    assert shown["id"].startswith("org_")
    assert shown["name"] == "demo"
