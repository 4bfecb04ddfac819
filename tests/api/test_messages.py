"""Sends over HTTP: what is refused, what is answered, what is stored, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, refused, text
from wagate.testing import SandboxGateway

RESULT = "mode status waMessageId outboxId"
MESSAGE = "id sessionId waMessageId chatJid direction fromMe type timestamp createdAt deleted edited hasMedia"
SAID = "waMessageId chatJid fromMe type timestamp hasMedia media"
POLL = {"type": "poll", "to": "9990000002", "name": "Lunch?", "options": ["yes", "no"]}
PLACE = {"type": "location", "to": "9990000002", "latitude": 52.5, "longitude": -13.25}
CARD = {"type": "contact", "to": "9990000002", "contact": {"name": "Ann", "phone": "+999 000 0007"}}
VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob B.\r\nN:B.;Bob;;;\r\nEND:VCARD\r\n"


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    """The path of a working session without a budget."""
    return "/sessions/" + str(wagate.linked("9990000001")["id"])


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
                "",
                "x",
                "999",
                "9990000002@x",
                "@s.whatsapp.net",
                "a@g.us",
                "9990000002@s.whatsapp.net@lid",
                "9990000002\u0000",
                "99900\n00002",
                "9" * 200,
                "status@broadcast",
                "١٢٣٤٥٦٧٨٩",
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
        (POLL | {"pollEndTime": 1}, "pollEndTime"),
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
    assert [each["payload"]["status"] for each in mine if each["payload"]["status"] != "pending"] == ["failed"]
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
    ids=lambda value: value.get("type", ""),
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
    exactly(
        stored, MESSAGE + " status ackLevel senderJid senderLid", "body mentions quotedMessageId poll location contact"
    )
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
def test_receipts_come_as_people_behave(wagate: SandboxGateway, here: str, to: str, status: str, level: int) -> None:
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
    (event,) = [each for each in events(wagate, "message") if each["payload"]["waMessageId"] == said["waMessageId"]]
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
