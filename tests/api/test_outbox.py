"""The outbox over HTTP: no answer, idempotency, budgets, and entries settled by hand."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, organization, refused, text
from wagate import testing
from wagate.testing import SandboxGateway

RESULT = "mode status waMessageId outboxId"
PLACE = {"type": "location", "to": "9990000002", "latitude": 52.5, "longitude": -13.25}
VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob B.\r\nN:B.;Bob;;;\r\nEND:VCARD\r\n"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway that waits a moment for WhatsApp's answer and no longer."""
    with testing.gateway(tmp_path_factory.mktemp("hasty") / "data", send_timeout=0.3) as running:
        yield running


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    """The path of a working session without a budget."""
    return "/sessions/" + str(wagate.linked("9990000001")["id"])


@pytest.fixture(scope="module")
def there(hasty: SandboxGateway) -> str:
    return "/sessions/" + str(hasty.linked("9990000001")["id"])


def settled(wagate: SandboxGateway, where: str, entry: str, *wanted: str) -> Any:
    """An outbox entry once it stands so."""

    def look() -> Any:
        now = wagate.get(f"{where}/outbox/{entry}")
        return now if now["status"] in wanted else None

    return wagate.until(look)


# No answer


def test_a_lost_acknowledgement_is_uncertain_until_a_receipt_proves_it(hasty: SandboxGateway, there: str) -> None:
    details = refused(hasty.ask("POST", f"{there}/messages", text("9996000001")), 504, "no_answer")
    assert details["certain"] is False
    entry = hasty.get(f"{there}/outbox/{details['outboxId']}")
    assert (entry["status"], entry["error"]["certain"]) == ("uncertain", False)
    (row,) = hasty.get(f"{there}/outbox?status=uncertain")["data"]
    assert row == entry
    hasty.ask("POST", f"/sandbox/messages/{details['waMessageId']}:read", {"from": "9996000001"})
    # The receipt proves that it went out.
    settled(hasty, there, details["outboxId"], "sent")
    assert hasty.get(f"{there}/messages/{details['waMessageId']}")["status"] == "read"
    mine = [each for each in events(hasty, "message.from_me") if
            each["payload"]["waMessageId"] == details["waMessageId"]]  # fmt: skip
    assert len(mine) == 1


def test_a_slow_acknowledgement_is_504_and_settles_later(hasty: SandboxGateway, there: str) -> None:
    details = refused(hasty.ask("POST", f"{there}/messages", text("9999000001")), 504, "no_answer")
    assert details["certain"] is False


def test_an_uncertain_entry_is_settled_by_hand(hasty: SandboxGateway, there: str) -> None:
    lost = [refused(hasty.ask("POST", f"{there}/messages", text(f"999600000{i}")), 504)["outboxId"] for i in (2, 3)]
    refused(hasty.ask("DELETE", f"{there}/outbox/{lost[0]}"), 409, "conflict")
    dismissed = hasty.post(f"{there}/outbox/{lost[0]}:dismiss")
    exactly(dismissed, RESULT + " timestamp error")
    assert (dismissed["status"], dismissed["error"]["certain"]) == ("failed", False)
    for verb in (":dismiss", ":retry"):
        refused(hasty.ask("POST", f"{there}/outbox/{lost[0]}{verb}"), 409, "conflict")
    again = hasty.post(f"{there}/outbox/{lost[1]}:retry")
    assert again["status"] in ("queued", "pending")
    settled(hasty, there, lost[1], "uncertain")
    assert len(hasty.get(f"/sandbox/messages?mid={again['waMessageId']}")["data"]) == 1


def test_an_unanswered_send_holds_up_its_chat_only(hasty: SandboxGateway, there: str) -> None:
    first, second = (
        hasty.post(f"{there}/messages?async=true", text("9996000009", word))["outboxId"] for word in ("1", "2")
    )
    other = hasty.post(f"{there}/messages", text("9990000002"))
    assert other["status"] == "sent"
    assert hasty.get(f"{there}/outbox/{second}")["status"] == "queued"
    settled(hasty, there, first, "uncertain")
    settled(hasty, there, second, "uncertain")


