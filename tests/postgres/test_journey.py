"""One life on both databases: linked, sent, received, grouped, counted, expired, deleted. Every statement was run."""

from __future__ import annotations

import base64
import dataclasses
import itertools
from pathlib import Path
from typing import Any

from tests.postgres import test_dialects, test_keys_kept, test_newcomers
from tests.support.files import JPEG
from tests.support.gateways import events, home, invalid, key, organization, refused, text
from tests.support.postgres import dsn, execute
from tests.support.receiver import answer, receiving
from tests.support.statements import collected
from tests.support.webhooks import got, happened
from wagate import testing
from wagate.backends import postgres as adapter
from wagate.clock import ManualClock
from wagate.engines.sandbox.people import lid_of
from wagate.gateway import Window, attempts, backfills, keys, leases, organizations, outbox, polls, sessions, tickets
from wagate.model.contents import TextContent
from wagate.testing import SandboxGateway
from wagate.workers import janitor

DAY = 86_400_000
_numbers = itertools.count(1)

NEVER_ON_THE_SANDBOX = {
    "dispatch._PENDING",
    "dispatch._UNCLAIM",
    "dispatch._NUMBER",
    "aliases._TWIN_MEMBER",
    "aliases._FORGET_MEMBER",
    "aliases._MEMBER",
}
"""It sends with ids chosen beforehand and tells both addresses of every member. See test_statements.py for these."""


def later(wagate: SandboxGateway, ms: int) -> Any:
    """The same gateway with a clock that is so far ahead."""
    gw = wagate.running.gw
    return dataclasses.replace(gw, clock=ManualClock(gw.clock.now() + ms))


def test_sessions_and_keys(wagate: SandboxGateway, here: str) -> None:
    assert [each["id"] for each in wagate.get("/sessions?limit=1")["data"]] == [here.rpartition("/")[2]]
    other = wagate.linked("9990000011")["id"]
    wagate.ask("PATCH", f"/sessions/{other}", {"label": "other"})
    wagate.post(f"/sessions/{other}:stop")
    wagate.post(f"/sessions/{other}:start")
    wagate.until(lambda: wagate.working(other))
    wagate.post(f"/sessions/{other}:restart")
    wagate.until(lambda: wagate.working(other))
    assert wagate.post(f"/sessions/{other}:logout")["status"] == "logged_out"
    gw = wagate.running.gw
    secret = key(wagate)
    assert wagate.ask("GET", "/sessions", key=secret).status == 200
    found = wagate.run(keys.of(gw, home(wagate)))[-1]
    wagate.run(keys.revoke(gw, found.id, organization_id=home(wagate)))
    refused(wagate.ask("GET", "/sessions", key=secret), 401, "unauthorized")
    secret = key(wagate)
    wagate.run(keys.revoke(gw, wagate.run(keys.of(gw, home(wagate)))[-1].id))
    refused(wagate.ask("GET", "/sessions", key=secret), 401, "unauthorized")
    assert wagate.run(organizations.find(gw, home(wagate))).name == "demo"
    assert wagate.run(sessions.count_by_status(gw))["working"] == 1
    assert wagate.run(sessions.other_engines(gw, "sandbox")) is False


