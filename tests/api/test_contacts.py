"""Contacts and presence over HTTP: who is found as what, what WhatsApp says of them, and who types."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account, events, exactly, invalid, key, organization, refused, text
from wagate.testing import SandboxGateway

CONTACT = "lid source"
NOBODY = "9993000001"


@pytest.fixture(scope="module")
def mine(wagate: SandboxGateway) -> Account:
    return Account(wagate, "9990000001")


@pytest.fixture(scope="module")
def here(mine: Account) -> str:
    return f"/sessions/{mine.session}"


@pytest.fixture(scope="module")
def stopped(wagate: SandboxGateway) -> str:
    session = wagate.linked("9990000077")["id"]
    wagate.post(f"/sessions/{session}:stop")
    return f"/sessions/{session}"


def ask(wagate: SandboxGateway, method: str, path: str, body: Any = None) -> Any:
    answer = wagate.ask(method, path, body)
    assert 200 <= answer.status < 300, (answer.status, answer.body)
    return answer.body


LIVE = [
    ("GET", "/contacts/check?phone=9990000002", None),
    ("GET", "/contacts/9990000002/about", None),
    ("GET", "/contacts/9990000002/picture", None),
    ("POST", "/contacts/9990000002/block", None),
    ("POST", "/contacts/9990000002/unblock", None),
    ("GET", "/chats/9990000002/presence", None),
    ("PUT", "/chats/9990000002/presence", {"state": "composing"}),
    ("PUT", "/presence", {"state": "online"}),
]


@pytest.mark.parametrize(("method", "path", "body"), LIVE)
def test_live_questions_are_refused_in_order(
    wagate: SandboxGateway, stopped: str, method: str, path: str, body: Any
) -> None:
    lacking = key(wagate, "read" if method != "GET" else "send")
    strange = key(wagate, owner=organization(wagate, f"{method} {path}"))
    bad = {"state": "dancing"} if body else None
    refused(wagate.ask(method, stopped + path, bad, key=lacking), 403, "forbidden")
    refused(wagate.ask(method, stopped + path, bad, key=strange), 404, "not_found")
    if body:
        invalid(wagate.ask(method, stopped + path, bad), "state")
    wrong = path.replace("9990000002", "12")
    if wrong != path:
        refused(wagate.ask(method, stopped + wrong, body), 400, "validation_error")
    assert refused(wagate.ask(method, stopped + path, body), 501)["reason"] == "session_not_connected"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("source=friend", "source"), ("group=x", "group"), ("group=9990000002", "group"), ("q=" + "x" * 101, "q"),
        ("limit=x", "limit"), ("cursor=x", "cursor"),
    ],
)  # fmt: skip
def test_a_filter_of_nonsense_is_400(wagate: SandboxGateway, here: str, query: str, path: str) -> None:
    invalid(wagate.ask("GET", f"{here}/contacts?{query}"), path)


def test_nobody_is_nobody(wagate: SandboxGateway, here: str) -> None:
    refused(wagate.ask("GET", f"{here}/contacts/9990000999"), 404, "not_found")
    invalid(wagate.ask("GET", f"{here}/contacts/x"), "lid")
    invalid(wagate.ask("GET", f"{here}/contacts/check"), "phone")
    invalid(wagate.ask("GET", f"{here}/contacts/check?phone=x"), "phone")
    invalid(wagate.ask("GET", f"{here}/contacts/120363000000000001@g.us/about"), "jid")
    for below in ("about", "picture"):
        refused(wagate.ask("GET", f"{here}/contacts/{NOBODY}/{below}"), 404, "not_found")


def test_people_of_chats_and_groups_are_contacts(wagate: SandboxGateway, mine: Account, here: str) -> None:
    wagate.post(f"{here}/messages", text("9990000021"))
    group = mine.made("9990000021", "9990000022")
    both = wagate.get(f"{here}/contacts")["data"]
    for each in both:
        exactly(each, CONTACT, "name phoneNumber businessName")
        assert each["lid"].endswith("@lid")

    def numbers(query: str) -> list[tuple[str, str]]:
        found = wagate.get(f"{here}/contacts?{query}")["data"]
        return [(each["phoneNumber"][-2:], each["source"]) for each in found if each["phoneNumber"] != mine.phone]

    assert ("21", "dm") in numbers("source=dm")
    assert "22" not in {number for number, _ in numbers("source=dm")}
    assert set(numbers(f"group={group}")) == {("21", "group"), ("22", "group")}
    assert numbers(f"group={group}&source=dm") == [("21", "dm")]
    assert numbers("q=%2B999%200000-022") == [("22", "group")]
    assert numbers("q=SANDBOX%200000022") == [("22", "group")]
    # Pages are stable and hold everybody once.
    seen, cursor = [], ""
    while True:
        page = wagate.get(f"{here}/contacts?limit=1" + (f"&cursor={cursor}" if cursor else ""))
        seen += page["data"]
        if not (cursor := page["nextCursor"]):
            break
    assert seen == wagate.get(f"{here}/contacts")["data"]


def test_a_contact_is_found_by_either_address(wagate: SandboxGateway, mine: Account, here: str) -> None:
    group = mine.made("9990000023", name="walks")
    found = wagate.get(f"{here}/contacts/9990000023")
    exactly(found, "dm groups identity")
    exactly(found["identity"], "id lid firstSeenAt updatedAt", "name businessName phoneJid phoneNumber")
    ((place),) = found["groups"]
    exactly(place, "jid role lastSeen", "name tag")
    assert (found["dm"], place["jid"], place["name"], place["role"]) == (False, group, "walks", "member")
    identity = found["identity"]
    for other in (identity["lid"], identity["phoneJid"], "%2B9990000023", "9990000023@c.us"):
        assert wagate.get(f"{here}/contacts/{other}") == found
    wagate.post(f"{here}/messages", text("9990000023"))
    assert wagate.get(f"{here}/contacts/{identity['lid']}")["dm"] is True


def test_a_number_is_checked(wagate: SandboxGateway, here: str) -> None:
    found = wagate.get(f"{here}/contacts/check?phone=%2B999%20000%200024")
    exactly(found, "query isOnWhatsApp jid", "lid")
    assert (found["query"], found["isOnWhatsApp"]) == ("+999 000 0024", True)
    assert found["jid"] == "9990000024@s.whatsapp.net"
    assert wagate.get(f"{here}/contacts/check?phone={NOBODY}") == {"query": NOBODY, "isOnWhatsApp": False}


def test_what_somebody_says_of_themselves(wagate: SandboxGateway, here: str) -> None:
    assert wagate.get(f"{here}/contacts/9990000025/about") == {"about": ""}
    ask(wagate, "PATCH", "/sandbox/people/9990000025", {"about": "busy"})
    assert wagate.get(f"{here}/contacts/9990000025/about") == {"about": "busy"}
    ask(wagate, "PATCH", "/sandbox/people/9990000025", {"blocked": True})
    assert wagate.get(f"{here}/contacts/9990000025/about") == {"about": ""}


def test_blocking_is_idempotent_and_keeps_words_away(wagate: SandboxGateway, mine: Account, here: str) -> None:
    for _ in range(2):
        assert wagate.ask("POST", f"{here}/contacts/9990000026/block").status == 204
    wagate.post("/sandbox/messages", text(mine.phone, "unheard", **{"from": "9990000026"}))
    for _ in range(2):
        assert wagate.ask("POST", f"{here}/contacts/9990000026/unblock").status == 204
    said = wagate.post("/sandbox/messages", text(mine.phone, "heard", **{"from": "9990000026"}))["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{said}").status == 200)
    words = wagate.get(f"{here}/chats/9990000026/messages")["data"]
    assert [each["body"] for each in words] == ["heard"]


def test_presence_is_asked_and_then_told(wagate: SandboxGateway, here: str) -> None:
    somebody = "9990000027"
    found = wagate.get(f"{here}/chats/{somebody}/presence")
    exactly(found, "from state", "lastSeen chatJid media unavailable")
    assert (found["from"], found["state"]) == (f"{somebody}@s.whatsapp.net", "unknown")
    for change, state in (
        ({"online": True}, "available"), ({"typing": True}, "composing"),
        ({"typing": False}, "paused"), ({"online": False}, "unavailable"),
    ):  # fmt: skip
        ask(wagate, "PATCH", f"/sandbox/people/{somebody}", change)

        def told(state: str = state) -> Any:
            heard = [e["payload"] for e in events(wagate, "presence.update")]
            return [each for each in heard if each["state"] == state and each["from"].startswith(somebody)]

        for each in wagate.until(told):
            exactly(each, "from state", "chatJid media unavailable lastSeen")
    assert told()[0]["unavailable"] is True
    assert wagate.get(f"{here}/chats/{somebody}/presence")["state"] == "unavailable"


def test_the_account_shows_itself_and_types(wagate: SandboxGateway, mine: Account, here: str) -> None:
    other = Account(wagate, "9990000028")
    there = f"/sessions/{other.session}/chats/{mine.phone}/presence"
    wagate.get(there)
    for state, seen in (("online", "available"), ("offline", "unavailable")):
        answer = wagate.ask("PUT", f"{here}/presence", {"state": state})
        assert (answer.status, answer.body) == (204, b"")
        wagate.until(lambda seen=seen: wagate.get(there)["state"] == seen)  # type: ignore[misc]
    for state, seen in (("composing", "composing"), ("recording", "composing"), ("paused", "paused")):
        answer = wagate.ask("PUT", f"{here}/chats/{other.phone}/presence", {"state": state})
        assert (answer.status, answer.body) == (204, b"")
        wagate.until(lambda seen=seen: seen in [  # type: ignore[misc]
            each["payload"]["state"] for each in events(wagate, "presence.update", session=other.session)])  # fmt: skip
    media = [e["payload"].get("media") for e in events(wagate, "presence.update", session=other.session)]
    assert {"text", "audio"} <= set(media)
