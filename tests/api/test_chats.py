"""Chats over HTTP: listed in order, found by either address, read back in stable pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, refused, text
from wagate.engines.sandbox.people import lid_of
from wagate.testing import SandboxGateway

CHAT = "id sessionId jid type unreadCount archived pinned"


@pytest.fixture
def here(wagate: SandboxGateway) -> Iterator[str]:
    """The path of a working session of its own."""
    session = wagate.linked()["id"]
    yield f"/sessions/{session}"
    wagate.ask("DELETE", f"/sessions/{session}")


def paged(wagate: SandboxGateway, path: str, limit: int, field: str) -> list[Any]:
    seen: list[Any] = []
    query = f"?limit={limit}"
    while query:
        page = wagate.get(path + query)
        assert len(page["data"]) <= limit
        assert page["data"] or not seen
        seen += [each[field] for each in page["data"]]
        query = f"?limit={limit}&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    return seen


def number(wagate: SandboxGateway, here: str) -> str:
    digits: str = wagate.get(here)["phoneNumber"]
    return digits


def say(wagate: SandboxGateway, here: str, sender: str, words: str = "hi") -> str:
    said = wagate.post("/sandbox/messages", text(number(wagate, here), words, **{"from": sender}))["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{said}").status == 200)
    return str(said)


def test_there_are_no_chats_without_a_message(wagate: SandboxGateway, here: str) -> None:
    assert wagate.get(f"{here}/chats") == {"data": [], "nextCursor": ""}
    wagate.post(f"{here}/groups", {"name": "silent", "participants": ["9990000002"]})
    assert wagate.get(f"{here}/chats")["data"] == []


@pytest.mark.parametrize("cid", ["9990000099", "9990000099@s.whatsapp.net", "123@lid", "120363000000000000@g.us"])
def test_an_unknown_chat_is_404(wagate: SandboxGateway, here: str, cid: str) -> None:
    for below in ("", "/messages"):
        answer = wagate.ask("GET", f"{here}/chats/{cid}{below}")
        if cid != "123@lid":
            refused(answer, 404, "not_found")
        assert answer.status in (400, 404)


@pytest.mark.parametrize("cid", ["x", "%20", "1", "9990000002@nowhere", "%2B"])
def test_what_is_no_chats_address_is_400(wagate: SandboxGateway, here: str, cid: str) -> None:
    invalid(wagate.ask("GET", f"{here}/chats/{cid}"), "cid")
    invalid(wagate.ask("GET", f"{here}/chats/{cid}/messages"), "cid")


def test_an_incoming_message_makes_an_unread_chat(wagate: SandboxGateway, here: str) -> None:
    say(wagate, here, "9990000061")
    say(wagate, here, "9990000061")
    (chat,) = wagate.get(f"{here}/chats")["data"]
    exactly(chat, CHAT + " lastMessageAt name", "aliases")
    assert (chat["jid"], chat["type"], chat["unreadCount"]) == ("9990000061@s.whatsapp.net", "dm", 2)
    assert (chat["archived"], chat["pinned"]) == (False, False)
    assert isinstance(chat["id"], int)
    sent = wagate.post(f"{here}/messages", text("9990000062"))
    newest = wagate.get(f"{here}/chats")["data"][0]
    exactly(newest, CHAT + " lastMessageAt", "aliases name")
    assert (newest["jid"], newest["unreadCount"]) == ("9990000062@s.whatsapp.net", 0)
    assert newest["lastMessageAt"] == sent["timestamp"]


def test_a_chat_is_found_by_either_address_raw_and_encoded(wagate: SandboxGateway, here: str) -> None:
    said = say(wagate, here, "9990000063")
    lid = wagate.get(f"{here}/messages/{said}")["senderLid"]
    (chat,) = wagate.get(f"{here}/chats")["data"]
    for cid in (
        "9990000063", "%2B999%20000-0063", "9990000063@s.whatsapp.net", "9990000063%40s.whatsapp.net",
        "9990000063@c.us", lid, lid.replace("@", "%40"),
    ):  # fmt: skip
        assert wagate.get(f"{here}/chats/{cid}") == chat
        assert [each["waMessageId"] for each in wagate.get(f"{here}/chats/{cid}/messages")["data"]] == [said]


def test_chats_page_from_newest_to_oldest(wagate: SandboxGateway, here: str) -> None:
    people = [f"99900001{i:02}" for i in range(9)]
    for person in people:
        wagate.post(f"{here}/messages", text(person))
    wanted = [f"{person}@s.whatsapp.net" for person in reversed(people)]
    for limit in (1, 2, 4, 9, 200):
        assert paged(wagate, f"{here}/chats", limit, "jid") == wanted
    first = wagate.get(f"{here}/chats?limit=4")
    # A chat that rises to the top while one pages is neither shown twice nor makes another vanish.
    wagate.post(f"{here}/messages", text(people[7]))
    rest = wagate.get(f"{here}/chats?limit=200&cursor={first['nextCursor']}")["data"]
    assert [each["jid"] for each in rest] == wanted[4:]
    invalid(wagate.ask("GET", f"{here}/chats?limit=many"), "limit")
    invalid(wagate.ask("GET", f"{here}/chats?cursor=forged"), "cursor")


def test_messages_page_from_newest_to_oldest_and_stay_in_place(wagate: SandboxGateway, here: str) -> None:
    sent = [wagate.post(f"{here}/messages", text("9990000064", str(i)))["waMessageId"] for i in range(9)]
    where = f"{here}/chats/9990000064/messages"
    for limit in (1, 2, 4, 9, 200):
        assert paged(wagate, where, limit, "waMessageId") == sent[::-1]
    first = wagate.get(f"{where}?limit=4")
    wagate.post(f"{here}/messages", text("9990000064", "newer"))
    rest = wagate.get(f"{where}?limit=200&cursor={first['nextCursor']}")["data"]
    assert [each["waMessageId"] for each in rest] == sent[4::-1]


def test_a_groups_chat_is_called_like_the_group(wagate: SandboxGateway, here: str) -> None:
    group = wagate.post(f"{here}/groups", {"name": "talk", "participants": ["9990000065"]})["groupJid"]
    wagate.post(f"{here}/messages", text(group))
    chat = wagate.get(f"{here}/chats/{group}")
    exactly(chat, CHAT + " lastMessageAt name")
    assert (chat["type"], chat["name"]) == ("group", "talk")
    said = wagate.post("/sandbox/messages", text(group, "me too", **{"from": "9990000065"}))["waMessageId"]
    wagate.until(lambda: len(wagate.get(f"{here}/chats/{group}/messages")["data"]) == 2)
    newest = wagate.get(f"{here}/chats/{group}/messages")["data"][0]
    assert (newest["waMessageId"], newest["senderJid"]) == (said, "9990000065@s.whatsapp.net")
    assert wagate.get(f"{here}/chats/{group}")["unreadCount"] == 1


def test_what_is_not_there_cannot_be_changed(wagate: SandboxGateway, here: str) -> None:
    for method, below in (("PATCH", ""), ("DELETE", ""), ("POST", "/read")):
        body = {} if method == "PATCH" else None
        refused(wagate.ask(method, f"{here}/chats/9990000099{below}", body), 404, "not_found")
        invalid(wagate.ask(method, f"{here}/chats/x{below}", body), "cid")
        refused(wagate.ask(method, f"{here}/chats/9990000099{below}", body, key=key(wagate, "read")), 403)
    for wrong, path in (({"archived": 1}, "archived"), ({"mutedUntil": -1}, "mutedUntil"), ({"name": "x"}, "name")):
        invalid(wagate.ask("PATCH", f"{here}/chats/9990000099", wrong), path)


def test_the_stored_chat_is_changed_and_told(wagate: SandboxGateway, here: str) -> None:
    say(wagate, here, "9990000066")
    where = f"{here}/chats/9990000066"
    jid = "9990000066@s.whatsapp.net"
    before = wagate.get(where)
    for body, change in (
        ({}, {}), ({"archived": True, "pinned": True}, {"archived": True, "pinned": True}),
        ({"mutedUntil": 5}, {"mutedUntil": 5}), ({"archived": False, "mutedUntil": None}, {"archived": False}),
    ):  # fmt: skip
        answer = wagate.ask("PATCH", where, body)
        before |= change
        assert (answer.status, answer.body) == (200, before)
        assert wagate.get(where) == before
    answer = wagate.ask("PATCH", where, {"unmute": True, "mutedUntil": 9})
    assert "mutedUntil" not in answer.body
    read = wagate.ask("POST", f"{where}/read")
    assert (read.status, read.body["unreadCount"]) == (200, 0)
    told = [e["payload"] for e in events(wagate, "chat.update") if e["payload"]["chatJid"] == jid]
    assert [{k: v for k, v in each.items() if k != "chatJid"} for each in told] == [
        {"change": "archived", "archived": True},
        {"change": "pinned", "pinned": True},
        {"change": "muted", "mutedUntil": 5},
        {"change": "archived", "archived": False},
        {"change": "muted", "mutedUntil": 0},
        {"change": "read", "unreadCount": 0},
    ]


def test_a_deleted_chat_is_gone_until_somebody_writes(wagate: SandboxGateway, here: str) -> None:
    said = say(wagate, here, "9990000067")
    where = f"{here}/chats/9990000067"
    answer = wagate.ask("DELETE", where)
    assert (answer.status, answer.body) == (204, b"")
    refused(wagate.ask("DELETE", where), 404, "not_found")
    for gone in (where, f"{where}/messages", f"{here}/messages/{said}"):
        refused(wagate.ask("GET", gone), 404, "not_found")
    newer = say(wagate, here, "9990000067")
    assert [each["waMessageId"] for each in wagate.get(f"{where}/messages")["data"]] == [newer]
    assert wagate.get(where)["unreadCount"] == 1


def test_who_asks_whether_a_number_is_there_learns_whose_lid_it_is(wagate: SandboxGateway, here: str) -> None:
    lid = lid_of("9990000067")
    first = say(wagate, here, lid)
    assert wagate.get(f"{here}/messages/{first}")["chatJid"] == lid
    known = wagate.get(f"{here}/contacts/check?phone=9990000067")
    assert wagate.get(f"{here}/messages/{first}")["chatJid"] == known["jid"]
    assert wagate.get(f"{here}/chats/{lid}")["aliases"] == [lid]


def test_who_wrote_by_lid_is_one_chat_when_the_number_is_learnt(wagate: SandboxGateway, here: str) -> None:
    known = {"jid": "9990000068@s.whatsapp.net", "lid": lid_of("9990000068")}
    first = say(wagate, here, known["lid"])
    assert wagate.get(f"{here}/messages/{first}")["chatJid"] == known["lid"]
    refused(wagate.ask("GET", f"{here}/chats/9990000068"), 404, "not_found")
    second = say(wagate, here, "9990000068")
    assert wagate.get(f"{here}/contacts/check?phone=9990000068") == {
        "query": "9990000068", "isOnWhatsApp": True, **known,
    }  # fmt: skip
    for cid in (known["lid"], "9990000068"):
        chat = wagate.get(f"{here}/chats/{cid}")
        assert (chat["jid"], chat["unreadCount"], chat["aliases"]) == (known["jid"], 2, [known["lid"]])
        words = wagate.get(f"{here}/chats/{cid}/messages")["data"]
        assert [each["waMessageId"] for each in words] == [second, first]
    assert [each["jid"] for each in wagate.get(f"{here}/chats")["data"]] == [known["jid"]]
    assert len(wagate.get(f"{here}/contacts?q=9990000068")["data"]) == 1
    sent = wagate.post(f"{here}/messages", text(known["lid"]))
    assert wagate.get(f"{here}/messages/{sent['waMessageId']}")["chatJid"] == known["jid"]
    session = here.rpartition("/")[2]
    told = [e["payload"] for e in events(wagate, "chat.update", session=session)]
    assert [each for each in told if each["change"] == "merged"] == [
        {"chatJid": known["jid"], "change": "merged", "unreadCount": 1}
    ]
