"""Chats and what was said in them, as the Python SDK reads them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.files import JPEG
from tests.support.gateways import Account
from tests.support.media import b64
from tests.support.sdk import Sdk, digits, wire_id
from wagate.testing import SandboxGateway

PEOPLE = ["9990000051", "9990000052", "9990000053"]
TEXTS = ["one", "two", "three", "four", "five"]


def say(wagate: SandboxGateway, me: Account, sender: str, **content: Any) -> str:
    """The wire id of what somebody said to the account, once its session has it."""
    message: str = wagate.post("/sandbox/messages", {"from": sender, "to": me.phone, **content})["waMessageId"]
    path = f"/sessions/{me.session}/messages/{message}"
    wagate.until(lambda: wagate.ask("GET", path).status == 200)
    return message


@pytest.fixture(scope="module")
def me(wagate: SandboxGateway) -> Account:
    """An account with three chats; in the last one five texts were said."""
    account = Account(wagate, "9990000050")
    for number in PEOPLE[:2]:
        say(wagate, account, number, type="text", text=f"from {number}")
    for text in TEXTS:
        say(wagate, account, PEOPLE[2], type="text", text=text)
    return account


def good(told: dict[str, Any]) -> Any:
    assert told["success"] is True, told
    return told["data"]


def bad(told: dict[str, Any]) -> str:
    """The reason for a refusal: our own words, not the HTTP library's."""
    assert told["success"] is False, told
    assert told["error"]
    assert "status code" not in told["error"]
    return str(told["error"])


def text(message: dict[str, Any]) -> str:
    found: str = message["body"] if "body" in message else message["content"]
    return found


def test_chats_are_listed_sorted_and_paged(sdk: Sdk, me: Account) -> None:
    by_time = good(sdk.get_all_chats(me.session, sort_by="conversationTimestamp", sort_order="desc"))
    assert [digits(each["id"]) for each in by_time] == PEOPLE[::-1]
    assert {type(each["timestamp"]) for each in by_time} == {int}
    assert [each["unreadCount"] for each in by_time] == [5, 1, 1]
    assert [each["isGroup"] for each in by_time] == [False] * 3
    by_id = good(sdk.get_all_chats(me.session, sort_by="id", sort_order="asc"))
    assert [digits(each["id"]) for each in by_id] == PEOPLE
    assert good(sdk.get_all_chats(me.session, sort_by="id", limit=1, offset=1)) == by_id[1:2]
    assert {each["id"] for each in good(sdk.get_all_chats(me.session, sort_by="name"))} == {e["id"] for e in by_id}


def test_chats_are_not_listed_by_what_they_do_not_have(sdk: Sdk, me: Account) -> None:
    assert "sort" in bad(sdk.get_all_chats(me.session, sort_by="colour"))
    bad(sdk.get_all_chats("ses_none"))


def test_an_overview_is_of_all_chats_or_of_some(sdk: Sdk, me: Account) -> None:
    everything = good(sdk.get_chats_overview(me.session))
    assert {digits(each["id"]) for each in everything} == set(PEOPLE)
    some = [f"{PEOPLE[0]}@c.us", f"{PEOPLE[2]}@c.us"]
    assert {digits(each["id"]) for each in good(sdk.get_chats_overview(me.session, ids=some))} == {PEOPLE[0], PEOPLE[2]}
    assert len(good(sdk.get_chats_overview(me.session, limit=2, offset=2))) == 1
    bad(sdk.get_chats_overview("ses_none"))


@pytest.mark.parametrize("chat", ["{}@c.us", "{}@s.whatsapp.net", "+{}"])
def test_the_newest_messages_of_a_chat_are_read(sdk: Sdk, me: Account, chat: str) -> None:
    whole = good(sdk.get_messages(me.session, chat.format(PEOPLE[2]), limit=50))
    assert sorted(map(text, whole)) == sorted(TEXTS)
    assert {each["fromMe"] for each in whole} == {False}
    assert {digits(each["from"]) for each in whole} == {PEOPLE[2]}
    assert {type(each["timestamp"]) for each in whole} == {int}
    newest = good(sdk.get_messages(me.session, chat.format(PEOPLE[2]), limit=2))
    assert sorted(map(text, newest)) == ["five", "four"]
    assert sorted(map(text, good(sdk.get_messages(me.session, chat.format(PEOPLE[2]), limit=2, offset=2)))) == [
        "three",
        "two",
    ]


def test_messages_are_filtered(sdk: Sdk, wagate: SandboxGateway, me: Account) -> None:
    peer = "9990000054"
    chat = f"{peer}@c.us"
    say(wagate, me, peer, type="text", text="theirs")
    mine = sdk.send(session=me.session, to=peer, text="mine")

    def found(**wish: Any) -> list[str]:
        wanted = {"$": "GetMessagesFilterOptions", **wish}
        return sorted(map(text, good(sdk.get_messages(me.session, chat, limit=10, filter=wanted))))

    assert found(from_me=True) == ["mine"]
    assert found(from_me=False) == ["theirs"]
    stamp = max(each["timestamp"] for each in good(sdk.get_messages(me.session, chat, limit=10)))
    assert "mine" in found(timestamp_gte=stamp)
    assert found(timestamp_gte=stamp + 10) == found(timestamp_lte=stamp - 10) == []
    assert found(timestamp_lte=stamp) == ["mine", "theirs"]
    wagate.until(lambda: wagate.get(f"/sandbox/messages?mid={wire_id(mine['id'])}")["data"][0]["status"] == "read")
    wagate.until(lambda: found(from_me=True, ack=3) == ["mine"])
    assert found(from_me=True, ack=[3, 4]) == ["mine"]
    assert found(from_me=True, ack=0) == []


