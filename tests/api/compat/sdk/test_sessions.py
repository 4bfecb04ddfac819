"""Sessions and the account, as the Python SDK sees them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.gateways import home, key, organization
from tests.support.receiver import Receiver
from tests.support.sdk import Sdk, SdkError, digits, refused
from wagate.testing import SandboxGateway

SWITCHES = ("enable_account_protection", "enable_message_logging")


def native(wagate: SandboxGateway, made: dict[str, Any]) -> str:
    """The gateway's id of a session that the SDK has made."""
    ids = {made["id"], made["unique_session_id"]}
    (found,) = {each["id"] for each in wagate.get("/sessions")["data"]} & ids
    return str(found)


def scannable(sdk: Sdk, session: str) -> str | None:
    """The session's QR code, once there is one."""
    try:
        return str(sdk.retrieve_qr_code(session)["data"])
    except SdkError as error:
        if "404" not in error.text:
            raise
        return None


def connected(sdk: Sdk, session: str) -> dict[str, Any] | None:
    """The session, if its engine is connected now."""
    now: dict[str, Any] = sdk.retrieve_session_info(session)
    return now if now["engine"]["gows"]["connected"] else None


def linked(sdk: Sdk, wagate: SandboxGateway, phone: str, **wish: Any) -> dict[str, Any]:
    """A session made by the SDK, linked by the code it shows, and connected."""
    made = sdk.create_session(session_name=wish.pop("name", phone), phone_number=f"+{phone}", **wish)
    assert wagate.until(lambda: scannable(sdk, made["id"]))
    wagate.post(f"/sandbox/sessions/{native(wagate, made)}:scan", {"phone": phone})
    return wagate.until(lambda: connected(sdk, made["id"]))


@pytest.mark.parametrize(
    "method",
    [
        "retrieve_session_info",
        "start_session",
        "stop_session",
        "restart_session",
        "retrieve_qr_code",
        "delete_session",
    ],
)
def test_an_unknown_and_a_foreign_session_are_the_same_404(sdk: Sdk, wagate: SandboxGateway, method: str) -> None:
    theirs = sdk.create_session(session_name=f"ours {method}", phone_number="+9990000010")
    stranger = sdk.with_key(key(wagate, owner=organization(wagate)))
    for session in ("ses_none", theirs["id"], theirs["unique_session_id"]):
        refused(404, lambda session=session: getattr(stranger, method)(session))
    assert sdk.retrieve_session_info(theirs["id"])["id"] == theirs["id"]


def test_a_session_that_was_never_linked_begins_to_link_when_it_is_started(sdk: Sdk, wagate: SandboxGateway) -> None:
    for begin in (sdk.start_session, sdk.restart_session):
        made = sdk.create_session(session_name=f"begun {begin}", phone_number="+9990000010")
        assert begin(made["id"])["status"] in ("STARTING", "SCAN_QR_CODE")
        wagate.until(lambda made=made: sdk.retrieve_session_info(made["id"])["status"] == "SCAN_QR_CODE")


@pytest.mark.parametrize(
    "wrong",
    [
        {"phone_number": "nobody"},
        {"session_name": ""},
        {"enable_webhook": True},
        {"enable_webhook": True, "webhook_url": "http://ann:secret@127.0.0.1/"},
    ],
)
def test_a_session_with_bad_parameters_is_not_made(sdk: Sdk, wagate: SandboxGateway, wrong: dict[str, Any]) -> None:
    before = len(wagate.get("/sessions")["data"])
    refused(400, lambda: sdk.create_session(**{"session_name": "x", "phone_number": "+9990000010", **wrong}))
    assert len(wagate.get("/sessions")["data"]) == before


def test_what_a_session_is_made_with_is_kept(sdk: Sdk, wagate: SandboxGateway) -> None:
    for switch in (True, False):
        wish = dict.fromkeys(SWITCHES, switch)
        made = sdk.create_session(session_name=f"kept {switch}", phone_number="+9990000010", **wish)
        seen = sdk.retrieve_session_info(made["id"])
        assert {name: seen[name] for name in wish} == wish == {name: made[name] for name in wish}
        assert seen["session_name"] == f"kept {switch}"
        assert digits(seen["phone_number"]) == "9990000010"
        assert seen["created_at"] == made["created_at"]
        # Protection is the send budget.
        assert (wagate.get(f"/sessions/{native(wagate, made)}")["ratePerMin"] > 0) is switch


def test_a_session_is_linked_by_the_code_it_shows(sdk: Sdk, wagate: SandboxGateway) -> None:
    made = sdk.create_session(session_name="linked", phone_number="+9990000011")
    assert not made["engine"]["gows"]["connected"]
    code = wagate.until(lambda: scannable(sdk, made["id"]))
    picture = wagate.ask("GET", f"/sessions/{native(wagate, made)}/qr", headers={"accept": "image/png"})
    assert base64.b64decode(code) == picture.body
    assert sdk.retrieve_session_info(made["id"])["status"] not in ("CONNECTED", "WORKING")
    wagate.post(f"/sandbox/sessions/{native(wagate, made)}:scan", {"phone": "9990000011"})
    now = wagate.until(lambda: connected(sdk, made["id"]))
    (told,) = [each for each in sdk.retrieve_all_sessions()["sessions"] if each["session"]["id"] == made["id"]]
    assert told["downstream"]["status"] == "WORKING"
    assert now["status"] in ("CONNECTED", "WORKING")
    assert digits(now["phone_number"]) == "9990000011"
    refused(400, lambda: sdk.retrieve_qr_code(made["id"]))


