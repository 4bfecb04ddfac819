"""Chats, messages and contacts through the dialect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialect import Dialect, strict, told
from tests.support.gateways import Account, key
from wagate.testing import SandboxGateway

JID = "9990000002@c.us"
CHAT = f"/shop/chats/{JID}"


@pytest.fixture(scope="module")
def talk(owner: Account, shop: str) -> list[str]:
    """Four messages between the owner and somebody, by turns, oldest first: their plain ids."""
    client, found = Dialect(owner.wagate), []
    for turn in range(2):
        found.append(client.post("/send", {"session": shop, "to": JID, "text": f"out {turn}"})["waMessageId"])
        said = {"from": "9990000002", "to": owner.phone, "type": "text", "text": f"in {turn}"}
        found.append(owner.wagate.post("/sandbox/messages", said)["waMessageId"])
        where = f"/sessions/{owner.session}/messages/{found[-1]}"
        owner.wagate.until(lambda where=where: owner.wagate.ask("GET", where).status == 200)
    return found


def plain(found: Any) -> list[str]:
    return [each["waMessageId"] for each in strict(found, ["ChatWAMessage"])]


# Refusals


@pytest.mark.parametrize(
    "path",
    [
        f"{CHAT}/messages?limit=many",
        f"{CHAT}/messages?filter.timestamp.lte=soon",
        f"{CHAT}/messages?filter.fromMe=maybe",
        f"{CHAT}/messages?filter.ack=all",
        "/shop/chats/nobody/messages",
        "/shop/chats?sortBy=size",
        "/shop/chats/overview?ids=nobody",
        "/contacts/all?sortBy=age",
        "/contacts?session=shop",
        "/contacts?session=shop&contactId=nobody",
        "/contacts/check-exists?session=shop",
        "/contacts/check-exists?session=shop&phone=12",
        "/contacts/profile-picture?session=shop",
        "/messages/false_nobody@c.us_3EB0",
    ],
)
@pytest.mark.usefixtures("talk")
def test_what_cannot_be_asked_is_400(docs: Dialect, path: str) -> None:
    told(docs.ask("GET", path), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/shop/chats/9990000077@c.us/messages",
        "/shop/chats/9990000077@c.us/messages/3EB0",
        f"{CHAT}/messages/3EB0NOTHING",
        f"{CHAT}/picture",
        "/contacts?session=shop&contactId=9990000077",
        "/contacts/profile-picture?session=shop&contactId=9990000002",
        "/messages/3EB0NOTHING",
    ],
)
@pytest.mark.usefixtures("talk")
def test_what_is_not_there_is_404(docs: Dialect, path: str) -> None:
    told(docs.ask("GET", path), 404)


def test_what_both_sessions_have_is_409_unless_the_id_says_which(
    docs: Dialect, wagate: SandboxGateway, owner: Account, guest: Account, talk: list[str]
) -> None:
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{guest.session}/messages/{talk[-1]}").status in (200, 404))
    sent = docs.post("/send", {"session": "shop", "to": JID, "text": "for both"})
    wire = sent["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{guest.session}/messages/{wire}").status == 200)
    told(docs.ask("GET", f"/messages/{wire}"), 409, "several sessions")
    assert docs.get(f"/messages/{sent['id']}")["session"] == owner.session
    assert docs.get(f"/messages/false_9990000001@c.us_{wire}")["session"] == guest.session
    mine = key(wagate, sessions=[owner.session])
    assert docs.ask("GET", f"/messages/{wire}", key=mine).body["id"] == sent["id"]
    strangers = key(wagate, sessions=[guest.session])
    told(docs.ask("GET", f"/messages/{sent['id']}", key=strangers), 404)


# Messages


def test_messages_are_listed_newest_first(sdk: Dialect, talk: list[str]) -> None:
    for chat in (CHAT, "/shop/chats/+9990000002", "/shop/chats/9990000002%40s.whatsapp.net"):
        assert [id for id in plain(sdk.get(f"{chat}/messages?limit=100")) if id in talk] == talk[::-1]


@pytest.mark.usefixtures("talk")
def test_messages_are_filtered_and_cut(sdk: Dialect) -> None:
    every = sdk.get(f"{CHAT}/messages?limit=100")
    ids = plain(every)
    assert plain(sdk.get(f"{CHAT}/messages?limit=2&offset=1")) == ids[1:3]
    assert plain(sdk.get(f"{CHAT}/messages?limit=100&downloadMedia=true")) == ids
    for wanted in (True, False):
        found = sdk.get(f"{CHAT}/messages?limit=100&filter.fromMe={str(wanted).lower()}")
        assert plain(found) == [each["waMessageId"] for each in every if each["fromMe"] is wanted]
    acked = sdk.get(f"{CHAT}/messages?limit=100&filter.ack=1,2,3")
    assert {each["fromMe"] for each in acked} == {True}
    newest = every[0]["timestamp"]
    for late in (newest + 1, (newest + 1) * 1000):
        assert sdk.get(f"{CHAT}/messages?limit=100&filter.timestamp.gte={late}") == []
        assert plain(sdk.get(f"{CHAT}/messages?limit=100&filter.timestamp.lte={late}")) == ids
    early = every[-1]["timestamp"]
    assert plain(sdk.get(f"{CHAT}/messages?limit=100&filter.timestamp.gte={early}")) == ids
    assert sdk.get(f"{CHAT}/messages?limit=100&filter.timestamp.lte={early - 1}") == []


def test_a_message_says_from_whom_to_whom(sdk: Dialect, owner: Account, talk: list[str]) -> None:
    mine, theirs = (strict(sdk.get(f"{CHAT}/messages/{id}"), "ChatWAMessage") for id in talk[:2])
    assert (mine["from"], mine["to"], mine["fromMe"], mine["chatId"]) == ("9990000001@c.us", JID, True, JID)
    assert (theirs["from"], theirs["to"], theirs["fromMe"], theirs["body"]) == (JID, "9990000001@c.us", False, "in 0")
    assert theirs["id"] == f"false_{JID}_{talk[1]}"
    assert theirs == sdk.get(f"{CHAT}/messages/{theirs['id']}?downloadMedia=false")
    told(sdk.ask("GET", f"{CHAT}/messages/true_{JID}_{talk[1]}"), 404)


def test_in_a_group_the_author_is_the_participant(sdk: Dialect, owner: Account, group: str) -> None:
    said = {"from": "9990000003", "to": group, "type": "text", "text": "all of you"}
    wire = owner.wagate.post("/sandbox/messages", said)["waMessageId"]
    where = f"/sessions/{owner.session}/messages/{wire}"
    owner.wagate.until(lambda: owner.wagate.ask("GET", where).status == 200)
    (found,) = sdk.get(f"/shop/chats/{group}/messages?limit=5")
    assert (found["from"], found["participant"], found["chatId"]) == (group, "9990000003@c.us", group)
    assert found["id"] == f"false_{group}_{wire}_9990000003@c.us"
    assert sdk.get(f"/shop/chats/{group}/messages/{found['id']}") == found


# Chats


@pytest.mark.usefixtures("talk")
def test_chats_are_listed_and_looked_over(sdk: Dialect, group: str) -> None:
    sdk.post("/send", {"session": "shop", "to": group, "text": "hello"})
    listed = strict(sdk.get("/shop/chats"), ["Chat"])
    assert listed[0]["id"] == group
    assert listed[0]["isGroup"] is True
    assert strict(sdk.get("/shop/chats?sortBy=id&sortOrder=asc"), ["Chat"])[-1]["id"] == JID
    assert sdk.get("/shop/chats?limit=1&offset=1") == listed[1:2]
    (one,) = strict(sdk.get(f"/shop/chats/overview?ids={JID},9990000077@c.us"), ["Chat"])
    strict(one["lastMessage"], "ChatWAMessage")
    assert len(sdk.get("/shop/chats/overview?limit=2")) == 2


@pytest.mark.parametrize("query", ["", "?messages=5", "?days=1", "?messages=5&days=2"])
@pytest.mark.usefixtures("talk")
def test_what_is_unread_is_read(sdk: Dialect, owner: Account, query: str) -> None:
    said = {"from": "9990000002", "to": owner.phone, "type": "text", "text": "unread"}
    message = owner.wagate.post("/sandbox/messages", said)["waMessageId"]
    # Others may be unread as well: it is this one that must have come.
    owner.wagate.until(lambda: sdk.get(f"/shop/chats/overview?ids={JID}")[0]["lastMessage"]["waMessageId"] == message)
    form = {"content-type": "application/x-www-form-urlencoded", "content-length": "0"}
    answer = sdk.ask("POST", f"{CHAT}/messages/read{query}", headers=form)
    assert answer.status == 200
    assert strict(answer.body, "Read")["success"] is True
    assert sdk.get(f"/shop/chats/overview?ids={JID}")[0]["unreadCount"] == 0


def test_nothing_is_read_where_nothing_is_asked(sdk: Dialect, talk: list[str]) -> None:
    assert talk
    assert sdk.post(f"{CHAT}/messages/read?messages=0")["message"].startswith("0 ")


# Contacts


@pytest.mark.usefixtures("talk", "group")
def test_contacts_are_listed_and_found(sdk: Dialect) -> None:
    listed = strict(sdk.get("/contacts/all?session=shop&sortBy=id"), ["Contact"])
    assert [each["id"] for each in listed] == sorted(each["id"] for each in listed)
    assert JID in [each["id"] for each in listed]
    assert sdk.get("/contacts/all?session=shop&sortBy=id&limit=1&offset=1") == listed[1:2]
    for written in (JID, "%2B9990000002", "9990000002", "9990000002%40s.whatsapp.net"):
        found = strict(sdk.get(f"/contacts?session=shop&contactId={written}"), "Contact")
        assert (found["id"], found["phoneNumber"]) == (JID, "9990000002")


def test_a_number_is_checked(sdk: Dialect, shop: str) -> None:
    here = strict(sdk.get(f"/contacts/check-exists?session={shop}&phone=9990000002"), "Exists")
    assert here == {"exists": True, "phone": "9990000002", "jid": JID}
    gone = strict(sdk.get(f"/contacts/check-exists?session={shop}&phone=4915700000000"), "Exists")
    assert gone == {"exists": False, "phone": "4915700000000"}
