"""Channels over HTTP: made, followed, muted, left; what was said there stays readable."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account, events, exactly, invalid, key, refused, text
from wagate.testing import SandboxGateway

NOWHERE = "120363999999999999@newsletter"


@pytest.fixture(scope="module")
def owner(wagate: SandboxGateway) -> str:
    return f"/sessions/{Account(wagate, '9990000001').session}"


@pytest.fixture(scope="module")
def reader(wagate: SandboxGateway) -> str:
    return f"/sessions/{Account(wagate, '9990000002').session}"


@pytest.fixture(scope="module")
def channel(wagate: SandboxGateway, owner: str) -> str:
    answer = wagate.ask("POST", f"{owner}/channels", {"name": "News", "description": "of today"})
    assert answer.status == 201
    exactly(answer.body, "jid")
    jid: str = answer.body["jid"]
    assert jid.endswith("@newsletter")
    return jid


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"), ({"name": ""}, "name"), ({"name": "x" * 101}, "name"), ({"name": "a\u0000"}, "name"),
        ({"name": "x", "description": "x" * 2049}, "description"), ({"name": "x", "picture": "x"}, "picture"),
    ],
)  # fmt: skip
def test_a_channel_of_nonsense_is_400(wagate: SandboxGateway, owner: str, body: Any, path: str) -> None:
    invalid(wagate.ask("POST", f"{owner}/channels", body), path)


def test_live_questions_are_refused_in_order(wagate: SandboxGateway) -> None:
    stopped = f"/sessions/{wagate.post('/sessions')['id']}/channels"
    for below in ("", "/x:follow", "/x:unfollow", "/x:mute"):
        refused(wagate.ask("POST", stopped + below, b"{", key=key(wagate, "read")), 403, "forbidden")
        refused(wagate.ask("POST", "/sessions/ses_no/channels" + below, b"{"), 404, "not_found")
        refused(wagate.ask("POST", stopped + below, {"x": 1}), 400, "validation_error")
        body = {"name": "x"} if not below else None
        refused(wagate.ask("POST", stopped + below, body), 501, "not_implemented")


def test_what_is_no_channel_is_not_found(wagate: SandboxGateway, reader: str) -> None:
    for jid in ("x", "9990000001", "120363000000000001@g.us", NOWHERE):
        for verb in ("follow", "unfollow", "mute"):
            refused(wagate.ask("POST", f"{reader}/channels/{jid}:{verb}"), 404, "not_found")
        refused(wagate.ask("GET", f"{reader}/channels/{jid}/messages"), 404, "not_found")


def test_a_channel_that_is_not_followed_has_no_messages_here(wagate: SandboxGateway, reader: str, channel: str) -> None:
    for capability in ("send", "read"):
        one = key(wagate, capability)  # type: ignore[arg-type]
        refused(wagate.ask("GET", f"{reader}/channels/{channel}/messages", key=one), 404, "not_found")
    refused(wagate.ask("GET", f"{reader}/channels/{channel}/messages", key=key(wagate, "manage")), 403)
    refused(wagate.ask("POST", f"{reader}/channels/{channel}:mute"), 422, "refused")


def test_followers_read_what_is_said(wagate: SandboxGateway, owner: str, reader: str, channel: str) -> None:
    for _ in range(2):
        assert wagate.ask("POST", f"{reader}/channels/{channel}:follow").status == 204
    where = f"{reader}/channels/{channel}/messages"
    assert wagate.get(where) == {"data": [], "nextCursor": ""}
    said = [wagate.post(f"{owner}/messages", text(channel, str(i)))["waMessageId"] for i in range(3)]
    wagate.until(lambda: len(wagate.get(where)["data"]) == 3)
    assert [each["waMessageId"] for each in wagate.get(where)["data"]] == said[::-1]
    first = wagate.get(f"{where}?limit=2")
    rest = wagate.get(f"{where}?limit=2&cursor={first['nextCursor']}")
    assert [each["waMessageId"] for each in first["data"] + rest["data"]] == said[::-1]
    chat = wagate.get(f"{reader}/chats/{channel}")
    assert (chat["type"], chat["name"]) == ("newsletter", "News")
    for body, muted in (({}, True), ({"mute": True}, True), ({"mute": False}, False), (None, True)):
        assert wagate.ask("POST", f"{reader}/channels/{channel}:mute", body).status == 204
        assert ("mutedUntil" in wagate.get(f"{reader}/chats/{channel}")) is muted
    for _ in range(2):
        assert wagate.ask("POST", f"{reader}/channels/{channel}:unfollow").status == 204
    assert len(wagate.get(where)["data"]) == 3
    told = [e["payload"] for e in events(wagate, "newsletter.update", session=reader.rpartition("/")[2])]
    for each in told:
        exactly(each, "jid action")
        assert each["jid"] == channel
    assert [each["action"] for each in told] == ["join", "mute", "mute", "mute", "leave"]