def test_a_logout_that_cannot_be_told(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000012")["id"]
    wagate.ask("POST", f"/sandbox/sessions/{session}:drop", {"seconds": 3600})
    gw = wagate.running.gw
    caller = wagate.run(keys.authenticate(gw, wagate.key))
    gone = wagate.run(sessions.logout(gw, caller, session, timeout=0.1))
    assert (gone.status, gone.status_reason) == ("logged_out", "unlink_unconfirmed")


def test_sends_receipts_and_idempotency(wagate: SandboxGateway, here: str) -> None:
    sent = wagate.post(f"{here}/messages", text("9990000002"))
    wagate.until(lambda: wagate.get(f"{here}/messages/{sent['waMessageId']}")["status"] == "read")
    queued = wagate.ask("POST", f"{here}/messages?async=true", text("9990000002"), headers={"idempotency-key": "k"})
    wagate.until(lambda: wagate.get(f"{here}/outbox/{queued.body['outboxId']}")["status"] == "sent")
    again = wagate.ask("POST", f"{here}/messages", text("9990000002"), headers={"idempotency-key": "k"})
    assert (again.status, again.body["replayed"]) == (200, True)
    refused(wagate.ask("POST", f"{here}/messages", text("9990000003"), headers={"idempotency-key": "k"}), 409)
    refused(wagate.ask("POST", f"{here}/messages", text("9997000001")), 422)
    broken = wagate.post(f"{here}/messages?async=true", text("9998000001"))["outboxId"]
    wagate.until(lambda: wagate.get(f"{here}/outbox/{broken}")["status"] == "sent")
    wagate.until(lambda: wagate.get(here)["status"] == "working")
    assert len(wagate.get(f"{here}/outbox?limit=2")["data"]) == 2
    assert wagate.get(f"{here}/outbox?status=failed")["data"]
    assert wagate.run(outbox.depth(wagate.running.gw)) == 0


def test_no_answer_is_uncertain_proved_retried_dismissed_withdrawn_and_given_up(
    wagate: SandboxGateway, here: str
) -> None:
    lost = [wagate.post(f"{here}/messages?async=true", text(f"999600000{i}")) for i in range(4)]
    for each in lost:
        where = f"{here}/outbox/{each['outboxId']}"
        wagate.until(lambda where=where: wagate.get(where)["status"] == "uncertain")  # type: ignore[misc]
    wagate.ask("POST", f"/sandbox/messages/{lost[0]['waMessageId']}:read", {"from": "9996000000"})
    wagate.until(lambda: wagate.get(f"{here}/outbox/{lost[0]['outboxId']}")["status"] == "sent")
    assert wagate.post(f"{here}/outbox/{lost[1]['outboxId']}:dismiss")["status"] == "failed"
    wagate.post(f"{here}/outbox/{lost[2]['outboxId']}:retry")
    wagate.until(lambda: wagate.get(f"{here}/outbox/{lost[2]['outboxId']}")["status"] == "uncertain")
    held = [wagate.post(f"{here}/messages?async=true", text("9996000009", str(i))) for i in range(2)]
    assert wagate.ask("DELETE", f"{here}/outbox/{held[1]['outboxId']}").body["status"] == "failed"
    wagate.post(f"{here}/messages?async=true", text("9996000008"))
    wagate.post(f"{here}/messages?async=true", text("9996000008"))
    assert refused(wagate.ask("POST", f"{here}/messages", text("9996000008")), 504)["certain"] is True
    # Until nothing is under way: the next test counts.
    wagate.until(lambda: wagate.run(outbox.depth(wagate.running.gw)) == 0)


def test_budgets(wagate: SandboxGateway) -> None:
    where = "/sessions/" + wagate.linked("9990000013", ratePerMin=2, ratePerHour=9)["id"]
    wagate.post(f"{where}/messages", text("9990000002"))
    first = wagate.post(f"{where}/messages?async=true", text("9990000002"))
    wagate.until(lambda: wagate.get(f"{where}/outbox/{first['outboxId']}")["status"] == "sent")
    refused(wagate.ask("POST", f"{where}/messages", text("9990000002")), 429)
    waits = wagate.post(f"{where}/messages?async=true", text("9990000002"))
    assert wagate.get(f"{where}/outbox/{waits['outboxId']}")["status"] == "queued"
    refused(wagate.ask("POST", f"{where}/messages", text("9990000003")), 429)
    wagate.ask("PATCH", where, {"ratePerMin": 3})
    wagate.until(lambda: wagate.get(f"{where}/outbox/{waits['outboxId']}")["status"] == "sent")


def test_incoming_chats_and_contacts(wagate: SandboxGateway, here: str) -> None:
    said = wagate.post("/sandbox/messages", text("9990000001", "hi", **{"from": "9990000021"}))["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{said}?chat=9990000021").status == 200)
    lid = wagate.get(f"{here}/messages/{said}")["senderLid"]
    assert wagate.get(f"{here}/chats/{lid}") == wagate.get(f"{here}/chats/9990000021")
    wagate.ask("PATCH", "/sandbox/people/9990000021", {"name": "Zoe"})
    wagate.until(lambda: events(wagate, "contact.update"))
    wagate.post("/sandbox/messages", text("9990000001", "hi", **{"from": "9990000021"}))
    wagate.until(lambda: wagate.get(f"{here}/chats/9990000021").get("name") == "Zoe")
    wagate.post(f"{here}/messages", text(lid))
    assert len(wagate.get(f"{here}/chats/9990000021/messages?limit=2")["data"]) == 2
    page = wagate.get(f"{here}/chats?limit=1")
    assert wagate.get(f"{here}/chats?limit=1&cursor={page['nextCursor']}")["data"]


