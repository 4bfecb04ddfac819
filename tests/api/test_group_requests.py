"""Requests to join, invites looked at, and pictures of groups, over HTTP."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.files import JPEG, PNG
from tests.support.gateways import Account, events, exactly, invalid, key, refused
from wagate.testing import SandboxGateway

NOWHERE = "120363999999999999@g.us"
PICTURE = {"media": {"data": base64.b64encode(JPEG).decode()}}
MEMBERS = {"participants": ["9990000010"]}
LIVE: list[tuple[str, str, Any]] = [
    ("POST", "/members:reject", MEMBERS),
    ("GET", "/members:pending", None),
    ("PUT", "/picture", PICTURE),
    ("DELETE", "/picture", None),
]


def request(wagate: SandboxGateway, group: str, phone: str) -> None:
    assert wagate.ask("POST", f"/sandbox/groups/{group}:request", {"phone": phone}).status == 204


@pytest.mark.parametrize(("method", "below", "body"), LIVE)
def test_live_questions_are_refused_in_order(
    wagate: SandboxGateway, owner: Account, method: str, below: str, body: Any
) -> None:
    stopped = f"/sessions/{wagate.post('/sessions')['id']}/groups/x"
    lacking = key(wagate, "send" if method == "GET" else "read")
    refused(wagate.ask(method, stopped + below, b"{", key=lacking), 403, "forbidden")
    refused(wagate.ask(method, f"/sessions/ses_no/groups/x{below}", b"{"), 404, "not_found")
    if body is not None:
        refused(wagate.ask(method, stopped + below, {"wrong": 1}), 400, "validation_error")
    refused(wagate.ask(method, stopped + below, body), 501, "not_implemented")
    refused(owner.ask(method, f"/x{below}", body), 404, "not_found")
    assert refused(owner.ask(method, f"/{NOWHERE}{below}", body), 404)["reason"] == "not_a_member"


def test_only_admins_may_see_and_turn_away(wagate: SandboxGateway, guest: Account, group: str) -> None:
    request(wagate, group, "9990000010")
    refused(guest.ask("GET", f"/{group}/members:pending"), 403, "forbidden")
    refused(guest.ask("POST", f"/{group}/members:reject", MEMBERS), 403, "forbidden")


def test_who_asks_is_listed_and_turned_away(wagate: SandboxGateway, owner: Account, group: str) -> None:
    assert owner.get(f"/{group}/members:pending") == {"data": [], "nextCursor": ""}
    refused(owner.ask("POST", f"/{group}/members:reject", MEMBERS), 404, "not_found")
    for phone in ("9990000010", "9990000011", "9990000012"):
        request(wagate, group, phone)
    whole = owner.get(f"/{group}/members:pending")
    for each in whole["data"]:
        exactly(each, "jid requestedAt", "lid")
    assert [each["jid"] for each in whole["data"]] == [f"99900000{i}@s.whatsapp.net" for i in (10, 11, 12)]
    first = owner.get(f"/{group}/members:pending?limit=2")
    rest = owner.get(f"/{group}/members:pending?limit=2&cursor={first['nextCursor']}")
    assert (first["data"] + rest["data"], rest["nextCursor"]) == (whole["data"], "")
    answer = owner.ask("POST", f"/{group}/members:reject", {"participants": ["+999 000 0010", "9990000011"]})
    assert (answer.status, answer.body) == (204, b"")
    assert [each["jid"] for each in owner.get(f"/{group}/members:pending")["data"]] == ["9990000012@s.whatsapp.net"]
    assert "9990000010" not in owner.roles(group)


def test_joining_a_group_that_approves_joins_waits(wagate: SandboxGateway, owner: Account, guest: Account) -> None:
    made = wagate.post(
        "/sandbox/groups",
        {"owner": owner.phone, "subject": "club", "participants": ["9990000003"], "approveJoins": True},
    )
    group = owner.knows(made["groupJid"])
    answer = guest.ask("POST", ":join", {"invite": made["invite"]})
    assert (answer.status, answer.body) == (200, {"groupJid": group, "pending": True})
    refused(guest.ask("GET", f"/{group}"), 404, "not_found")
    assert [each["jid"] for each in owner.get(f"/{group}/members:pending")["data"]] == [guest.jid]
    assert owner.ask("POST", f"/{group}/members:approve", {"participants": [guest.phone]}).status == 204
    guest.knows(group)


def test_an_invite_is_looked_at_without_joining(wagate: SandboxGateway, owner: Account, group: str) -> None:
    link = owner.get(f"/{group}/invite")["invite"]
    stranger = Account(wagate, "9990000080")
    for invite in (link, link.rpartition("/")[2]):
        seen = stranger.get(f":preview?invite={invite}")
        exactly(seen, "groupJid subject", "participantCount description ownerJid createdAtWa")
        assert (seen["groupJid"], seen["subject"], seen["participantCount"]) == (group, "group", 3)
    refused(stranger.ask("GET", f"/{group}"), 404, "not_found")
    invalid(stranger.ask("GET", ":preview"), "invite")
    for wrong in ("", "x", "https://example.com/abcdefghijkl", "abcdefghijklmnop"):
        invalid(stranger.ask("GET", f":preview?invite={wrong}"), "invite")
    owner.ask("DELETE", f"/{group}/invite")
    invalid(stranger.ask("GET", f":preview?invite={link}"), "invite")
    stopped = f"/sessions/{wagate.post('/sessions')['id']}/groups:preview"
    invalid(wagate.ask("GET", f"{stopped}?invite=x"), "invite")
    refused(wagate.ask("GET", f"{stopped}?invite=abcdefghijklmnop"), 501)


@pytest.mark.parametrize(
    "media",
    [
        {}, {"data": "!"}, {"data": ""}, {"data": base64.b64encode(PNG).decode()}, {"id": "med_no"},
        {"url": "http://127.0.0.1:9/x.jpg"}, {"data": PICTURE["media"]["data"], "url": "https://example.com/x.jpg"},
        {"data": PICTURE["media"]["data"], "caption": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_picture_is_400_and_changes_nothing(owner: Account, group: str, media: Any) -> None:
    refused(owner.ask("PUT", f"/{group}/picture", {"media": media}), 400, "validation_error")
    stopped = f"/sessions/{owner.wagate.post('/sessions')['id']}/groups/{group}/picture"
    # Whoever is not connected asks no URL what it leads to.
    early = 501 if list(media) == ["url"] else 400
    refused(owner.wagate.ask("PUT", stopped, {"media": media}), early)
    refused(owner.wagate.ask("GET", f"/sessions/{owner.session}/contacts/{group}/picture"), 404, "not_found")


def test_a_picture_is_set_told_and_taken_away(owner: Account, guest: Account, group: str) -> None:
    wagate = owner.wagate
    answer = owner.ask("PUT", f"/{group}/picture", PICTURE)
    assert answer.status == 200
    exactly(answer.body, "id")
    assert wagate.get(f"/sessions/{guest.session}/contacts/{group}/picture")["id"] == answer.body["id"]
    for _ in range(2):
        assert owner.ask("DELETE", f"/{group}/picture").status == 204
    refused(wagate.ask("GET", f"/sessions/{guest.session}/contacts/{group}/picture"), 404, "not_found")

    def told() -> Any:
        heard = [e["payload"] for e in events(wagate, "chat.update", session=guest.session)]
        pictures = [each for each in heard if each["chatJid"] == group and each["change"] == "picture"]
        return pictures if len(pictures) == 2 else None

    first, second = wagate.until(told)
    assert first["pictureId"] == answer.body["id"]
    assert second["removed"] is True
    # Our own copy of the bytes was the network's to have, and goes.
    left = wagate.run(wagate.running.gw.db.all("SELECT id FROM media WHERE gone_at IS NULL AND expires_at > 0"))
    assert left == []
