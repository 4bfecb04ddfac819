"""A restart, by a kill, keeps everything: links, groups, people, faults, what was under way in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import refused
from tests.support.lives import Life, life

ME, YOU, FRIEND, SHY = "9990000001", "9990000002", "9990000003", "9994000001"


def until_working(gateway: Life, *sessions: str) -> None:
    gateway.until(lambda: all(gateway.working(session) for session in sessions))


def text(to: str, words: str) -> dict[str, str]:
    return {"type": "text", "to": to, "text": words}


@pytest.mark.slow
def test_a_restart_keeps_links_groups_people_and_faults(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway:
        mine, yours = gateway.linked(ME)["id"], gateway.linked(YOU)["id"]
        stopped = gateway.linked("9990000009")["id"]
        gateway.post(f"/sessions/{stopped}:stop")
        unlinked = gateway.post("/sessions")["id"]
        gateway.ask("PATCH", f"/sandbox/people/{FRIEND}", {"name": "Renamed", "about": "here"})
        made = gateway.post(f"/sessions/{mine}/groups", {"name": "Kept", "participants": [YOU, FRIEND]})
        there = made["groupJid"]
        gateway.ask("PATCH", f"/sessions/{mine}/groups/{there}", {"subject": "Kept on", "announce": True})
        gateway.post(f"/sessions/{mine}/groups/{there}/members/{YOU}@s.whatsapp.net/promote")
        gateway.until(lambda: gateway.ask("GET", f"/sessions/{yours}/groups/{there}").status == 200)
        gateway.post("/sandbox/faults", {"session": mine, "kind": "refuse"})
        before = remembered(gateway, mine, there)

        gateway.kill()
        gateway.start()
        until_working(gateway, mine, yours)
        assert remembered(gateway, mine, there) == before
        assert gateway.get(f"/sessions/{stopped}")["status"] == "stopped"
        assert gateway.get(f"/sessions/{unlinked}")["status"] == "stopped"
        # Nobody was asked to scan anything.
        refused(gateway.ask("GET", f"/sessions/{mine}/qr"), 400)
        statuses = gateway.get(f"/events?limit=200&session={mine}&events=session.status")["data"]
        assert [event["payload"]["status"] for event in statuses].count("scan_qr_code") == 1
        # The fault was not spent: it meets the next send, and that one only.
        refused(gateway.ask("POST", f"/sessions/{mine}/messages", text(FRIEND, "refused")), 422, "refused")
        assert gateway.post(f"/sessions/{mine}/messages", text(FRIEND, "sent"))["status"] != "failed"
        # Whoever reads the log knows that it was away.
        assert [event["payload"]["status"] for event in statuses][-3:] == ["working", "starting", "working"]
        gateway.post(f"/sessions/{stopped}:start")
        until_working(gateway, stopped)


def remembered(gateway: Life, session: str, group: str) -> list[Any]:
    """What a client sees of a session, the group, and the network's truth about it."""
    me = gateway.get(f"/sessions/{session}/me")
    members = gateway.get(f"/sessions/{session}/groups/{group}/members")["data"]
    seen = gateway.get(f"/sessions/{session}/groups/{group}")
    invite = gateway.get(f"/sessions/{session}/groups/{group}/invite")
    stored = {(member["lid"], member["role"], member.get("phoneNumber")) for member in members}
    facts = {name: seen.get(name) for name in ("subject", "isAnnounce", "isLocked", "ownerJid", "participantCount")}
    return [me, stored, facts, invite, gateway.get(f"/sandbox/groups/{group}")]


@pytest.mark.slow
def test_what_came_while_a_session_was_away_arrives_once(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway:
        mine, yours = gateway.linked(ME)["id"], gateway.linked(YOU)["id"]
        gateway.post(f"/sessions/{yours}:stop")
        for number in range(20):
            gateway.post("/sandbox/messages", {"from": FRIEND, **text(YOU, f"person {number}")})
        sent = [gateway.post(f"/sessions/{mine}/messages", text(YOU, f"session {n}")) for n in range(20)]
        off = gateway.post(f"/sessions/{mine}/messages", text("9992000001", "phone is off"))
        gateway.kill()
        gateway.start()
        until_working(gateway, mine)
        shown = gateway.get(f"/sandbox/messages?to={YOU}&from={ME}&limit=200")["data"]
        assert {copy["status"] for copy in shown} == {"sent"}
        gateway.post(f"/sessions/{yours}:start")
        until_working(gateway, yours)
        gateway.until(lambda: len(incoming(gateway, yours)) >= 40)
        gateway.kill()
        gateway.start()
        until_working(gateway, mine, yours)
        assert incoming(gateway, yours) == [f"person {n}" for n in range(20)] + [f"session {n}" for n in range(20)]
        for one in sent:
            gateway.until(lambda one=one: status(gateway, mine, one) == "delivered")
        # The phone that was off gets its message from a later life, too.
        assert status(gateway, mine, off) == "sent"
        gateway.ask("PATCH", "/sandbox/people/9992000001", {"online": True})
        gateway.until(lambda: status(gateway, mine, off) in ("delivered", "read"))


@pytest.mark.slow
def test_accepted_sends_and_invites_outlive_a_kill(tmp_path: Path) -> None:
    with life(tmp_path / "data", send_timeout="2") as gateway:
        mine = gateway.linked(ME)["id"]
        added = gateway.ask(
            "POST", f"/sessions/{mine}/groups", {"name": "G", "participants": [FRIEND]}
        ).body["groupJid"]  # fmt: skip
        old = gateway.get(f"/sessions/{mine}/groups/{added}/invite")["invite"]
        new = gateway.ask("DELETE", f"/sessions/{mine}/groups/{added}/invite").body["invite"]
        gateway.post(f"/sandbox/sessions/{mine}:drop", {"seconds": 3})
        gateway.until(lambda: gateway.get(f"/sessions/{mine}")["status"] == "starting")
        queued = [gateway.post(f"/sessions/{mine}/messages?async=true", text(FRIEND, f"{n}")) for n in range(10)]
        gateway.kill()
        gateway.start()
        gateway.until(lambda: status(gateway, mine, queued[-1]) == "read")
        shown = gateway.get(f"/sandbox/messages?to={FRIEND}&limit=200")["data"]
        assert [copy["content"]["text"] for copy in shown if copy["type"] == "text"] == [f"{n}" for n in range(10)]
        refused(gateway.ask("POST", f"/sandbox/groups/{added}:join", {"phone": SHY, "invite": old}), 400)
        gateway.post(f"/sandbox/groups/{added}:join", {"phone": SHY, "invite": new})


def incoming(gateway: Life, session: str) -> list[str]:
    events = gateway.get(f"/events?limit=200&session={session}&events=message")["data"]
    return [event["payload"]["body"] for event in events]


def status(gateway: Life, session: str, sent: Any) -> str | None:
    answer = gateway.ask("GET", f"/sessions/{session}/messages/{sent['waMessageId']}")
    return answer.body["status"] if answer.status == 200 else None
