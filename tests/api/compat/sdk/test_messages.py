"""Sending, as the Python SDK does it; what the phones show afterwards is what counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.files import JPEG, MP4, OPUS_VOICE, PDF
from tests.support.gateways import Account, events, key
from tests.support.media import b64
from tests.support.sdk import Sdk, digits, refused, wire_id
from wagate.testing import SandboxGateway

PEER = "9990000003"
PREVIEW = {"title": "A shop", "description": "Open", "thumbnailUrl": "https://example.com/t.jpg"}


def shown(wagate: SandboxGateway, message: str) -> dict[str, Any]:
    """The one copy of a message that is on a phone."""
    (copy,) = wagate.get(f"/sandbox/messages?mid={wire_id(message)}")["data"]
    found: dict[str, Any] = copy
    return found


def written(wagate: SandboxGateway, account: Account, text: str, sender: str = PEER) -> str:
    """The wire id of a message that somebody wrote to the account, and that its session has."""
    said = {"from": sender, "to": account.phone, "type": "text", "text": text}
    message: str = wagate.post("/sandbox/messages", said)["waMessageId"]
    path = f"/sessions/{account.session}/messages/{message}"
    wagate.until(lambda: wagate.ask("GET", path).status == 200)
    return message


@pytest.fixture(scope="module")
def only(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> Sdk:
    """The SDK with a key that may use the owner's session and no other."""
    return sdk.with_key(key(wagate, sessions=[owner.session]))


@pytest.mark.parametrize("to", ["+{}", "{}@c.us", "{}@s.whatsapp.net", "{}"])
def test_a_text_is_sent_and_told_of_in_full(sdk: Sdk, wagate: SandboxGateway, owner: Account, to: str) -> None:
    sent = sdk.send(session=owner.session, to=to.format(PEER), text="Grüße ☕")
    copy = shown(wagate, sent["id"])
    assert (copy["content"]["text"], digits(copy["from"]), digits(copy["to"])) == ("Grüße ☕", owner.phone, PEER)
    assert (sent["content"], sent["type"], sent["from_me"]) == ("Grüße ☕", "text", True)
    assert {digits(sent["to"]), digits(sent["recipient"])} == {PEER}
    assert digits(sent["sender"]) == owner.phone
    assert sent["status"]
    assert sent["timestamp"]