def test_a_send_that_never_went_out_is_withdrawn(hasty: SandboxGateway) -> None:
    session = hasty.linked("9990000013")["id"]
    where = f"/sessions/{session}"
    hasty.post("/sandbox/faults", {"kind": "ack_lost", "session": session})
    hasty.post(f"{where}/messages?async=true", text("9990000002", "holds the chat"))
    hasty.post("/sandbox/faults", {"kind": "ack_lost", "session": session})
    queued = hasty.post(f"{where}/messages?async=true", text("9990000002", "holds it longer"))
    details = refused(hasty.ask("POST", f"{where}/messages", text("9990000002", "never")), 504, "no_answer")
    assert details["certain"] is True
    entry = hasty.get(f"{where}/outbox/{details['outboxId']}")
    assert (entry["status"], entry["error"]["certain"]) == ("failed", True)
    settled(hasty, where, queued["outboxId"], "uncertain", "sent")
    shown = [each["content"]["text"] for each in hasty.get("/sandbox/messages?to=9990000002&limit=200")["data"]]
    assert "never" not in shown


# Idempotency


def idempotent(wagate: SandboxGateway, where: str, key: str, body: Any, query: str = "") -> Any:
    return wagate.ask("POST", f"{where}/messages{query}", body, headers={"idempotency-key": key})


def test_the_same_key_returns_the_first_answer_and_sends_nothing(wagate: SandboxGateway, here: str) -> None:
    first = idempotent(wagate, here, "same", text("9990000031"))
    assert "replayed" not in first.body
    body = b'{"text":"hello",  "to":"9990000031","type":"text"}'
    again = idempotent(wagate, here, "same", body)
    assert again.status == 200
    assert again.body == first.body | {"replayed": True}
    lazy = idempotent(wagate, here, "same", text("9990000031"), "?async=true")
    assert lazy.status == 202
    assert lazy.body == first.body | {"replayed": True}
    other = "/sessions/" + wagate.linked()["id"]
    assert idempotent(wagate, other, "same", text("9990000031")).body == again.body
    assert len(wagate.get("/sandbox/messages?to=9990000031")["data"]) == 1


def test_another_body_under_a_known_key_is_409(wagate: SandboxGateway, here: str) -> None:
    idempotent(wagate, here, "body", text("9990000032"))
    for body in (text("9990000032", "other"), text("9990000033"), PLACE):
        refused(idempotent(wagate, here, "body", body), 409, "conflict")


def test_a_key_is_the_organizations_own(wagate: SandboxGateway, here: str) -> None:
    idempotent(wagate, here, "ours", text("9990000034"))
    secret = key(wagate, owner=organization(wagate))
    session = wagate.ask("POST", "/sessions", {}, key=secret).body["id"]
    headers = {"idempotency-key": "ours"}
    answer = wagate.ask("POST", f"/sessions/{session}/messages", text("1234"), key=secret, headers=headers)
    assert answer.status in (400, 501)
    refused(wagate.ask("POST", f"{here}/messages", text("9990000034"), key=secret, headers=headers), 404)


def test_a_failed_entry_repeats_its_error(wagate: SandboxGateway, here: str) -> None:
    first = refused(idempotent(wagate, here, "failed", text("9997000002")), 422, "refused")
    for query in ("", "?async=true"):
        again = refused(idempotent(wagate, here, "failed", text("9997000002"), query), 422, "refused")
        assert {k: again[k] for k in first} == first


def test_an_answer_before_the_entry_binds_no_key(wagate: SandboxGateway) -> None:
    where = "/sessions/" + wagate.linked("9990000035")["id"]
    invalid(idempotent(wagate, where, "unbound", text("9990000002", "")))
    wagate.post(f"{where}:stop")
    refused(idempotent(wagate, where, "unbound", text("9990000002", "one")), 501)
    refused(idempotent(wagate, "/sessions/ses_nobody", "unbound", text("9990000002", "two")), 404)
    wagate.post(f"{where}:start")
    wagate.until(lambda: wagate.get(where)["status"] == "working")
    assert idempotent(wagate, where, "unbound", text("9990000002", "three")).status == 200
    # A known key is answered before the connection is looked at.
    wagate.post(f"{where}:stop")
    assert idempotent(wagate, where, "unbound", text("9990000002", "three")).body["replayed"] is True


