"""Another product's HTTP on both databases: what only its clients ask for is kept, found and removed."""

from __future__ import annotations

from tests.support.dialect import Dialect, told
from tests.support.gateways import key
from tests.support.statements import collected
from wagate.backends import postgres as adapter
from wagate.testing import SandboxGateway

STATEMENTS = {
    "sessions._NAMED",
    "sessions._REMARKS",
    "webhooks._BOUND",
    "webhooks._UNBIND",
    "groups._TAG",
    "groups._TAGS",
    "standings._STANDINGS",
    "groups._EVERY_MEMBER",
    "messages._SESSIONS",
    "messages._SIFTED",
    "messages._NEWEST",
}
"""What only this story runs; test_journey.py, which may run in another process, leaves it out."""
URL = "http://127.0.0.1:9/hook"


def test_what_was_said_of_a_session_is_kept_and_goes_with_it(wagate: SandboxGateway, here: str) -> None:
    client, known = Dialect(wagate), here.rpartition("/")[2]
    wish = {"sessionName": "shop", "phoneNumber": "+9990000021", "enableWebhook": True, "webhookUrl": URL}
    made = client.post("/sessions", wish)
    assert (made["enableWebhook"], made["webhookUrl"], made["phoneNumber"]) == (True, URL, "+9990000021")
    assert client.get("/sessions/shop") == made
    assert [each["session"]["id"] for each in client.get("/sessions")["sessions"]] == [known, made["id"]]
    told(client.ask("GET", "/sessions/shop", key=key(wagate, sessions=[known])), 404)
    client.good("DELETE", "/sessions/shop")
    assert wagate.get("/webhooks")["data"] == []


def test_groups_are_tagged_and_listed_at_once(wagate: SandboxGateway, here: str) -> None:
    client, groups = Dialect(wagate), f"/{here.rpartition('/')[2]}/groups"
    for name, tags in (("one", ["a"]), ("two", [])):
        client.post(groups, {"name": name, "participants": ["+9990000002"], "tags": tags})
    listed = client.get(groups)["groups"]
    assert [(each["name"], each["tags"], len(each["participants"])) for each in listed] == [
        ("one", ["a"], 2),
        ("two", [], 2),
    ]
    assert [each["name"] for each in client.get(f"{groups}?tags[]=a")["groups"]] == ["one"]


def test_a_message_is_found_without_its_session(wagate: SandboxGateway, here: str) -> None:
    client, session = Dialect(wagate), here.rpartition("/")[2]
    sent = client.post("/send", {"session": session, "to": "+9990000002", "text": "hello"})
    assert client.get(f"/messages/{sent['waMessageId']}")["id"] == sent["id"]
    told(client.ask("GET", f"/messages/{sent['id']}", key=key(wagate, sessions=["ses_nobody"])), 404)


def test_a_chat_is_sifted_and_looked_over(wagate: SandboxGateway, here: str) -> None:
    client, session = Dialect(wagate), here.rpartition("/")[2]
    sent = client.post("/send", {"session": session, "to": "+9990000004", "text": "hello"})["id"]
    chat = f"/{session}/chats/9990000004@c.us/messages"
    assert [each["id"] for each in client.get(f"{chat}?filter.fromMe=true&filter.ack=1,2,3&offset=0")] == [sent]
    assert client.get(f"{chat}?filter.fromMe=true&filter.ack=-1,{10**30}&offset={10**30}") == []
    (one,) = client.get(f"/{session}/chats/overview?ids=9990000004@c.us")
    assert one["lastMessage"]["id"] == sent


def test_its_statements_were_run(wagate: SandboxGateway) -> None:
    every = collected()
    if wagate.running.gw.db.__class__.__name__.startswith("Postgres"):
        assert {name for name in STATEMENTS if every[name] not in set(adapter._texts)} == set()