def test_messages_are_not_read_where_there_are_none(sdk: Sdk, me: Account) -> None:
    assert bad(sdk.get_messages("ses_none", f"{PEOPLE[0]}@c.us", limit=5)).startswith("Failed to get messages for chat")
    bad(sdk.get_messages(me.session, "nobody", limit=5))


def test_one_message_is_read_with_its_file(sdk: Sdk, wagate: SandboxGateway, me: Account) -> None:
    peer = "9990000055"
    message = say(wagate, me, peer, type="image", media={"data": b64(JPEG), "caption": "look"})
    (listed,) = good(sdk.get_messages(me.session, f"{peer}@c.us", limit=1, download_media=True))
    for wanted in (message, listed["id"]):
        for download in (None, True, False):
            one = good(sdk.get_message_by_id(me.session, f"{peer}@c.us", wanted, download_media=download))
            assert (one["id"], one["type"], one["hasMedia"], one["mimetype"]) == (
                listed["id"], "image", True, "image/jpeg",
            )  # fmt: skip
            assert "look" in (one.get("caption"), one.get("body"))
    path = listed["mediaUrl"].removeprefix("/api/v1")
    assert wagate.ask("GET", path).body == JPEG
    reason = bad(sdk.get_message_by_id(me.session, f"{peer}@c.us", "3EB0NONE"))
    assert reason.startswith(f"Failed to get message 3EB0NONE from chat {peer}@c.us: ")
    bad(sdk.get_message_by_id(me.session, f"{PEOPLE[0]}@c.us", message))


@pytest.mark.parametrize("wish", [{"messages": 2}, {"days": 1}, {}], ids=str)
def test_messages_are_read(sdk: Sdk, wagate: SandboxGateway, me: Account, wish: dict[str, int]) -> None:
    peer = f"99900000{60 + len(str(wish))}"
    said = [say(wagate, me, peer, type="text", text=each) for each in TEXTS[:3]]
    told = sdk.read_messages(me.session, f"{peer}@c.us", **wish)
    assert told["success"] is True, told
    read = said[-wish["messages"] :] if "messages" in wish else said
    wagate.until(lambda: statuses(wagate, read) == {"read"})
    assert statuses(wagate, [each for each in said if each not in read]) <= {"delivered"}


def statuses(wagate: SandboxGateway, messages: list[str]) -> set[str]:
    return {wagate.get(f"/sandbox/messages?mid={each}")["data"][0]["status"] for each in messages}


def test_everybody_in_a_group_is_read(sdk: Sdk, wagate: SandboxGateway, me: Account) -> None:
    group = me.made(*PEOPLE[:2])
    said = [
        wagate.post("/sandbox/messages", {"from": each, "to": group, "type": "text", "text": each})["waMessageId"]
        for each in PEOPLE[:2]
    ]
    wagate.until(lambda: len(good(sdk.get_messages(me.session, group, limit=9))) == 2)
    assert {digits(each["from"]) for each in good(sdk.get_messages(me.session, group, limit=9))} == {digits(group)}
    told = sdk.read_messages(me.session, group, messages=2)
    assert told["success"] is True, told
    wagate.until(lambda: [mine(wagate, me, each) for each in said] == ["read"] * 2)


def mine(wagate: SandboxGateway, me: Account, message: str) -> str:
    """How far the account's own copy of a group's message came."""
    copies = wagate.get(f"/sandbox/messages?mid={message}")["data"]
    return next(str(each["status"]) for each in copies if digits(each["recipient"]) == me.phone)


def test_reading_is_refused_with_a_reason(sdk: Sdk, me: Account) -> None:
    told = [
        sdk.read_messages("ses_none", f"{PEOPLE[0]}@c.us", messages=1),
        sdk.read_messages(me.session, f"{PEOPLE[0]}@c.us", messages=-1),
        sdk.read_messages(me.session, "nobody", messages=1),
    ]
    for each in told:
        assert each["success"] is False
        assert "status code" not in each["message"]


def test_a_chats_picture_is_told(sdk: Sdk, wagate: SandboxGateway, me: Account) -> None:
    wagate.ask("PATCH", f"/sandbox/people/{PEOPLE[0]}", {"picture": True})
    for refresh in (None, True, False):
        assert isinstance(good(sdk.get_chat_picture(me.session, f"{PEOPLE[0]}@c.us", refresh=refresh)), dict)
    wagate.ask("PATCH", f"/sandbox/people/{PEOPLE[0]}", {"picture": False})
    reason = bad(sdk.get_chat_picture(me.session, f"{PEOPLE[0]}@c.us", refresh=True))
    assert reason.startswith(f"Failed to get chat picture for chat {PEOPLE[0]}@c.us: ")