def test_a_session_may_be_named_by_either_of_its_names(sdk: Sdk, wagate: SandboxGateway) -> None:
    made = sdk.create_session(session_name="Büro (by its name)", phone_number="+9990000010")
    for name in (made["id"], made["unique_session_id"], native(wagate, made), "Büro (by its name)"):
        assert sdk.retrieve_session_info(name)["id"] == made["id"], name


def test_stop_start_and_restart_do_what_they_say(sdk: Sdk, wagate: SandboxGateway) -> None:
    session = linked(sdk, wagate, "9990000012")["id"]
    last = sdk.retrieve_session_info(session)["updated_at"]
    sdk.stop_session(session)
    wagate.until(lambda: not connected(sdk, session))
    assert sdk.retrieve_session_info(session)["status"] == "STOPPED"
    refused(503, lambda: sdk.send(session=session, to="+9990000002", text="nobody is there"))
    sdk.start_session(session)
    wagate.until(lambda: connected(sdk, session))
    assert sdk.send(session=session, to="+9990000002", text="back")["status"]
    before = wagate.get(f"/sessions/{native(wagate, sdk.retrieve_session_info(session))}")["lastConnectedAt"]
    sdk.restart_session(session)
    again = wagate.until(lambda: reconnected(wagate, sdk, session, before))
    assert again["status"] == "working"
    assert sdk.retrieve_session_info(session)["updated_at"] >= last


def reconnected(wagate: SandboxGateway, sdk: Sdk, session: str, before: int) -> dict[str, Any] | None:
    now = wagate.working(native(wagate, sdk.retrieve_session_info(session)))
    return now if now and now["lastConnectedAt"] > before else None


def test_all_sessions_are_listed_with_their_state(sdk: Sdk, wagate: SandboxGateway) -> None:
    secret = key(wagate, owner=organization(wagate, "lister"))
    mine = sdk.with_key(secret)
    assert mine.retrieve_all_sessions() == {"sessions": []}
    names = {f"shop {number}" for number in range(52)}
    mine.create_session(session_name="shop 0", phone_number="+9990000010")
    for name in names - {"shop 0"}:
        assert wagate.ask("POST", "/sessions", {"label": name}, key=secret).status == 201
    listed = mine.retrieve_all_sessions()["sessions"]
    assert {each["session"]["session_name"] for each in listed} == names
    one = mine.retrieve_session_info(listed[0]["session"]["id"])
    assert {name: one[name] for name in listed[0]["session"]} == listed[0]["session"]
    assert {name: one[name] for name in ("engine", "config", "name")} == {
        name: listed[0]["downstream"][name] for name in ("engine", "config", "name")
    }


def test_a_deleted_session_is_gone(sdk: Sdk) -> None:
    made = sdk.create_session(session_name="deleted", phone_number="+9990000010")
    sdk.delete_session(made["id"])
    refused(404, lambda: sdk.retrieve_session_info(made["id"]))
    refused(404, lambda: sdk.delete_session(made["id"]))
    assert made["id"] not in {each["session"]["id"] for each in sdk.retrieve_all_sessions()["sessions"]}


def test_a_session_with_a_webhook_tells_it_what_arrives(sdk: Sdk, wagate: SandboxGateway, receiver: Receiver) -> None:
    told = linked(sdk, wagate, "9990000013", enable_webhook=True, webhook_url=f"{receiver.url}/hook")
    assert told["enable_webhook"] is True
    assert told["webhook_url"] == f"{receiver.url}/hook"
    linked(sdk, wagate, "9990000014")
    for number in ("9990000014", "9990000013"):
        wagate.post("/sandbox/messages", {"from": "9990000015", "to": number, "type": "text", "text": f"to {number}"})
    wagate.until(lambda: said(receiver) & {"to 9990000013"})
    assert said(receiver) == {"to 9990000013"}
    sdk.delete_session(told["id"])
    assert not [each for each in wagate.get("/webhooks")["data"] if each["url"] == f"{receiver.url}/hook"]


def said(receiver: Receiver) -> set[str]:
    """The texts of the messages that came to the webhook."""
    posts = [json.loads(body) for path, body in zip(receiver.paths, receiver.bodies, strict=False) if path == "/hook"]
    return {each["payload"]["body"] for each in posts if each["event"] == "message"}


def test_a_session_whose_webhook_is_off_tells_nobody(sdk: Sdk, wagate: SandboxGateway, receiver: Receiver) -> None:
    made = sdk.create_session(
        session_name="quiet", phone_number="+9990000010", enable_webhook=False, webhook_url=f"{receiver.url}/quiet"
    )
    assert made["enable_webhook"] is False
    active = [each for each in wagate.get("/webhooks")["data"] if each["url"].endswith("/quiet") and each["active"]]
    assert not active


def test_the_account_is_the_keys_organization(sdk: Sdk, wagate: SandboxGateway) -> None:
    told = sdk.retrieve_account()
    assert told["success"] is True
    assert told["data"]["id"] == home(wagate)
    assert told["data"]["name"] == "demo"
    assert isinstance(told["data"]["plan"], str)


def test_the_config_is_known_without_asking(sdk: Sdk, wagate: SandboxGateway) -> None:
    assert sdk.retrieve_config() == {"base_url": f"{wagate.url}/wasend", "timeout": 20_000}


def test_the_dialect_is_at_the_root_as_well(sdk: Sdk, wagate: SandboxGateway) -> None:
    made = sdk.create_session(session_name="two doors", phone_number="+9990000010")
    for url in (wagate.url, f"{wagate.url}/", f"{wagate.url}/wasend/"):
        assert sdk.at(url).retrieve_session_info(made["id"]) == sdk.retrieve_session_info(made["id"])
