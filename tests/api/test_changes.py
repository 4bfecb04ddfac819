"""Changes over HTTP: what is refused, what the network and the other side show, what is told."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, refused, text
from wagate.testing import SandboxGateway

ME, ANN, BOB = "9990000001@s.whatsapp.net", "9990000002@s.whatsapp.net", "9990000003@s.whatsapp.net"
POLL = {"type": "poll", "to": "9990000002", "name": "Lunch?", "options": ["soup", "salad"]}
RESULT = "mode status waMessageId timestamp outboxId"
FIELDS = "waMessageId chatJid fromMe type timestamp hasMedia senderJid senderLid targetId"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def session(wagate: SandboxGateway) -> str:
    return str(wagate.linked("9990000001")["id"])


@pytest.fixture(scope="module")
def here(session: str) -> str:
    """The path of a working session without a budget."""
    return f"/sessions/{session}"


def sent(wagate: SandboxGateway, here: str, body: Any = None) -> str:
    """The wire id of a message that the network has."""
    answer = wagate.post(f"{here}/messages", body or text("9990000002"))
    return str(answer["waMessageId"])


def came(wagate: SandboxGateway, here: str, **more: Any) -> str:
    """The wire id of a stored message from Ann."""
    said = wagate.post(
        "/sandbox/messages", {"from": "9990000002", "to": "9990000001", "type": "text", "text": "hi", **more}
    )
    wire_id = str(said["waMessageId"])
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{wire_id}").status == 200)
    return wire_id


def message(wagate: SandboxGateway, here: str, wire_id: str, **query: str) -> Any:
    mark = "".join(f"?{name}={value}" for name, value in query.items())
    return wagate.get(f"{here}/messages/{wire_id}{mark}")


def told(wagate: SandboxGateway, name: str, target: str) -> list[Any]:
    return [each["payload"] for each in events(wagate, name) if each["payload"].get("targetId") == target]


# What is refused


@pytest.mark.parametrize(
    ("method", "path", "body", "wrong"),
    [
        ("PATCH", "", {"text": "x"}, "chat"),
        ("PATCH", "", {"chat": ANN}, "text"),
        ("PATCH", "", {"chat": ANN, "text": ""}, "text"),
        ("PATCH", "", {"chat": ANN, "text": "nul \u0000"}, "text"),
        ("PATCH", "", {"chat": ANN, "text": "x", "sender": ANN}, "sender"),
        ("PATCH", "", {"chat": "9990000002@x", "text": "x"}, "chat"),
        ("DELETE", "", {}, "chat"),
        ("DELETE", "", None, "chat"),
        ("DELETE", "", {"chat": ANN, "sender": "x@g.us"}, "sender"),
        ("DELETE", "?chat=x", None, "chat"),
        ("DELETE", "?chat=9990000002&sender=nobody", None, "sender"),
        ("DELETE", "/reaction", {"sender": ANN}, "chat"),
        ("POST", "/reaction", {"chat": ANN}, "emoji"),
        ("POST", "/reaction", {"chat": ANN, "emoji": ""}, "emoji"),
        ("POST", "/reaction", {"chat": ANN, "emoji": "x", "remove": True}, "remove"),
        ("POST", "/forward", {"chat": ANN}, "to"),
        ("POST", "/forward", {"chat": ANN, "to": "nobody"}, "to"),
        ("POST", "/vote", {"chat": ANN}, "options"),
        ("POST", "/vote", {"chat": ANN, "options": "soup"}, "options"),
        ("POST", "/vote", {"chat": ANN, "options": ["x"] * 13}, "options"),
    ],
)
def test_a_malformed_body_is_400(
    wagate: SandboxGateway, here: str, method: str, path: str, body: Any, wrong: str
) -> None:
    invalid(wagate.ask(method, f"{here}/messages/X{path}", body), wrong)


@pytest.mark.parametrize(
    "body",
    [
        {"chat": ANN},
        {"chat": ANN, "messageIds": []},
        {"chat": ANN, "messageIds": ["a\u0000"]},
        {"messageIds": ["a"]},
        {"chat": ANN, "messageIds": ["a"], "sender": "x"},
    ],
)
def test_marking_nothing_as_read_is_400(wagate: SandboxGateway, here: str, body: Any) -> None:
    refused(wagate.ask("POST", f"{here}/messages:read", body), 400, "validation_error")


OPERATIONS = [
    ("PATCH", "/messages/X", {"chat": ANN, "text": "x"}),
    ("DELETE", "/messages/X", {"chat": ANN}),
    ("POST", "/messages/X/forward", {"chat": ANN, "to": BOB}),
    ("POST", "/messages/X/reaction", {"chat": ANN, "emoji": "x"}),
    ("DELETE", "/messages/X/reaction", {"chat": ANN}),
    ("POST", "/messages/X/vote", {"chat": ANN, "options": []}),
    ("POST", "/messages:read", {"chat": ANN, "messageIds": ["X"]}),
    ("POST", "/status", {"text": "x"}),
]


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_all_need_send_a_session_and_a_connection(
    wagate: SandboxGateway, here: str, method: str, path: str, body: Any
) -> None:
    reader = key(wagate, "read", "manage", "events")
    refused(wagate.ask(method, here + path, body, key=reader), 403, "forbidden")
    refused(wagate.ask(method, "/sessions/ses_none" + path, body), 404, "not_found")
    idle = wagate.post("/sessions", {})["id"]
    details = refused(wagate.ask(method, f"/sessions/{idle}{path}", body), 501, "not_implemented")
    assert details["reason"] == "session_not_connected"


def test_another_ones_message_is_not_edited(wagate: SandboxGateway, here: str) -> None:
    wire_id = came(wagate, here)
    refused(wagate.ask("PATCH", f"{here}/messages/{wire_id}", {"chat": ANN, "text": "x"}), 422, "refused")
    assert message(wagate, here, wire_id)["body"] == "hi"
    assert told(wagate, "message.edited", wire_id) == []


def test_another_ones_message_is_not_taken_back(wagate: SandboxGateway, here: str) -> None:
    wire_id = came(wagate, here)
    details = refused(wagate.ask("DELETE", f"{here}/messages/{wire_id}", {"chat": ANN}), 422, "refused")
    assert details["certain"] is True
    assert message(wagate, here, wire_id)["deleted"] is False


def test_a_vote_is_for_a_known_option_of_a_poll(wagate: SandboxGateway, here: str) -> None:
    poll, plain = sent(wagate, here, POLL), sent(wagate, here)
    for wire_id, options in ((poll, ["stew"]), (poll, ["soup", "salad"]), (plain, ["soup"])):
        refused(
            wagate.ask("POST", f"{here}/messages/{wire_id}/vote", {"chat": ANN, "options": options}),
            400, "validation_error",
        )  # fmt: skip
    refused(wagate.ask("POST", f"{here}/messages/none/vote", {"chat": ANN, "options": []}), 404, "not_found")
    assert told(wagate, "poll.vote", poll) == []


def test_what_is_gone_is_not_forwarded(wagate: SandboxGateway, here: str) -> None:
    gone = sent(wagate, here)
    assert wagate.ask("DELETE", f"{here}/messages/{gone}?chat=9990000002").status == 200
    for wire_id in (gone, "none"):
        refused(wagate.ask("POST", f"{here}/messages/{wire_id}/forward", {"chat": ANN, "to": BOB}), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "text"),
        ({"type": "text"}, "text"),
        ({"type": "image", "text": "x"}, "media"),
        ({"type": "text", "text": "x", "media": {"url": "https://example.com/a.png"}}, "media"),
        ({"type": "image", "media": {}}, "media"),
        ({"type": "song", "text": "x"}, "type"),
        ({"text": ""}, "text"),
    ],
)
def test_a_status_is_a_text_or_a_picture(wagate: SandboxGateway, here: str, body: Any, path: str) -> None:
    invalid(wagate.ask("POST", f"{here}/status", body), path)


# What is done


def test_an_edit_shows_here_and_there(wagate: SandboxGateway, here: str) -> None:
    wire_id = sent(wagate, here)
    answer = wagate.ask("PATCH", f"{here}/messages/{wire_id}", {"chat": "+999 000 0002", "text": "better"})
    assert answer.status == 200
    exactly(answer.body, RESULT)
    assert answer.body["waMessageId"] != wire_id
    now = message(wagate, here, wire_id)
    assert (now["body"], now["edited"]) == ("better", True)
    (payload,) = told(wagate, "message.edited", wire_id)
    assert payload.pop("media") is None
    exactly(payload, FIELDS + " body")
    assert (payload["body"], payload["fromMe"], payload["type"], payload["waMessageId"]) == (
        "better", True, "text", answer.body["waMessageId"],
    )  # fmt: skip
    refused(wagate.ask("GET", f"{here}/messages/{answer.body['waMessageId']}"), 404)


def test_a_message_is_taken_back_by_body_or_query(wagate: SandboxGateway, here: str) -> None:
    for query, body in (("", {"chat": ANN}), ("?chat=9990000002&sender=", None), ("?chat=9990000003", {"chat": ANN})):
        wire_id = sent(wagate, here)
        answer = wagate.ask("DELETE", f"{here}/messages/{wire_id}{query}", body)
        assert answer.status == 200, answer.body
        now = message(wagate, here, wire_id)
        assert (now["deleted"], now["type"], "body" in now) == (True, "text", False)
        (payload,) = told(wagate, "message.revoked", wire_id)
        assert payload.pop("media") is None
        exactly(payload, FIELDS)


def test_reactions_come_and_go(wagate: SandboxGateway, here: str) -> None:
    wire_id = came(wagate, here)
    where = f"{here}/messages/{wire_id}/reaction"
    assert wagate.ask("POST", where, {"chat": ANN, "emoji": "👍", "sender": ""}).status == 200
    assert wagate.ask("POST", where, {"chat": ANN, "emoji": "❤", "sender": ANN}).status == 200
    assert message(wagate, here, wire_id)["reactions"] == [{"emoji": "❤", "senderJid": ME}]
    assert wagate.ask("DELETE", where, {"chat": ANN, "emoji": "x"}).status == 200
    assert "reactions" not in message(wagate, here, wire_id)
    assert [payload["reaction"] for payload in told(wagate, "message.reaction", wire_id)] == ["👍", "❤", ""]


def test_what_others_do_arrives(wagate: SandboxGateway, here: str) -> None:
    own, hers = sent(wagate, here), came(wagate, here)
    for wire_id, verb, body in (
        (own, "react", {"emoji": "👍"}),
        (hers, "edit", {"text": "better"}),
        (hers, "revoke", {}),
    ):
        answer = wagate.ask("POST", f"/sandbox/messages/{wire_id}:{verb}", {"from": "9990000002", **body})
        assert answer.status == 204, answer.body
    wagate.until(lambda: told(wagate, "message.revoked", hers))
    assert message(wagate, here, own)["reactions"] == [{"emoji": "👍", "senderJid": ANN}]
    assert [payload["body"] for payload in told(wagate, "message.edited", hers)] == ["better"]
    assert message(wagate, here, hers)["deleted"] is True


def test_votes_are_cast_changed_and_taken_back(wagate: SandboxGateway, here: str) -> None:
    poll = sent(wagate, here, POLL)
    for options in (["soup"], ["salad"], []):
        answer = wagate.ask("POST", f"{here}/messages/{poll}/vote", {"chat": ANN, "options": options})
        assert answer.status == 200, answer.body
    assert [payload["selectedOptions"] for payload in told(wagate, "poll.vote", poll)] == [["soup"], ["salad"], []]


def test_a_forward_is_a_message_of_its_own(wagate: SandboxGateway, here: str) -> None:
    wire_id = came(wagate, here, text="news")
    answer = wagate.ask("POST", f"{here}/messages/{wire_id}/forward", {"chat": ANN, "to": "9990000003"})
    assert answer.status == 200, answer.body
    copy = message(wagate, here, answer.body["waMessageId"])
    assert (copy["body"], copy["chatJid"], copy["fromMe"]) == ("news", BOB, True)
    (shown,) = wagate.get(f"/sandbox/messages?mid={answer.body['waMessageId']}&to=9990000003")["data"]
    assert shown["content"]["forwarded"] is True


def test_reading_counts_what_is_newer(wagate: SandboxGateway) -> None:
    where = f"/sessions/{wagate.linked('9990000011')['id']}"
    ids = [came(wagate, where, to="9990000011", text=str(number)) for number in range(3)]
    chat = f"{where}/chats/9990000002"
    assert wagate.get(chat)["unreadCount"] == 3
    answer = wagate.ask("POST", f"{where}/messages:read", {"chat": "9990000002", "messageIds": ids[:2]})
    assert (answer.status, answer.body) == (204, b"")
    assert wagate.get(chat)["unreadCount"] == 1
    assert wagate.ask("POST", f"{where}/messages:read", {"chat": ANN, "messageIds": ids[:1]}).status == 204
    assert wagate.get(chat)["unreadCount"] == 1

    def read() -> Any:
        rows = wagate.get("/sandbox/messages?from=9990000002&to=9990000011")["data"]
        return {row["waMessageId"] for row in rows if row["status"] == "read"} == set(ids[:2])

    wagate.until(read)


def test_a_status_is_posted_and_stored(wagate: SandboxGateway, here: str) -> None:
    picture = {"data": base64.b64encode(PNG).decode()}
    for body, type_, words in (
        ({"text": "hello all"}, "text", "hello all"),
        ({"media": picture, "text": "look"}, "image", "look"),
    ):
        answer = wagate.ask("POST", f"{here}/status", body)
        assert answer.status == 200, answer.body
        exactly(answer.body, "messageId")
        posted = message(wagate, here, answer.body["messageId"])
        assert (posted["chatJid"], posted["type"], posted["body"]) == ("status@broadcast", type_, words)
    assert any(each["type"] == "status" for each in wagate.get(f"{here}/chats")["data"])


def test_an_album_answers_with_its_items(wagate: SandboxGateway, here: str) -> None:
    picture = {"data": base64.b64encode(PNG).decode()}
    body = {"type": "album", "to": "9990000002", "medias": [picture, picture], "caption": "look"}
    answer = wagate.ask("POST", f"{here}/messages", body)
    assert answer.status == 200, answer.body
    ids = answer.body["itemIds"]
    assert answer.body["waMessageId"] == ids[0]
    items = [message(wagate, here, wire_id) for wire_id in ids]
    assert [(item["type"], item.get("body")) for item in items] == [("image", "look"), ("image", None)]


def test_each_change_counts_as_a_send(wagate: SandboxGateway) -> None:
    where = f"/sessions/{wagate.linked('9990000012', ratePerMin=3)['id']}"
    own = sent(wagate, where)
    for emoji in ("1", "2"):
        assert wagate.ask("POST", f"{where}/messages/{own}/reaction", {"chat": ANN, "emoji": emoji}).status == 200
    refused(wagate.ask("PATCH", f"{where}/messages/{own}", {"chat": ANN, "text": "x"}), 429, "rate_limited")
    refused(wagate.ask("POST", f"{where}/messages/{own}/forward", {"chat": ANN, "to": BOB}), 429, "rate_limited")
    assert message(wagate, where, own)["edited"] is False
