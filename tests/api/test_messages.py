"""Sends over HTTP: what is refused, what is answered, what is stored, what is told; and the outbox."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, organization, refused, text
from wagate import testing
from wagate.testing import SandboxGateway

RESULT = "mode status waMessageId outboxId"
MESSAGE = "id sessionId waMessageId chatJid direction fromMe type timestamp createdAt deleted edited hasMedia"
OWN = "status ackLevel senderJid senderLid body"
SAID = "waMessageId chatJid fromMe type timestamp hasMedia media"
POLL = {"type": "poll", "to": "9990000002", "name": "Lunch?", "options": ["yes", "no"]}
PLACE = {"type": "location", "to": "9990000002", "latitude": 52.5, "longitude": -13.25}
CARD = {"type": "contact", "to": "9990000002", "contact": {"name": "Ann", "phone": "+999 000 0007"}}
VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob B.\r\nN:B.;Bob;;;\r\nEND:VCARD\r\n"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data") as running:
        yield running


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


# What is refused


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"to": "9990000002", "text": "x"}, "type"),
        ({"type": "text", "text": "x"}, "to"),
        ({"type": "song", "to": "9990000002"}, "type"),
        ({"type": 7, "to": "9990000002"}, "type"),
        *[
            (text(to), "to")
            for to in (
                "", "x", "999", "9990000002@x", "@s.whatsapp.net", "a@g.us", "9990000002@s.whatsapp.net@lid",
                "9990000002\u0000", "99900\n00002", "9" * 200, "status@broadcast", "١٢٣٤٥٦٧٨٩",
            )
        ],
        (text("9990000002", ""), "text"),
        (text("9990000002", "x" * 65537), "text"),
        (text("9990000002", "nul \u0000 here"), "text"),
        (text("9990000002", "bell \u0007 here"), "text"),
        ({"type": "text", "to": "9990000002"}, "text"),
        (text("9990000002", None), "text"),  # type: ignore[arg-type]
        (text("9990000002", 7), "text"),  # type: ignore[arg-type]
        (text("9990000002", mentions=["x"]), "mentions[0]"),
        (text("9990000002", mentions="9990000003"), "mentions"),
        (text("9990000002", replyTo="a\nb"), "replyTo"),
        (text("9990000002", replyTo="x" * 129), "replyTo"),
        (text("9990000002", preview={"description": "x"}), "preview.title"),
        (text("9990000002", latitude=1), "latitude"),
        (text("9990000002", name="x"), "name"),
        (POLL | {"options": ["a", "a"]}, "options"),
        (POLL | {"options": ["a"]}, "options"),
        (POLL | {"options": [str(i) for i in range(13)]}, "options"),
        (POLL | {"options": ["a", ""]}, "options[1]"),
        (POLL | {"options": ["a", "b" * 101]}, "options[1]"),
        (POLL | {"options": ["a", "b\u0000"]}, "options[1]"),
        (POLL | {"options": ["a", 7]}, "options[1]"),
        (POLL | {"name": ""}, "name"),
        (POLL | {"name": "x" * 256}, "name"),
        (POLL | {"selectableCount": 3}, "selectableCount"),
        (POLL | {"selectableCount": -1}, "selectableCount"),
        (POLL | {"pollEndTime": "soon"}, "pollEndTime"),
        (POLL | {"pollHideVotes": 1}, "pollHideVotes"),
        (POLL | {"text": "x"}, "text"),
        (PLACE | {"latitude": 90.5}, "latitude"),
        (PLACE | {"longitude": -181}, "longitude"),
        (PLACE | {"latitude": "52"}, "latitude"),
        ({"type": "location", "to": "9990000002", "latitude": 1}, "longitude"),
        (PLACE | {"name": "a\tb"}, "name"),
        ({"type": "contact", "to": "9990000002"}, "contact"),
        (CARD | {"contacts": [{"vcard": VCARD}]}, "contact"),
        (CARD | {"contact": {"name": "x"}}, "contact"),
        (CARD | {"contact": {}}, "contact"),
        (CARD | {"contact": {"name": "x", "phone": "12"}}, "contact.phone"),
        (CARD | {"contact": {"vcard": "garbage"}}, "contact.vcard"),
        (CARD | {"contact": {"vcard": "BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n"}}, "contact.vcard"),
        (CARD | {"contact": {"vcard": VCARD + "\u0000"}}, "contact.vcard"),
        ({"type": "contact", "to": "9990000002", "contacts": []}, "contacts"),
        ({"type": "contact", "to": "9990000002", "contacts": [{"vcard": VCARD}, {"vcard": "x"}]}, "contacts[1].vcard"),
    ],
    ids=str,
)
def test_nonsense_is_refused_and_leaves_nothing(wagate: SandboxGateway, here: str, body: Any, path: str) -> None:
    before = wagate.get(f"{here}/outbox?limit=1")["data"]
    for query in ("", "?async=true"):
        invalid(wagate.ask("POST", f"{here}/messages{query}", body), path)
    assert wagate.get(f"{here}/outbox?limit=1")["data"] == before


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"text","to":"9990000002","text":"\xff"}',
        b'{"type":"text","to":"9990000002","text":"\\ud800"}',
        b'{"type":"text","to":"9990000002","text":"x","text":7}',
        b'{"type":"location","to":"9990000002","latitude":NaN,"longitude":1}',
        b'{"type":"location","to":"9990000002","latitude":1e999,"longitude":1}',
        b'{"type":"text","to":"9990000002","text":"x"',
        b"",
    ],
)
def test_what_is_no_json_is_refused(wagate: SandboxGateway, here: str, raw: bytes) -> None:
    invalid(wagate.ask("POST", f"{here}/messages", raw))


@pytest.mark.parametrize("value", ["maybe", "", "2", "true&async=false"])
def test_async_is_true_or_false(wagate: SandboxGateway, here: str, value: str) -> None:
    invalid(wagate.ask("POST", f"{here}/messages?async={value}", text("9990000002")), "async")


@pytest.mark.parametrize("value", ["a b", "x" * 256, "ü"])
def test_an_idempotency_key_is_visible_characters(wagate: SandboxGateway, here: str, value: str) -> None:
    headers = {"idempotency-key": value}
    invalid(wagate.ask("POST", f"{here}/messages", text("9990000002"), headers=headers), "Idempotency-Key")


def test_a_header_that_is_no_http_is_refused_in_the_usual_body(wagate: SandboxGateway, here: str) -> None:
    headers = {"idempotency-key": "\x7f"}
    invalid(wagate.ask("POST", f"{here}/messages", text("9990000002"), headers=headers))


def test_a_session_that_does_not_work_sends_nothing(wagate: SandboxGateway) -> None:
    where = "/sessions/" + wagate.linked("9990000011")["id"]
    wagate.post(f"{where}:stop")
    for query in ("", "?async=true"):
        answer = wagate.ask("POST", f"{where}/messages{query}", text("9990000002"))
        assert refused(answer, 501, "not_implemented")["reason"] == "session_not_connected"
    assert wagate.get(f"{where}/outbox")["data"] == []


def test_a_starting_session_takes_an_async_send_and_sends_it_when_it_works(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000012")["id"]
    where = f"/sessions/{session}"
    wagate.ask("POST", f"/sandbox/sessions/{session}:drop", {"seconds": 2})
    wagate.until(lambda: wagate.get(where)["status"] == "starting")
    answer = wagate.ask("POST", f"{where}/messages", text("9990000002"))
    assert refused(answer, 501, "not_implemented")["reason"] == "session_not_connected"
    answer = wagate.ask("POST", f"{where}/messages?async=true", text("9990000002"))
    assert (answer.status, answer.body["status"]) == (202, "queued")
    assert wagate.ask("POST", f"{where}:restart").status == 200
    settled(wagate, where, answer.body["outboxId"], "sent")


def test_whatsapp_refuses(wagate: SandboxGateway, here: str) -> None:
    details = refused(wagate.ask("POST", f"{here}/messages", text("9997000001")), 422, "refused")
    assert details["certain"] is True
    assert details["reason"] == "not_allowed"
    assert isinstance(details["waCode"], int)
    entry = wagate.get(f"{here}/outbox/{details['outboxId']}")
    exactly(entry, RESULT + " timestamp error")
    assert entry["status"] == "failed"
    exactly(entry["error"], "code certain", "reason waCode")
    assert entry["error"]["certain"] is True
    stored = wagate.get(f"{here}/messages/{details['waMessageId']}")
    assert (stored["status"], stored["error"]) == ("failed", entry["error"])
    facts = events(wagate, "message.status", "message.from_me")
    mine = [each for each in facts if details["outboxId"] == each["payload"].get("outboxId")]
    assert [each["payload"]["status"] for each in mine] == ["pending", "failed"]
    assert mine[-1]["payload"]["error"] == entry["error"]
    assert details["waMessageId"] not in [each["payload"].get("waMessageId") for each in facts]


def test_nobody_is_there(wagate: SandboxGateway, here: str) -> None:
    for to in ("9993000001", "120363000000000000@g.us"):
        details = refused(wagate.ask("POST", f"{here}/messages", text(to)), 422, "refused")
        assert details["reason"] == ("not_on_whatsapp" if to.startswith("9993") else "not_allowed")


# What is sent


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (text("9990000002", "line 1\nline 2\t\U0001f600"), {"body": "line 1\nline 2\t\U0001f600"}),
        (text("9990000002", "x" * 65536), {"body": "x" * 65536}),
        (
            text("9990000002", "hi", mentions=["+999 000 0003"], replyTo="ABC", preview={"title": "t"}),
            {"mentions": ["9990000003@s.whatsapp.net"], "quotedMessageId": "ABC"},
        ),
        (POLL, {"body": "Lunch?", "poll": {"name": "Lunch?", "options": ["yes", "no"], "selectableCount": 1}}),
        (
            POLL | {"options": [str(i) for i in range(12)], "selectableCount": 0, "pollEndTime": 4_000_000_000_000},
            {
                "poll": {
                    "name": "Lunch?", "options": [str(i) for i in range(12)], "selectableCount": 0,
                    "endTime": 4_000_000_000_000,
                }
            },
        ),
        (PLACE, {"location": {"latitude": 52.5, "longitude": -13.25}}),
        (PLACE | {"name": "n", "address": "a"}, {"body": "n"}),
        (CARD, {"body": "Ann"}),
        (CARD | {"contact": {"vcard": VCARD, "name": "lost", "phone": "9990000003"}}, {"body": "Bob B."}),
        ({"type": "contact", "to": "9990000002", "contacts": [{"vcard": VCARD}, CARD["contact"]]}, {"body": "Bob B."}),
    ],
    ids=lambda value: value["type"] if "type" in value else "",
)  # fmt: skip
def test_a_send_is_answered_stored_told_and_shown_once(
    wagate: SandboxGateway, here: str, body: Any, shown: dict[str, Any]
) -> None:
    answer = wagate.ask("POST", f"{here}/messages", body)
    assert answer.status == 200, answer.body
    exactly(answer.body, RESULT + " timestamp")
    assert (answer.body["mode"], answer.body["status"]) == ("sync", "sent")
    id = answer.body["waMessageId"]
    stored = wagate.get(f"{here}/messages/{id}")
    exactly(stored, MESSAGE + " status ackLevel senderJid senderLid", "body mentions quotedMessageId poll location contact")
    assert stored | shown == stored
    assert (stored["direction"], stored["fromMe"], stored["type"]) == ("out", True, body["type"])
    assert (stored["deleted"], stored["edited"], stored["hasMedia"]) == (False, False, False)
    assert stored["chatJid"] == "9990000002@s.whatsapp.net"
    assert stored["senderJid"] == "9990000001@s.whatsapp.net"
    assert stored["timestamp"] == answer.body["timestamp"]
    (copy,) = wagate.get(f"/sandbox/messages?mid={id}")["data"]
    assert copy["type"] == body["type"]
    mine = [each["payload"] for each in events(wagate, "message.from_me") if each["payload"]["waMessageId"] == id]
    assert len(mine) == 1
    exactly({k: v for k, v in mine[0].items() if k != "media"}, SAID.removesuffix(" media") + " senderJid senderLid",
            "body mentions quotedMessageId poll location contact")  # fmt: skip
    assert (mine[0]["media"], mine[0]["hasMedia"]) == (None, False)


def test_a_made_card_is_a_vcard(wagate: SandboxGateway, here: str) -> None:
    id = wagate.post(f"{here}/messages", CARD)["waMessageId"]
    card = wagate.get(f"{here}/messages/{id}")["contact"]
    exactly(card, "displayName vcard")
    assert card["vcard"].startswith("BEGIN:VCARD")
    assert "FN:Ann" in card["vcard"]
    assert "waid=9990000007:+9990000007" in card["vcard"].lower()


@pytest.mark.parametrize(
    "to",
    ["9990000002", "+999 000-0002", "9990000002@c.us", "9990000002@s.whatsapp.net", "9990000002:7@s.whatsapp.net"],
)
def test_a_person_may_be_written_in_many_ways(wagate: SandboxGateway, here: str, to: str) -> None:
    id = wagate.post(f"{here}/messages", text(to))["waMessageId"]
    assert wagate.get(f"{here}/messages/{id}")["chatJid"] == "9990000002@s.whatsapp.net"


def test_a_lid_is_the_same_person_once_the_link_is_known(wagate: SandboxGateway, here: str) -> None:
    said = wagate.post("/sandbox/messages", text("9990000001", "hi", **{"from": "9990000017"}))
    stored = wagate.until(lambda: ok(wagate, f"{here}/messages/{said['waMessageId']}"))
    sent = wagate.post(f"{here}/messages", text(stored["senderLid"], "back"))
    assert wagate.get(f"{here}/messages/{sent['waMessageId']}")["chatJid"] == "9990000017@s.whatsapp.net"


def ok(wagate: SandboxGateway, path: str) -> Any:
    answer = wagate.ask("GET", path)
    return answer.body if answer.status == 200 else None


def test_an_async_send_is_answered_at_once_and_told_of_later(wagate: SandboxGateway, here: str) -> None:
    answer = wagate.ask("POST", f"{here}/messages?async=1", text("9990000002"))
    assert answer.status == 202
    exactly(answer.body, RESULT)
    assert (answer.body["mode"], answer.body["status"]) == ("async", "queued")
    entry = settled(wagate, here, answer.body["outboxId"], "sent")
    exactly(entry, RESULT + " timestamp")
    wagate.until(lambda: wagate.get(f"{here}/messages/{entry['waMessageId']}")["status"] == "read")
    told = [
        each["payload"]
        for each in events(wagate, "message.status")
        if entry["waMessageId"] in each["payload"]["messageIds"]
    ]
    assert [each["status"] for each in told] == ["pending", "sent", "delivered", "read"]
    for each in told:
        exactly(each, "chatJid messageIds status timestamp", "senderJid outboxId")
    assert [each.get("outboxId") for each in told[:2]] == [entry["outboxId"]] * 2
    assert told[3]["senderJid"] == "9990000002@s.whatsapp.net"


@pytest.mark.parametrize(
    ("to", "status", "level"), [("9991000001", "delivered", 2), ("9992000001", "sent", 1), ("9990000002", "read", 3)]
)
def test_receipts_come_as_people_behave(
    wagate: SandboxGateway, here: str, to: str, status: str, level: int
) -> None:
    id = wagate.post(f"{here}/messages", text(to))["waMessageId"]
    wagate.until(lambda: wagate.get(f"{here}/messages/{id}")["status"] == status)
    assert wagate.get(f"{here}/messages/{id}")["ackLevel"] == level
    if to.startswith("9992"):
        assert wagate.ask("PATCH", f"/sandbox/people/{to}", {"online": True}).status == 204
        wagate.until(lambda: wagate.get(f"{here}/messages/{id}")["status"] != "sent")


def test_order_in_a_chat_is_the_order_of_acceptance(wagate: SandboxGateway, here: str) -> None:
    words = [f"number {i}" for i in range(25)]
    for word in words:
        wagate.post(f"{here}/messages?async=true", text("9990000021", word))
    shown = "/sandbox/messages?to=9990000021&limit=200"
    wagate.until(lambda: len(wagate.get(shown)["data"]) == 25)
    assert [each["content"]["text"] for each in wagate.get(shown)["data"]] == words


def test_a_connection_lost_in_the_middle_shows_one_message(wagate: SandboxGateway, here: str) -> None:
    sent = wagate.post(f"{here}/messages", text("9998000001"))
    assert sent["status"] == "sent"
    assert len(wagate.get(f"/sandbox/messages?mid={sent['waMessageId']}")["data"]) == 1


def test_who_is_slow_is_waited_for(wagate: SandboxGateway, here: str) -> None:
    assert wagate.post(f"{here}/messages", text("9999000001"))["status"] == "sent"


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
    lost = [
        refused(hasty.ask("POST", f"{there}/messages", text(f"999600000{i}")), 504)["outboxId"] for i in (2, 3)
    ]
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


def test_a_message_is_found_by_its_id_and_its_chat(wagate: SandboxGateway, here: str) -> None:
    id = wagate.post(f"{here}/messages", text("9990000002"))["waMessageId"]
    for chat in ("9990000002", "9990000002@s.whatsapp.net", "%2B9990000002", "9990000002%40c.us"):
        assert wagate.get(f"{here}/messages/{id}?chat={chat}")["waMessageId"] == id
    refused(wagate.ask("GET", f"{here}/messages/{id}?chat=9990000003"), 404, "not_found")
    refused(wagate.ask("GET", f"{here}/messages/3EBNOTHING"), 404, "not_found")
    invalid(wagate.ask("GET", f"{here}/messages/{id}?chat=x"), "chat")
    lid = wagate.get(f"{here}/messages/{id}")["senderLid"]
    assert lid.endswith("@lid")


def test_an_incoming_message_is_stored_and_told_once(wagate: SandboxGateway, here: str) -> None:
    said = wagate.post("/sandbox/messages", text("9990000001", "hello", **{"from": "9990000051"}))
    exactly(said, "waMessageId")
    stored = wagate.until(lambda: ok(wagate, f"{here}/messages/{said['waMessageId']}"))
    exactly(stored, MESSAGE + " senderJid senderLid senderName body")
    assert (stored["direction"], stored["fromMe"], stored["type"]) == ("in", False, "text")
    assert stored["chatJid"] == stored["senderJid"] == "9990000051@s.whatsapp.net"
    (event,) = [
        each for each in events(wagate, "message") if each["payload"]["waMessageId"] == said["waMessageId"]
    ]
    exactly(event, "schema id event session organization timestamp payload")
    exactly({k: v for k, v in event["payload"].items() if k != "media"},
            "waMessageId chatJid fromMe type timestamp hasMedia senderJid senderLid pushName body")  # fmt: skip


def test_what_is_typed_on_the_phone_comes_as_our_own(wagate: SandboxGateway, here: str) -> None:
    said = wagate.post("/sandbox/messages", text("9990000052", "typed", **{"from": "9990000001"}))
    stored = wagate.until(lambda: ok(wagate, f"{here}/messages/{said['waMessageId']}"))
    assert (stored["direction"], stored["fromMe"], stored["chatJid"]) == ("out", True, "9990000052@s.whatsapp.net")
    mine = [e for e in events(wagate, "message.from_me") if e["payload"]["waMessageId"] == said["waMessageId"]]
    assert len(mine) == 1


def test_echoes_come_back(wagate: SandboxGateway, here: str) -> None:
    wagate.post(f"{here}/messages", text("9995000001", "hall"))
    chat = f"{here}/chats/9995000001/messages"
    wagate.until(lambda: [m["body"] for m in wagate.get(chat)["data"]] == ["hall", "hall"])
    assert [m["fromMe"] for m in wagate.get(chat)["data"]] == [False, True]


def test_auto_read_sends_a_receipt_for_what_is_stored(wagate: SandboxGateway) -> None:
    wagate.linked("9990000053", autoRead=True)
    sender = "/sessions/" + wagate.linked("9990000054")["id"]
    id = wagate.post(f"{sender}/messages", text("9990000053"))["waMessageId"]
    wagate.until(lambda: wagate.get(f"{sender}/messages/{id}")["status"] == "read")
