"""The npm package: its typed sends, which carry a session here, and the routes on which the docs contradict it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialect import Dialect
from tests.support.files import JPEG, MP4, OPUS_VOICE, PDF
from tests.support.gateways import Account
from tests.support.media import b64
from tests.support.sdk import Program, Sdk, SdkError, digits, wire_id
from wagate.testing import SandboxGateway

PEER = "9990000003"
INVITE = "https://chat.whatsapp.com/"
PREVIEW = {"title": "A shop", "description": "Open", "thumbnailUrl": "https://example.com/t.jpg"}


@pytest.fixture(scope="module")
def js(javascript_program: Program, wagate: SandboxGateway) -> Sdk:
    """The npm package's client with the demo key."""
    return Sdk(javascript_program, f"{wagate.url}/wasend", wagate.key)


@pytest.fixture(scope="module")
def quoted(wagate: SandboxGateway, owner: Account) -> str:
    """A message that can be answered."""
    said = {"from": PEER, "to": owner.phone, "type": "text", "text": "question"}
    message: str = wagate.post("/sandbox/messages", said)["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{owner.session}/messages/{message}").status == 200)
    return message


def content(wagate: SandboxGateway, sent: dict[str, Any]) -> dict[str, Any]:
    (copy,) = wagate.get(f"/sandbox/messages?mid={wire_id(sent['id'])}")["data"]
    found: dict[str, Any] = copy["content"]
    return found


TYPED = [
    ("sendText", {"text": "answer"}, "text", {}),
    ("sendImage", {"url": "{files}/a.jpg", "caption": "look"}, "image", {"caption": "look"}),
    ("sendImage", {"data": b64(JPEG)}, "image", {"mimetype": "image/jpeg"}),
    ("sendFile", {"url": "{files}/a.pdf", "fileName": "a ü.pdf", "mimeType": "application/pdf"}, "document",
     {"filename": "a ü.pdf", "mimetype": "application/pdf"}),
    ("sendFile", {"data": b64(PDF), "fileName": "b.pdf", "mimeType": "application/pdf"}, "document",
     {"filename": "b.pdf"}),
    ("sendVoice", {"url": "{files}/a.ogg", "duration": 2}, "audio", {"voice": True}),
    ("sendVoice", {"data": b64(OPUS_VOICE)}, "audio", {"voice": True}),
    ("sendVideo", {"url": "{files}/a.mp4", "caption": "watch"}, "video", {"caption": "watch"}),
    ("sendVideo", {"data": b64(MP4)}, "video", {"mimetype": "video/mp4"}),
]  # fmt: skip


@pytest.mark.parametrize("answering", [False, True], ids=["alone", "answering"])
@pytest.mark.parametrize(("method", "wish", "kind", "media"), TYPED)
def test_typed_sends_carry_a_session_and_a_quote(
    js: Sdk, wagate: SandboxGateway, owner: Account, quoted: str, files: str, method: str, wish: dict[str, Any],
    kind: str, media: dict[str, Any], answering: bool,
) -> None:  # fmt: skip
    given = {name: value.replace("{files}", files) if name == "url" else value for name, value in wish.items()}
    quote = {"replyTo": quoted} if answering else {}
    sent = getattr(js, method)({"session": owner.session, "to": f"+{PEER}", **given, **quote})
    shown = content(wagate, sent)
    assert shown["type"] == kind
    assert shown.get("text") == wish.get("text")
    assert {name: shown["media"].get(name) for name in media} == media if media else "media" not in shown
    assert shown.get("quote", {}).get("messageId") == (quoted if answering else None)


def test_a_quote_may_be_named_as_the_dialect_names_it(
    js: Sdk, wagate: SandboxGateway, owner: Account, quoted: str
) -> None:
    (listed,) = [
        each for each in js.getMessages(owner.session, f"{PEER}@c.us", {"limit": 50})["data"]
        if wire_id(each["id"]) == quoted
    ]  # fmt: skip
    sent = js.sendText({"session": owner.session, "to": PEER, "text": "answer", "replyTo": listed["id"]})
    assert content(wagate, sent)["quote"]["messageId"] == quoted


def test_a_link_with_a_preview_carries_a_session(js: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    wish = {"session": owner.session, "to": PEER, "text": "https://example.com/", "preview": PREVIEW}
    shown = content(wagate, js.sendLinkCustomPreview(wish))
    assert (shown["text"], shown["preview"]) == ("https://example.com/", PREVIEW)


def test_a_refusal_can_be_read(js: Sdk, owner: Account, guest: Account, group: str) -> None:
    for session, status in ((guest.session, 403), ("ses_none", 404)):
        with pytest.raises(SdkError) as refusal:
            js.revokeGroupInviteCode(session, group)
        assert (refusal.value.type, refusal.value.status) == ("AxiosError", status)
        assert refusal.value.body["success"] is False
        assert refusal.value.body["statusCode"] == status
        assert refusal.value.body["message"]
        assert refusal.value.body["error"]


def test_the_sdk_gets_the_bare_code_and_others_the_docs_object(
    js: Sdk, wagate: SandboxGateway, owner: Account, group: str
) -> None:
    path = f"/{owner.session}/groups/{group}/invite-code"
    code = js.getGroupInviteCode(owner.session, group)
    assert Dialect(wagate).get(path) == {"success": True, "inviteCode": code}
    new = js.revokeGroupInviteCode(owner.session, group)
    assert isinstance(new, str)
    assert new != code
    told = Dialect(wagate).post(f"{path}/revoke")
    assert told["success"] is True
    assert told["inviteCode"] not in (code, new)
    truth = wagate.get(f"/sandbox/groups/{group}")["invite"]
    assert truth == INVITE + told["inviteCode"] == INVITE + js.getGroupInviteCode(owner.session, group)


def test_the_sdk_gets_bare_groups_and_others_pages(js: Sdk, wagate: SandboxGateway) -> None:
    account = Account(wagate, "9990000081")
    for number in range(3):
        account.made(PEER, name=f"g{number}")
    path = f"/{account.session}/groups?sortBy=subject&limit=2"
    bare = js.getGroups(account.session, {"sortBy": "subject", "limit": 2})
    assert [each["name"] for each in bare] == ["g0", "g1"]
    told = Dialect(wagate).get(path)
    assert [each["jid"] for each in told["groups"]] == [each["jid"] for each in bare]
    assert told["pagination"] == {"total": 3, "limit": 2, "offset": 0, "hasMore": True}
    rest = Dialect(wagate).get(f"{path}&offset=2")
    assert len(rest["groups"]) == 1
    assert rest["pagination"] == {"total": 3, "limit": 2, "offset": 2, "hasMore": False}


def test_the_sdk_gets_bare_participants_and_others_an_object(
    js: Sdk, wagate: SandboxGateway, owner: Account, group: str
) -> None:
    bare = js.getGroupParticipants(owner.session, group)
    assert {digits(each["phoneNumber"]) for each in bare} == {owner.phone, "9990000002", PEER}
    told = Dialect(wagate).get(f"/{owner.session}/groups/{group}/participants")
    assert told["success"] is True
    assert len(told["participants"]) == 3


def test_the_sdk_gets_counts_as_strings_and_others_as_numbers(js: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    counted = js.getGroupsCount(owner.session)
    assert all(isinstance(count, str) for count in counted.get("byStatus", {}).values())
    told = Dialect(wagate).get(f"/{owner.session}/groups/count")
    assert told["total"] == counted["total"]
    assert all(isinstance(count, int) for count in told["byStatus"].values())
    assert sum(told["byStatus"].values()) >= told["total"]