def test_a_repeat_of_what_is_under_way_is_no_second_send(hasty: SandboxGateway, there: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(idempotent, hasty, there, "crowd", text("9990000036")) for _ in range(8)]
        answers = [each.result() for each in tries]
    assert {each.status for each in answers} == {200}
    assert len({each.body["waMessageId"] for each in answers}) == 1
    assert sum("replayed" not in each.body for each in answers) == 1
    assert len(hasty.get("/sandbox/messages?to=9990000036")["data"]) == 1
    first = idempotent(hasty, there, "slow", text("9996000007"), "?async=true")
    again = idempotent(hasty, there, "slow", text("9996000007"), "?async=true")
    assert (again.status, again.body["replayed"]) == (202, True)
    assert again.body["outboxId"] == first.body["outboxId"]
    details = refused(idempotent(hasty, there, "slow", text("9996000007")), 504, "no_answer")
    # What is uncertain is not settled: an async repeat is told how it stands.
    present = idempotent(hasty, there, "slow", text("9996000007"), "?async=true")
    assert (present.status, present.body["status"], present.body["error"]["certain"]) == (202, "uncertain", False)
    assert details["outboxId"] == first.body["outboxId"]


# Budgets


def test_a_sync_send_over_the_budget_is_429(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000041", ratePerMin=2)["id"]
    where = f"/sessions/{session}"
    for _ in range(2):
        wagate.post(f"{where}/messages", text("9990000002"))
    answer = wagate.ask("POST", f"{where}/messages", text("9990000002"))
    seconds = refused(answer, 429, "rate_limited")["retryAfterSeconds"]
    assert 1 <= seconds <= 60
    assert answer.headers["retry-after"] == str(seconds)
    queued = wagate.post(f"{where}/messages?async=true", text("9990000002"))
    assert queued["status"] == "queued"
    refused(wagate.ask("POST", f"{where}/messages", text("9990000003")), 429, "rate_limited")
    assert wagate.get(f"{where}/outbox/{queued['outboxId']}")["status"] == "queued"
    rows = wagate.get(f"{where}/outbox")["data"]
    assert [each["status"] for each in rows] == ["queued", "sent", "sent"]
    # A queued one can be cancelled, or goes out when there is room.
    gone = wagate.ask("DELETE", f"{where}/outbox/{queued['outboxId']}").body
    exactly(gone, RESULT + " timestamp error")
    assert (gone["status"], gone["error"]) == ("failed", {"code": "no_answer", "certain": True})
    refused(wagate.ask("DELETE", f"{where}/outbox/{queued['outboxId']}"), 409, "conflict")
    queued = wagate.post(f"{where}/messages?async=true", text("9990000002"))
    wagate.ask("PATCH", where, {"ratePerMin": 0})
    settled(wagate, where, queued["outboxId"], "sent")


# The outbox and what is stored


def test_the_outbox_is_listed_newest_first(wagate: SandboxGateway) -> None:
    where = "/sessions/" + wagate.linked("9990000042")["id"]
    assert wagate.get(f"{where}/outbox") == {"data": [], "nextCursor": ""}
    sent = [wagate.post(f"{where}/messages", text("9990000002", str(i)))["outboxId"] for i in range(5)]
    seen, query = [], "?limit=2"
    while query:
        page = wagate.get(f"{where}/outbox{query}")
        seen += [each["outboxId"] for each in page["data"]]
        query = f"?limit=2&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    assert seen == sent[::-1]
    assert wagate.get(f"{where}/outbox?status=failed")["data"] == []
    assert len(wagate.get(f"{where}/outbox?status=sent")["data"]) == 5
    invalid(wagate.ask("GET", f"{where}/outbox?status=lost"), "status")
    other = "/sessions/" + wagate.post("/sessions")["id"]
    refused(wagate.ask("GET", f"{other}/outbox/{sent[0]}"), 404, "not_found")
    for verb in (":retry", ":dismiss"):
        refused(wagate.ask("POST", f"{where}/outbox/ob_nothing{verb}"), 404, "not_found")
    refused(wagate.ask("DELETE", f"{where}/outbox/ob_nothing"), 404, "not_found")