def test_groups_and_invites(wagate: SandboxGateway, here: str) -> None:
    group = wagate.post(f"{here}/groups", {"name": "g", "participants": ["9990000031", "9990000032"]})["groupJid"]
    assert wagate.ask("PATCH", f"{here}/groups/{group}", {"subject": "s", "description": "d", "announce": True,
                                                          "locked": True}).status == 204  # fmt: skip
    stored = wagate.get(f"{here}/groups/{group}")
    assert (stored["subject"], stored["description"], stored["isAnnounce"], stored["isLocked"]) == (
        "s",
        "d",
        True,
        True,
    )
    old = wagate.get(f"{here}/groups/{group}/invite")
    assert wagate.ask("DELETE", f"{here}/groups/{group}/invite").body != old
    guest = "/sessions/" + wagate.linked("9990000033")["id"]
    invalid(wagate.ask("POST", f"{guest}/groups:join", old), "invite")
    assert wagate.ask("POST", f"{guest}/groups:join", wagate.get(f"{here}/groups/{group}/invite")).status == 200
    assert wagate.ask("DELETE", f"{here}/groups/{group}/members/9990000031").status == 204
    assert wagate.ask("POST", f"{here}/groups/{group}/members/9990000032/promote").status == 204
    assert wagate.ask("POST", f"{here}/groups/{group}/members", {"participants": ["9990000031"]}).status == 204
    roles = {m["phoneNumber"]: m["role"] for m in wagate.get(f"{here}/groups/{group}/members")["data"]}
    assert roles == {"9990000001": "superadmin", "9990000031": "member", "9990000032": "admin", "9990000033": "member"}
    id = wagate.post(f"{here}/messages", text(group))["waMessageId"]
    wagate.until(lambda: len([e for e in events(wagate, "message.status") if id in e["payload"]["messageIds"]
                              and e["payload"]["status"] == "read"]) >= 2)  # fmt: skip
    assert wagate.get(f"{here}/chats/{group}")["name"] == "s"
    assert wagate.ask("POST", f"{guest}/groups/{group}:leave").status == 204
    assert len(wagate.get(f"{here}/groups")["data"]) == 1


