"""Messages that people of the sandbox write and change, over HTTP."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.files import JPEG, OPUS_VOICE, PNG, WEBP
from tests.support.gateways import invalid, key, refused, text
from wagate.engines.sandbox.people import lid_of
from wagate.testing import SandboxGateway

ME, BEN = "9990000001", "9990000002"
PICTURE = base64.b64encode(JPEG).decode()


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    return "/sessions/" + str(wagate.linked(ME)["id"])


def from_ben(type: str, to: str = ME, **more: Any) -> dict[str, Any]:
    return {"type": type, "from": BEN, "to": to, **more}


def shown(wagate: SandboxGateway, mid: str) -> Any:
    return wagate.get(f"/sandbox/messages?mid={mid}")["data"]


def said(wagate: SandboxGateway, body: Any) -> str:
    mid: str = wagate.post("/sandbox/messages", body)["waMessageId"]
    return mid


def blobs(wagate: SandboxGateway) -> set[str]:
    return {path.name for path in wagate.running.gw.blobs._root.rglob("*_*")}  # type: ignore[attr-defined]


# Refused


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", from_ben("image"), "media"),
        ("", from_ben("image", media={}), "media"),
        ("", from_ben("image", media={"data": PICTURE, "url": "https://example.com/x.jpg"}), "media"),
        ("", from_ben("image", media={"data": "%%%"}), "media.data"),
        ("", from_ben("image", media={"data": ""}), "media.data"),
        ("", from_ben("image", media={"id": "med_unknown"}), "media.id"),
        ("", from_ben("image", media={"url": "http://127.0.0.1/x.jpg"}), "media.url"),
        ("", from_ben("sticker", media={"data": PICTURE}), "media"),
        ("", from_ben("audio", media={"data": PICTURE, "voice": True}), "media"),
        ("/X:react", {"from": BEN}, "emoji"),
        ("/X:react", {"from": "group@g.us", "emoji": "x"}, "from"),
        ("/X:edit", {"from": BEN, "text": ""}, "text"),
        ("/X:edit", {"from": BEN, "text": "a\u0000"}, "text"),
        ("/X:revoke", {}, "from"),
        ("/X:vote", {"from": BEN}, "options"),
        ("/X:vote", {"from": BEN, "options": [str(place) for place in range(13)]}, "options"),
    ],
)
def test_nonsense_is_refused(wagate: SandboxGateway, here: str, path: str, body: Any, field: str) -> None:
    before = blobs(wagate)
    invalid(wagate.ask("POST", f"/sandbox/messages{path}", body), field)
    assert blobs(wagate) == before


def test_people_send_no_album(wagate: SandboxGateway, here: str) -> None:
    refused(wagate.ask("POST", "/sandbox/messages", from_ben("album", medias=[{"data": PICTURE}] * 2)), 400)


@pytest.mark.parametrize("verb", ["react", "edit", "revoke", "vote"])
def test_a_message_that_the_person_never_had_is_404(wagate: SandboxGateway, here: str, verb: str) -> None:
    mine = said(wagate, from_ben("text", text="x"))
    more = {"react": {"emoji": "x"}, "edit": {"text": "x"}, "vote": {"options": ["x"]}}.get(verb, {})
    for person, mid in ((BEN, "NOTHING"), ("9990000003", mine)):
        answer = wagate.ask("POST", f"/sandbox/messages/{mid}:{verb}", {"from": person, **more})
        refused(answer, 404, "not_found")


def test_what_the_network_refuses_is_422(wagate: SandboxGateway, here: str) -> None:
    poll = wagate.post(f"{here}/messages", {"type": "poll", "to": BEN, "name": "?", "options": ["a", "b"]})
    mid = poll["waMessageId"]
    for verb, more in (("vote", {"options": ["c"]}), ("vote", {"options": ["a", "b"]}), ("edit", {"text": "x"}),
                       ("revoke", {})):  # fmt: skip
        answer = wagate.ask("POST", f"/sandbox/messages/{mid}:{verb}", {"from": BEN, **more})
        assert refused(answer, 422, "refused")["reason"] == "not_allowed"
    assert wagate.ask("POST", f"/sandbox/messages/{mid}:vote", {"from": BEN, "options": ["a"]}).status == 204
    (copy,) = shown(wagate, mid)
    assert copy["votes"] == [{"senderJid": f"{BEN}@s.whatsapp.net", "options": ["a"]}]


def test_a_key_for_one_session_sends_no_file(wagate: SandboxGateway, here: str) -> None:
    limited = key(wagate, sessions=[here.rpartition("/")[2]])
    before = blobs(wagate)
    answer = wagate.ask("POST", "/sandbox/messages", from_ben("image", media={"data": PICTURE}), key=limited)
    refused(answer, 403, "forbidden")
    assert blobs(wagate) == before


# Done


@pytest.mark.parametrize(
    ("type", "data", "more", "mimetype"),
    [
        ("image", PNG, {"caption": "look", "filename": "a.png"}, "image/png"),
        ("audio", OPUS_VOICE, {"voice": True}, "audio/ogg; codecs=opus"),
        ("document", JPEG, {"filename": "a.bin"}, "image/jpeg"),
        ("sticker", WEBP, {}, "image/webp"),
    ],
)
def test_a_file_arrives(
    wagate: SandboxGateway, here: str, type: str, data: bytes, more: dict[str, Any], mimetype: str
) -> None:
    before = blobs(wagate)
    mid = said(wagate, from_ben(type, media={"data": base64.b64encode(data).decode(), **more}))
    (copy,) = shown(wagate, mid)
    media = copy["content"]["media"]
    assert (copy["type"], media["mimetype"], media["size"]) == (type, mimetype, len(data))
    assert "id" not in media
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{mid}").status == 200)
    stored = wagate.get(f"{here}/messages/{mid}")
    assert (stored["hasMedia"], stored["media"]["mimetype"]) == (True, mimetype)
    # What was taken in for the network does not stay beside the network's own copy.
    assert blobs(wagate) == before


def test_an_upload_is_said_more_than_once(wagate: SandboxGateway, here: str) -> None:
    upload = wagate.ask("POST", "/media", JPEG, headers={"content-type": "image/jpeg"})
    assert upload.status == 201
    for _ in range(2):
        assert shown(wagate, said(wagate, from_ben("image", media={"id": upload.body["id"]})))


def test_changes_show_on_the_message(wagate: SandboxGateway, here: str) -> None:
    mid = said(wagate, from_ben("text", text="one"))
    for verb, body in (("edit", {"from": BEN, "text": "two"}), ("react", {"from": ME, "emoji": "👍"})):
        assert wagate.ask("POST", f"/sandbox/messages/{mid}:{verb}", body).status == 204
    (copy,) = shown(wagate, mid)
    assert (copy["content"]["text"], copy["edited"], copy["revoked"]) == ("two", True, False)
    assert copy["reactions"] == [{"emoji": "👍", "senderJid": f"{ME}@s.whatsapp.net"}]
    assert wagate.ask("POST", f"/sandbox/messages/{mid}:react", {"from": ME, "emoji": ""}).status == 204
    assert wagate.ask("POST", f"/sandbox/messages/{mid}:revoke", {"from": BEN}).status == 204
    (copy,) = shown(wagate, mid)
    assert (copy["revoked"], copy["reactions"], copy["content"]) == (True, [], {"type": "gone"})


def test_who_writes_as_a_lid_is_known_by_it_only(wagate: SandboxGateway, here: str) -> None:
    lid = lid_of("9990000044")
    mid = said(wagate, text(ME, **{"from": lid}))
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{mid}").status == 200)
    stored = wagate.get(f"{here}/messages/{mid}")
    assert (stored["chatJid"], stored["senderLid"]) == (lid, lid)
    (copy,) = shown(wagate, mid)
    assert copy["from"] == "9990000044@s.whatsapp.net"


def test_what_the_account_types_on_its_phone_is_from_it(wagate: SandboxGateway, here: str) -> None:
    mid = said(wagate, {"type": "image", "from": ME, "to": BEN, "media": {"data": PICTURE}})
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{mid}").status == 200)
    stored = wagate.get(f"{here}/messages/{mid}")
    assert (stored["fromMe"], stored["type"], stored["chatJid"]) == (True, "image", f"{BEN}@s.whatsapp.net")


def test_a_voice_message_is_played(wagate: SandboxGateway, here: str) -> None:
    voice = base64.b64encode(OPUS_VOICE).decode()
    mid = said(wagate, from_ben("audio", media={"data": voice, "voice": True}))
    assert wagate.ask("POST", f"/sandbox/messages/{mid}:play", {"from": ME}).status == 204
    assert [copy["status"] for copy in shown(wagate, mid)] == ["played"]