def test_a_text_is_sent_to_a_group(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    group = owner.made(PEER)
    sent = sdk.send(session=owner.session, to=group, text="all")
    assert (shown(wagate, sent["id"])["to"], sent["to"]) == (group, group)


@pytest.mark.parametrize(
    ("wish", "file", "kind", "mimetype"),
    [
        ({"text": "look"}, "image_url a.jpg", "image", "image/jpeg"),
        ({"text": "look", "mimetype": "image/png"}, "image_url a.png", "image", "image/png"),
        ({"text": "watch", "mimetype": "video/mp4"}, "video_url a.mp4", "video", "video/mp4"),
        ({"filename": "offer.pdf", "mimetype": "application/pdf"}, "document_url a.pdf", "document", "application/pdf"),
        ({"mimetype": "audio/mpeg"}, "audio_url a.mp3", "audio", "audio/mpeg"),
    ],
    ids=["jpeg", "png", "video", "document", "audio"],
)
def test_a_file_is_sent_from_its_url(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, files: str, wish: dict[str, Any], file: str, kind: str,
    mimetype: str,
) -> None:  # fmt: skip
    field, name = file.split()
    sent = sdk.send(session=owner.session, to=PEER, **{**wish, field: f"{files}/{name}"})
    content = shown(wagate, sent["id"])["content"]
    assert (content["type"], content["media"]["mimetype"]) == (kind, mimetype)
    assert content["media"].get("caption") == wish.get("text")
    assert wish.get("filename") in (None, content["media"].get("filename"))


def test_a_preview_goes_with_a_text(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    sent = sdk.send(session=owner.session, to=PEER, text="https://example.com/", preview=PREVIEW)
    assert shown(wagate, sent["id"])["content"]["preview"] == PREVIEW


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "nobody", "text": "x"},
        {"text": ""},
        {},
        {"image_url": "{files}/none.jpg"},
        {"image_url": "{files}/a.pdf"},
        {"image_url": "http://ann:secret@127.0.0.1/a.jpg"},
        {"image_url": "file:///etc/hostname"},
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_not(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, files: str, wrong: dict[str, Any]
) -> None:
    nobody = "9990000042"
    wish = {"to": nobody, **{name: value.replace("{files}", files) for name, value in wrong.items()}}
    refused(400, lambda: sdk.send(session=owner.session, **wish))
    assert wagate.get(f"/sandbox/messages?to={nobody}")["data"] == []


def test_who_is_not_on_whatsapp_gets_nothing(sdk: Sdk, owner: Account) -> None:
    refused(422, lambda: sdk.send(session=owner.session, to="+9993000001", text="x"))


def test_a_message_is_sent_as_somebody_who_types(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account
) -> None:
    read = written(wagate, owner, "read me first", sender=guest.phone)
    wagate.get(f"/sessions/{guest.session}/chats/{owner.phone}/presence")
    wish = {"$": "SendRequest", "session": owner.session, "to": guest.phone, "text": "typed"}
    sent = sdk.send_message(wish, {"minTypingDuration": "1", "maxTypingDuration": "40", "messageId": read})
    assert shown(wagate, sent["id"])["content"]["text"] == "typed"
    assert shown(wagate, read)["status"] == "read"
    wagate.until(lambda: {"composing", "paused"} <= heard(wagate, guest, owner))


def test_typing_is_shown_and_stops(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    peer = Account(wagate, "9990000041")
    wagate.get(f"/sessions/{peer.session}/chats/{owner.phone}/presence")
    before = heard(wagate, peer, owner)
    assert "composing" not in before
    assert sdk.start_typing(session=owner.session, to=f"+{peer.phone}") is None
    wagate.until(lambda: heard(wagate, peer, owner) - before == {"composing"})
    assert sdk.stop_typing(session=owner.session, to=f"+{peer.phone}") is None
    wagate.until(lambda: "paused" in heard(wagate, peer, owner))


def heard(wagate: SandboxGateway, listener: Account, of: Account) -> set[str]:
    """The states in which a session has seen somebody."""
    told = [each["payload"] for each in events(wagate, "presence.update", session=listener.session)]
    return {each["state"] for each in told if digits(each["from"]) == of.phone}


def test_a_message_is_seen(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    message = written(wagate, owner, "see me")
    assert shown(wagate, message)["status"] == "delivered"
    assert sdk.send_seen(session=owner.session, to=f"+{PEER}", message_id=message) is None
    wagate.until(lambda: shown(wagate, message)["status"] == "read")
    refused(404, lambda: sdk.send_seen(session="ses_none", to=f"+{PEER}", message_id=message))


def test_a_reaction_is_given_changed_and_taken_back(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    message = written(wagate, owner, "react to me")
    for emoji in ("👍", "❤️", ""):
        told = sdk.send_reaction(session=owner.session, message_id=message, reaction=emoji)
        assert told["success"] is True
        assert [each["emoji"] for each in shown(wagate, message)["reactions"]] == [emoji] * bool(emoji)
    told = sdk.send_reaction(session=owner.session, message_id="3EB0NONE", reaction="👍")
    assert told["success"] is False
    assert told["error"]


def test_a_message_is_found_by_its_id_alone(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    sent = sdk.send(session=owner.session, to=PEER, text="find me")
    message = written(wagate, owner, "find me too")
    for wanted, text in ((sent["id"], "find me"), (wire_id(sent["id"]), "find me"), (message, "find me too")):
        told = sdk.get_message(wanted)
        assert told["success"] is True, told
        assert text in (told["data"].get("content"), told["data"].get("body"))
    assert sdk.get_message("3EB0NONE")["success"] is False


def test_a_message_of_two_sessions_is_ambiguous(
    sdk: Sdk, only: Sdk, wagate: SandboxGateway, owner: Account, guest: Account
) -> None:
    sent = sdk.send(session=owner.session, to=guest.phone, text="in both")
    message = wire_id(sent["id"])
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{guest.session}/messages/{message}").status == 200)
    told = sdk.get_message(message)
    assert told["success"] is False
    assert "status code" not in told["error"]
    assert only.get_message(message)["success"] is True


def test_typed_sends_need_a_key_with_one_session(sdk: Sdk, owner: Account, guest: Account) -> None:
    refused(400, lambda: sdk.send_text(content="", to=PEER, text="from whom?"))


def test_typed_texts_are_sent(sdk: Sdk, only: Sdk, wagate: SandboxGateway) -> None:
    assert sdk.send_text
    sent = only.send_text(content="text", to=f"+{PEER}", text="typed text")
    assert shown(wagate, sent["id"])["content"]["text"] == sent["content"] == "typed text"
    assert sent["type"] == "text"
    assert sdk.send_link_custom_preview
    preview = {"$": "LinkPreviewRequest", "title": "A shop", "description": "Open",
               "thumbnail_url": PREVIEW["thumbnailUrl"]}  # fmt: skip
    sent = only.send_link_custom_preview(content="text", to=f"+{PEER}", text="https://example.com/", preview=preview)
    content = shown(wagate, sent["id"])["content"]
    assert (content["text"], content["preview"]) == ("https://example.com/", PREVIEW)


@pytest.mark.parametrize("how", ["url", "data"])
def test_typed_files_are_sent(sdk: Sdk, only: Sdk, wagate: SandboxGateway, files: str, how: str) -> None:
    def source(name: str, body: bytes) -> dict[str, str]:
        return {"url": f"{files}/{name}"} if how == "url" else {"data": b64(body)}

    to = {"content": "media", "to": f"+{PEER}"}
    assert sdk.send_image
    image = only.send_image(**to, **source("a.jpg", JPEG), caption="look")
    content = shown(wagate, image["id"])["content"]
    assert (content["type"], content["media"]["mimetype"], content["media"]["caption"]) == (
        "image", "image/jpeg", "look",
    )  # fmt: skip
    assert sdk.send_file
    file = only.send_file(**to, **source("a.pdf", PDF), file_name="offer.pdf", mime_type="application/pdf")
    content = shown(wagate, file["id"])["content"]
    assert (content["type"], content["media"]["filename"]) == ("document", "offer.pdf")
    assert sdk.send_voice
    voice = only.send_voice(**to, **source("a.ogg", OPUS_VOICE), duration=3)
    content = shown(wagate, voice["id"])["content"]
    assert (content["type"], content["media"]["voice"]) == ("audio", True)
    assert sdk.send_video
    video = only.send_video(**to, **source("a.mp4", MP4), caption="watch")
    content = shown(wagate, video["id"])["content"]
    assert (content["type"], content["media"]["caption"]) == ("video", "watch")
    assert [each["type"] for each in (image, file, voice, video)] == ["image", "document", "ptt", "video"]


@pytest.mark.parametrize("wrong", [{}, {"url": "{files}/a.jpg", "data": b64(JPEG)}, {"data": "no base64"}], ids=str)
def test_a_typed_file_comes_from_one_place(only: Sdk, files: str, wrong: dict[str, str]) -> None:
    wish = {name: value.replace("{files}", files) for name, value in wrong.items()}
    refused(400, lambda: only.send_image(content="x", to=PEER, **wish))