def test_messages_are_changed_quoted_read_and_counted(wagate: SandboxGateway, here: str) -> None:
    number = wagate.get(here)["phoneNumber"]
    hers = wagate.post("/sandbox/messages", text(number, "hi", **{"from": "9990000061"}))["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"{here}/messages/{hers}").status == 200)
    chat = {"chat": "9990000061"}
    own = wagate.post(f"{here}/messages", text("9990000061", replyTo=hers, mentions=["9990000061"]))["waMessageId"]
    wagate.post(f"{here}/messages/{hers}/reaction", {**chat, "emoji": "x"})
    wagate.post(f"{here}/messages/{hers}/forward", {**chat, "to": "9990000062"})
    assert wagate.ask("PATCH", f"{here}/messages/{own}", {**chat, "text": "better"}).status == 200
    now = wagate.get(f"{here}/messages/{own}")
    assert (now["body"], now["quotedMessageId"], now["mentions"]) == ("better", hers, ["9990000061@s.whatsapp.net"])
    assert wagate.get(f"{here}/messages/{hers}")["reactions"][0]["emoji"] == "x"
    wagate.post("/sandbox/messages", text(number, "and", **{"from": "9990000061"}))
    wagate.until(lambda: wagate.get(f"{here}/chats/9990000061")["unreadCount"] == 2)
    assert wagate.ask("POST", f"{here}/messages:read", {**chat, "messageIds": [hers]}).status == 204
    assert wagate.get(f"{here}/chats/9990000061")["unreadCount"] == 1
    assert wagate.ask("DELETE", f"{here}/messages/{own}", chat).status == 200
    assert wagate.get(f"{here}/messages/{own}")["deleted"] is True
    poll = {"type": "poll", "to": "9990000061", "name": "?", "options": ["a", "b"]}
    ends_at = wagate.running.gw.clock.now() + 3_600_000
    poll_id = wagate.post(f"{here}/messages", {**poll, "pollEndTime": ends_at})["waMessageId"]
    wagate.post(f"{here}/messages/{poll_id}/vote", {**chat, "options": ["b"]})
    assert wagate.run(polls.next_end(wagate.running.gw)) == ends_at
    assert wagate.run(polls.expire(later(wagate, 3_600_001))) == 1
    (recap,) = events(wagate, "poll.recap")
    assert [each["count"] for each in recap["payload"]["options"]] == [0, 1]


def test_people_of_two_addresses_are_joined_and_found(wagate: SandboxGateway, here: str) -> None:
    number = wagate.get(here)["phoneNumber"]
    lid = lid_of("9990000071")
    wagate.post("/sandbox/messages", text(number, "hidden", **{"from": lid}))
    wagate.until(lambda: wagate.ask("GET", f"{here}/chats/{lid}").status == 200)
    wagate.post(f"{here}/messages", text("9990000071"))
    assert wagate.ask("GET", f"{here}/chats/9990000071").body["jid"] != lid
    wagate.post("/sandbox/messages", text(number, "shown", **{"from": "9990000071"}))
    wagate.until(lambda: len(wagate.get(f"{here}/chats/{lid}/messages")["data"]) == 3)
    assert wagate.get(f"{here}/chats/{lid}")["aliases"] == [lid]
    group = wagate.post(f"{here}/groups", {"name": "both", "participants": ["9990000071"]})["groupJid"]
    for query in ("q=9990000071", "source=dm&q=71", "source=group&q=71", f"group={group}&q=71"):
        (found,) = wagate.get(f"{here}/contacts?{query}")["data"]
        assert found["lid"] == lid
    details = wagate.get(f"{here}/contacts/{lid}")
    assert (details["dm"], details["groups"][0]["jid"]) == (True, group)


def test_chats_are_marked_and_deleted_and_channels_followed(wagate: SandboxGateway, here: str) -> None:
    chat = f"{here}/chats/9990000072"
    picture = {"data": base64.b64encode(JPEG).decode()}
    wagate.post(f"{here}/messages", {"type": "image", "to": "9990000072", "media": picture})
    assert wagate.ask("PATCH", chat, {"archived": True, "mutedUntil": 9}).body["archived"] is True
    assert wagate.ask("POST", f"{chat}/read").status == 200
    assert wagate.ask("DELETE", chat).status == 204
    refused(wagate.ask("DELETE", chat), 404)
    channel = wagate.post(f"{here}/channels", {"name": "News"})["jid"]
    assert wagate.ask("POST", f"{here}/channels/{channel}:mute").status == 204
    assert wagate.get(f"{here}/channels/{channel}/messages")["data"] == []
    group = wagate.post(f"{here}/groups", {"name": "seen", "participants": ["9990000073"]})["groupJid"]
    assert wagate.ask("PUT", f"{here}/groups/{group}/picture", {"media": picture}).status == 200
    assert wagate.get(f"{here}/groups/{group}/members:pending")["data"] == []


def test_files_are_uploaded_sent_fetched_forwarded_and_revoked(wagate: SandboxGateway, here: str) -> None:
    upload = wagate.ask("POST", "/media", JPEG, headers={"content-type": "image/jpeg"}).body["id"]
    sent = wagate.post(f"{here}/messages", {"type": "image", "to": "9990000074", "media": {"id": upload}})
    mine = f"{here}/messages/{sent['waMessageId']}"
    assert wagate.ask("GET", f"{mine}/media").body == JPEG
    refused(wagate.ask("POST", f"{here}/messages", {"type": "image", "to": "9990000074", "media": {"id": "no"}}), 400)
    said = {"type": "image", "from": "9990000074", "to": "9990000001", "media": {"id": upload}}
    theirs = f"{here}/messages/" + wagate.post("/sandbox/messages", said)["waMessageId"]
    wagate.until(lambda: wagate.ask("GET", f"{theirs}/media").status == 200)
    assert wagate.ask("GET", f"{theirs}/media").body == JPEG
    forward = {"chat": "9990000074", "to": "9990000075"}
    assert wagate.post(f"{theirs}/forward", forward)["status"] == "sent"
    assert wagate.ask("DELETE", f"{mine}?chat=9990000074").status == 200
    refused(wagate.ask("GET", f"{mine}/media"), 404)


def test_keys_are_made_turned_and_revoked(wagate: SandboxGateway, here: str) -> None:
    body = {"name": "k", "permissions": ["read"], "sessionIds": [here.rpartition("/")[2]]}
    made = wagate.post("/keys", body)
    assert made["id"] in [each["id"] for each in wagate.get("/keys")["data"]]
    assert wagate.post(f"/keys/{made['id']}:rotate")["secret"] != made["secret"]
    assert wagate.ask("DELETE", f"/keys/{made['id']}").status == 204


def test_a_ticket_is_good_once_and_its_key_is_watched(wagate: SandboxGateway) -> None:
    gw = wagate.running.gw
    ticket = wagate.post("/realtime/ticket", {"events": ["message"]})["ticket"]
    wagate.run(tickets.must_be_known(gw, ticket))
    redeemed = wagate.run(tickets.redeem(gw, ticket))
    assert redeemed.names == frozenset({"message"})
    refused(wagate.ask("GET", f"/realtime?ticket={ticket}"), 401, "unauthorized")
    mine = wagate.run(keys.authenticate(gw, wagate.key)).key_id
    assert set(wagate.run(keys.standing(gw, [mine, "key_nothing"]))) == {mine}


def test_a_session_is_read_anew(wagate: SandboxGateway, here: str) -> None:
    gw, session = wagate.running.gw, here.rpartition("/")[2]
    wagate.run(backfills.start(gw, session))
    wagate.until(lambda: wagate.run(backfills.get(gw, session)).status == "succeeded")
    assert wagate.run(backfills.waiting(gw)) == []
    rows, _ = wagate.run(sessions.page_of_all(gw, Window(200)))
    assert session in [row.id for row in rows]


def test_the_network_ends_links(wagate: SandboxGateway) -> None:
    for what, reason in (("unlink", "unlinked"), ("replace", "replaced"), ("ban", "banned")):
        session = wagate.linked(f"999000004{len(what)}")["id"]
        wagate.ask("POST", f"/sandbox/sessions/{session}:{what}")
        wagate.until(lambda session=session: wagate.get(f"/sessions/{session}").get("statusReason"))  # type: ignore[misc]
        assert wagate.get(f"/sessions/{session}")["statusReason"] == reason


def test_webhooks(wagate: SandboxGateway) -> None:
    owner = organization(wagate)
    mine, gw = key(wagate, owner=owner), wagate.running.gw
    caller = wagate.run(keys.authenticate(gw, mine))
    session = wagate.ask("POST", "/sessions", {}, key=mine).body["id"]
    served = receiving(x=answer(), bad=answer(status="500 Oh"))
    server = wagate.run(served.__aenter__())

    def made(path: str, **more: Any) -> str:
        body = {"url": server.url + path, **more}
        return "/webhooks/" + str(wagate.ask("POST", "/webhooks", body, key=mine).body["id"])

    def stand(hook: str, status: str) -> list[Any]:
        return list(wagate.ask("GET", f"{hook}/deliveries?status={status}", key=mine).body["data"])

    wagate.run(happened(gw, caller, "before"))
    ordered, bad = made("/x", ordered=True, secret="s", sessionId=session), made("/bad", retryPolicy={"attempts": 1})
    slow = made("/bad", retryPolicy={"delaySeconds": 3600})
    wagate.run(happened(gw, caller, *map(str, range(6)), session=session))
    wagate.until(lambda: len(stand(ordered, "delivered")) == 6)
    ids = [each["id"] for each in got(server)]
    assert ids == sorted(ids)
    dead = wagate.until(lambda: (found := stand(bad, "dead"))[5:] and found)
    failed = wagate.until(lambda: (found := stand(slow, "failed"))[5:] and found)
    assert wagate.ask("PATCH", bad, {"url": server.url + "/x", "ordered": True}, key=mine).status == 200
    assert wagate.ask("POST", f"{bad}/deliveries/{dead[0]['id']}:replay", key=mine).status == 202
    assert wagate.ask("POST", f"{bad}:replay-dead", key=mine).status == 202
    wagate.until(lambda: len(stand(bad, "delivered")) == 6)
    assert wagate.ask("POST", f"{slow}/deliveries/{failed[0]['id']}:replay", key=mine).status == 202
    first = wagate.ask("GET", f"{ordered}/deliveries?limit=1", key=mine).body["data"][0]["id"]
    assert wagate.ask("POST", f"{ordered}/deliveries/{first}:replay", key=mine).status == 202
    wagate.until(lambda: len(stand(ordered, "delivered")) == 6)
    assert wagate.ask("POST", f"{ordered}:test", key=mine).body["status"] == "delivered"
    assert wagate.ask("GET", "/webhooks", key=mine).body["data"][2]["active"]
    far = later(wagate, 6 * DAY)
    due = wagate.run(attempts.claim(far, [((owner, slow.rpartition("/")[2]), 16)]))
    wagate.run(attempts.release(far, due))
    wagate.run(attempts.settle(far, [(each, attempts.Attempt(error="no")) for each in due]))
    assert not wagate.ask("GET", slow, key=mine).body["active"]
    assert wagate.ask("DELETE", slow, key=mine).status == 204
    wagate.run(served.__aexit__(None, None, None))


def test_what_time_alone_does(wagate: SandboxGateway, here: str) -> None:
    gw, engines = wagate.running.gw, wagate.running.engines
    before = events(wagate)
    ids = [each["id"] for each in before]
    assert ids == sorted(set(ids))
    uncertain = wagate.get(f"{here}/outbox?status=uncertain")["data"]
    assert uncertain
    # A key that was used a day ago is free, whether or not somebody has cleaned up.
    caller = wagate.run(keys.authenticate(gw, wagate.key))
    session = here.rpartition("/")[2]
    offer = outbox.Offer(
        chat="9990000002@s.whatsapp.net", content=TextContent(text="x"), mode="async", digest="", key="k"
    )
    assert wagate.run(outbox.accept(later(wagate, 2 * DAY), caller, session, offer)).replayed is False
    wagate.until(lambda: wagate.run(outbox.depth(gw)) == 0)
    mine, networks = wagate.run(leases.extend(gw))
    assert session in [lease.id for lease in mine]
    assert home(wagate) in networks
    doomed = wagate.linked("9990000051")["id"]
    picture = {"data": base64.b64encode(JPEG).decode()}
    wagate.post(f"/sessions/{doomed}/messages", {"type": "image", "to": "9990000002", "media": picture})
    wagate.ask("DELETE", f"/sessions/{doomed}")
    wagate.run(janitor.once(later(wagate, 4 * DAY), engines))
    assert wagate.get(f"{here}/outbox?status=uncertain")["data"] == []
    assert wagate.run(gw.db.one("SELECT COUNT(*) FROM outbox WHERE idempotency_key IS NOT NULL"))[0] == 0
    for table in ("outbox", "messages", "chats", "contacts", "groups", "members", "receipts", "media", "purges"):
        sql = f"SELECT COUNT(*) FROM {table} WHERE session_id = :id"
        assert wagate.run(gw.db.one(sql, id=doomed))[0] == 0, table
    wagate.run(janitor.once(later(wagate, 19 * DAY), engines))
    assert events(wagate) == []
    details = refused(wagate.ask("GET", f"/events?after={ids[0]}"), 410, "cursor_expired")
    assert details["oldest"] >= ids[-1]
    # A key is free after its day, and ids go on where they were.
    answer = wagate.ask("POST", f"{here}/messages", text("9990000003"), headers={"idempotency-key": "k"})
    assert answer.status == 200
    assert events(wagate)[0]["id"] > ids[-1]


def test_a_stranger_has_a_network_of_their_own(wagate: SandboxGateway) -> None:
    wagate.run(organizations.ensure(wagate.running.gw, "theirs"))
    wagate.run(organizations.ensure(wagate.running.gw, "theirs"))
    stranger = key(wagate, owner="theirs")
    assert wagate.ask("GET", "/sandbox/messages", key=stranger).body["data"] == []


def test_every_statement_was_run(wagate: SandboxGateway) -> None:
    """Last of all: what PostgreSQL's adapter has translated is what the life has run."""
    if not wagate.running.gw.db.__class__.__name__.startswith("Postgres"):
        return  # that adapter keeps no list
    ran = set(adapter._texts)
    missing = {where for where, sql in collected().items() if sql not in ran}
    others = test_dialects.STATEMENTS | test_newcomers.STATEMENTS | test_keys_kept.STATEMENTS
    assert missing - others == NEVER_ON_THE_SANDBOX


def test_it_starts_again_on_what_is_there(postgres: str, tmp_path: Path) -> None:
    name = f"journey_{next(_numbers)}"
    execute(postgres, f"CREATE DATABASE {name}")
    settings: dict[str, Any] = {"database_url": dsn(postgres.partition("?host=")[2], name)}
    with testing.gateway(tmp_path / "data", **settings) as first:
        session = first.linked("9990000001")["id"]
        sent = first.post(f"/sessions/{session}/messages", text("9990000002"))
        secret = first.key
    with testing.gateway(tmp_path / "data", **settings) as second:
        assert second.key == secret
        second.until(lambda: second.working(session))
        assert second.get(f"/sessions/{session}/messages/{sent['waMessageId']}")["body"] == "hello"
        assert second.post(f"/sessions/{session}/messages", text("9990000002"))["status"] == "sent"
