"""Sends through the dialect: every kind, from the session that is meant, as the SDK and as others ask."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.dialect import Dialect, strict, told
from tests.support.files import JPEG, MP4, OPUS_VOICE, PDF, VORBIS
from tests.support.gateways import Account, key
from tests.support.shelf import shelf
from wagate import testing
from wagate.testing import SandboxGateway

PEER, JID = "+9990000002", "9990000002@c.us"
FILES = {"a.jpg": JPEG, "b.mp4": MP4, "c.ogg": OPUS_VOICE, "d.pdf": PDF}


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """With the own machine's addresses open: files are fetched from there."""
    folder = tmp_path_factory.mktemp("wagate") / "data"
    with testing.gateway(folder, allowed_networks=("127.0.0.0/8",)) as running:
        yield running


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    with shelf(FILES) as there:
        yield there


@pytest.fixture(scope="module")
def alone(wagate: SandboxGateway, owner: Account) -> str:
    """A key that sees one session only."""
    return key(wagate, sessions=[owner.session])


def seen(client: Dialect, answer: Any) -> Any:
    """What the recipient's phone shows of a send."""
    (found,) = client.wagate.get(f"/sandbox/messages?mid={answer['waMessageId']}")["data"]
    return found["content"]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Refusals


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/send", {"to": PEER}, "text: is missing"),
        ("/send", {"to": "nobody", "text": "x"}, "to"),
        ("/send", {"text": "x"}, "to: is missing"),
        ("/send", {"to": PEER, "imageUrl": "http://a.invalid/", "videoUrl": "http://b.invalid/"}, "videoUrl"),
        ("/send", {"to": PEER, "audioUrl": "http://a.invalid/", "text": "x"}, "text"),
        ("/send", {"to": PEER, "text": "x", "filename": "a"}, "filename"),
        ("/send", {"to": PEER, "text": "x", "preview": {"description": "x"}}, "preview"),
        ("/send", {"to": PEER, "imageUrl": "http://a.invalid/", "preview": {"title": "x"}}, "preview"),
        ("/send", {"to": PEER, "imageUrl": "http://169.254.0.1/a.jpg"}, "media.url"),
        ("/sendText", {"to": PEER}, "text: is missing"),
        ("/sendText", {"to": PEER, "content": ""}, "text: is missing"),
        ("/sendText", {"to": PEER, "text": "x", "replyTo": "false_nobody@c.us_3EB0"}, "replyTo"),
        ("/sendImage", {"to": PEER, "content": "x"}, "url"),
        ("/sendImage", {"to": PEER, "url": "http://a.invalid/", "data": "AAAA"}, "url"),
        ("/sendImage", {"to": PEER, "data": "no base64"}, "media.data"),
        ("/sendImage", {"to": PEER, "data": b64(PDF)}, "media"),
        ("/sendVoice", {"to": PEER, "data": b64(VORBIS)}, "media"),
        ("/sendVoice", {"to": PEER, "data": b64(OPUS_VOICE), "duration": -1}, "duration"),
        ("/sendFile", {"to": PEER, "data": b64(PDF), "fileName": "../x"}, "fileName"),
        ("/send/link-custom-preview", {"to": PEER, "text": "x", "preview": {}}, "preview.title"),
        ("/sendSeen", {"to": PEER}, "messageId"),
    ],
)
def test_a_send_that_says_nothing_good_is_400(docs: Dialect, shop: str, path: str, body: Any, words: str) -> None:
    assert told(docs.ask("POST", path, {**body, "session": shop}), 400).startswith(words)


def test_without_a_session_a_key_must_have_exactly_one(docs: Dialect, wagate: SandboxGateway, guest: Account) -> None:
    assert guest.session
    body = {"to": PEER, "text": "hello", "content": ""}
    assert "more than one" in told(docs.ask("POST", "/sendText", body), 400)
    none = key(wagate, sessions=["ses_nobody"])
    assert "has none" in told(docs.ask("POST", "/sendText", body, key=none), 400)


def test_a_number_that_refuses_is_422(docs: Dialect, shop: str) -> None:
    told(docs.ask("POST", "/send", {"session": shop, "to": "+9997000001", "text": "hello"}), 422)


def test_over_the_budget_it_is_429_and_says_when(docs: Dialect, wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000031", ratePerMin=1)["id"]
    body = {"session": session, "to": PEER, "text": "hello"}
    docs.post("/send", body)
    answer = docs.ask("POST", "/send", body)
    told(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_reaction_to_what_is_not_there_is_404(docs: Dialect, shop: str) -> None:
    for id in ("3EB0NOTHING", "false_9990000002@c.us_3EB0NOTHING"):
        told(docs.ask("PUT", "/reaction", {"session": shop, "messageId": id, "reaction": "\U0001f44d"}), 404)


# Every kind


@pytest.mark.parametrize(
    ("field", "name", "type"),
    [
        ("imageUrl", "a.jpg", "image"),
        ("videoUrl", "b.mp4", "video"),
        ("documentUrl", "d.pdf", "document"),
        ("audioUrl", "c.ogg", "audio"),
    ],
)
def test_one_body_sends_every_kind_by_url(
    sdk: Dialect, shop: str, files: str, field: str, name: str, type: str
) -> None:
    words = {} if field == "audioUrl" else {"text": "look"}
    answer = strict(sdk.post("/send", {"session": shop, "to": PEER, field: f"{files}/{name}", **words}), "WAMessage")
    assert (answer["type"], answer["content"]) == (type, words.get("text", ""))
    content = seen(sdk, answer)
    assert content["type"] == type
    assert content["media"].get("caption") == words.get("text")


def test_a_text_and_its_preview(sdk: Dialect, shop: str) -> None:
    body = {"session": shop, "to": JID, "text": "https://a.example/", "preview": {"title": "A", "description": "B"}}
    answer = strict(sdk.post("/send", body), "WAMessage")
    assert (answer["to"], answer["recipient"], answer["sender"]) == (JID, JID, "9990000001@c.us")
    assert (answer["fromMe"], answer["status"], answer["type"]) == (True, "sent", "text")
    assert answer["id"] == f"true_{JID}_{answer['waMessageId']}"
    assert seen(sdk, answer)["preview"] == {"title": "A", "description": "B"}


@pytest.mark.parametrize(
    ("path", "body", "type"),
    [
        ("/sendText", {"text": "hello"}, "text"),
        ("/sendImage", {"data": b64(JPEG), "caption": "hello"}, "image"),
        ("/sendImage", {"data": "data:image/jpeg;base64," + b64(JPEG)}, "image"),
        ("/sendFile", {"data": b64(PDF), "fileName": "d.pdf", "mimeType": "application/pdf"}, "document"),
        ("/sendVoice", {"data": b64(OPUS_VOICE), "duration": 3}, "ptt"),
        ("/sendVideo", {"data": b64(MP4), "caption": "hello"}, "video"),
        ("/send/link-custom-preview", {"text": "hello", "preview": {"title": "A"}}, "text"),
        ("/sendLinkCustomPreview", {"text": "hello", "preview": {"title": "A"}}, "text"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_each_typed_send_finds_its_session(
    sdk: Dialect, shop: str, alone: str, path: str, body: Any, type: str, named: bool
) -> None:
    # As Python sends it: without a session, with a content that nobody asked for.
    more = {"session": shop} if named else {"content": "filler"}
    answer = sdk.ask("POST", path, {**body, **more, "to": PEER}, key=None if named else alone)
    assert answer.status == 200, answer.body
    assert strict(answer.body, "WAMessage")["type"] == type
    assert "filler" not in str(seen(sdk, answer.body))


def test_content_is_the_text_where_there_is_no_other(sdk: Dialect, alone: str) -> None:
    answer = sdk.ask("POST", "/sendText", {"to": PEER, "content": "hello"}, key=alone)
    assert answer.body["content"] == "hello"


def test_files_come_by_url_as_well(sdk: Dialect, shop: str, files: str) -> None:
    for path, name in (("/sendImage", "a.jpg"), ("/sendVideo", "b.mp4"), ("/sendVoice", "c.ogg")):
        strict(sdk.post(path, {"session": shop, "to": PEER, "url": f"{files}/{name}"}), "WAMessage")
    told(sdk.ask("POST", "/sendImage", {"session": shop, "to": PEER, "url": f"{files}/nothing"}), 400)


def test_a_large_file_goes_through(sdk: Dialect, shop: str) -> None:
    data = b64(JPEG + bytes(3_000_000))
    answer = sdk.post("/sendImage", {"session": shop, "to": PEER, "data": data})
    assert seen(sdk, answer)["media"]["size"] == len(JPEG) + 3_000_000


def test_an_answer_quotes_by_either_id(sdk: Dialect, shop: str) -> None:
    first = sdk.post("/sendText", {"session": shop, "to": PEER, "text": "one"})
    for id in (first["id"], first["waMessageId"]):
        reply = sdk.post("/sendText", {"session": shop, "to": PEER, "text": "two", "replyTo": id})
        assert seen(sdk, reply)["quote"]["messageId"] == first["waMessageId"]


def test_the_same_key_sends_once(docs: Dialect, shop: str) -> None:
    body = {"session": shop, "to": PEER, "text": "once"}
    first, again = (docs.ask("POST", "/send", body, headers={"idempotency-key": "order-17"}).body for _ in range(2))
    assert first == again
    other = docs.ask("POST", "/send", body | {"text": "twice"}, headers={"idempotency-key": "order-17"})
    told(other, 409)


def test_a_group_is_told_by_any_of_its_names(sdk: Dialect, shop: str, group: str) -> None:
    for to in (group, group.removesuffix("@g.us")):
        assert sdk.post("/send", {"session": shop, "to": to, "text": "hello"})["to"] == group


# Around a message


def test_the_conversation_of_the_sdk(sdk: Dialect, owner: Account, shop: str) -> None:
    wagate = sdk.wagate
    said = {"from": "9990000002", "to": owner.phone, "type": "text", "text": "anybody there?"}
    wire = wagate.post("/sandbox/messages", said)["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{owner.session}/messages/{wire}").status == 200)
    for path in ("/sendSeen", "/startTyping", "/stopTyping"):
        more = {"messageId": f"false_{JID}_{wire}"} if path == "/sendSeen" else {}
        assert sdk.post(path, {"session": shop, "to": PEER, **more})["success"] is True
    assert wagate.get(f"/sessions/{owner.session}/chats/9990000002")["unreadCount"] == 0
    strict(sdk.post("/send", {"session": shop, "to": PEER, "text": "here"}), "WAMessage")


@pytest.mark.parametrize("whole", [True, False])
def test_a_reaction_is_sent_and_taken_back(sdk: Dialect, owner: Account, shop: str, whole: bool) -> None:
    sent = sdk.post("/send", {"session": shop, "to": PEER, "text": "nice?"})
    where, id = f"/sessions/{owner.session}/messages/{sent['waMessageId']}", sent["id" if whole else "waMessageId"]
    for emoji in ("\U0001f44d", ""):
        assert sdk.good("PUT", "/reaction", {"session": shop, "messageId": id, "reaction": emoji})["success"] is True
        shown = [each["emoji"] for each in sdk.wagate.get(where).get("reactions", [])]
        assert shown == ([emoji] if emoji else [])
