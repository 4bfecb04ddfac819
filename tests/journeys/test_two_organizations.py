"""Two organizations on one gateway: what one has does not exist for the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateways import key, organization, refused
from tests.support.lives import whole_log
from wagate.testing import Answer, SandboxGateway, gateway

ME, FRIEND = "9990000001", "9990000002"


@dataclass
class House:
    """One organization as its key sees the gateway."""

    gateway: SandboxGateway
    key: str
    session: str = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.gateway.ask(method, path, body, headers=given, key=self.key)

    def good(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.ask(method, path, body, **headers)
        assert 200 <= answer.status < 300, answer.body
        return answer.body

    def link(self) -> None:
        """A working session for `ME`."""
        self.session = self.good("POST", "/sessions", {"start": True})["id"]
        self.gateway.until(lambda: self.ask("GET", f"/sessions/{self.session}/qr").status == 200)
        self.good("POST", f"/sandbox/sessions/{self.session}:scan", {"phone": ME})
        self.gateway.until(lambda: self.good("GET", f"/sessions/{self.session}")["status"] == "working")

    def send(self, text: str, **headers: str) -> Answer:
        body = {"type": "text", "to": FRIEND, "text": text}
        return self.ask("POST", f"/sessions/{self.session}/messages", body, **headers)


def test_nothing_crosses(tmp_path: Path) -> None:
    with gateway(tmp_path / "wagate") as running:
        ours, theirs = House(running, running.key), House(running, key(running, owner=organization(running)))
        for house in (ours, theirs):
            house.link()
        sent = theirs.send("from them", idempotency_key="same")
        assert sent.status == 200
        group = theirs.good("POST", f"/sessions/{theirs.session}/groups", {"name": "G", "participants": [FRIEND]})

        not_there(ours, theirs.session, sent.body, group["groupJid"])
        # Nor through a session of one's own.
        not_there(ours, ours.session, sent.body, group["groupJid"])

        # The same key text, another body: nobody's business but each one's own.
        mine = ours.send("from us", idempotency_key="same")
        assert (mine.status, mine.body.get("replayed")) == (200, None)
        assert mine.body["waMessageId"] != sent.body["waMessageId"]
        # One number lives on both networks, and each phone shows its own.
        for house, text in ((ours, "from us"), (theirs, "from them")):
            shown = house.good("GET", f"/sandbox/messages?to={FRIEND}")["data"]
            assert [copy["content"]["text"] for copy in shown if copy["type"] == "text"] == [text]
            audit = house.good("GET", "/sandbox/audit")["data"]
            assert {frame["session"] for frame in audit if "session" in frame} == {house.session}
            assert [each["id"] for each in house.good("GET", "/sessions")["data"]] == [house.session]
        people_do_not_cross(ours, theirs)
        logs_do_not_cross(ours, theirs)


def not_there(house: House, session: str, sent: Any, group: str) -> None:
    own = session == house.session
    mid, entry = sent["waMessageId"], sent["outboxId"]
    asked = [
        ("GET", f"/messages/{mid}"), ("GET", f"/outbox/{entry}"), ("DELETE", f"/outbox/{entry}"),
        ("POST", f"/outbox/{entry}:retry"), ("POST", f"/outbox/{entry}:dismiss"), ("GET", f"/groups/{group}"),
        ("GET", f"/groups/{group}/members"),
    ]  # fmt: skip
    if not own:
        asked += [
            ("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/me"), ("GET", "/qr"), ("POST", ":start"),
            ("POST", ":stop"), ("POST", ":restart"), ("POST", ":logout"), ("GET", "/chats"), ("GET", "/groups"),
            ("GET", "/outbox"), ("GET", f"/chats/{FRIEND}@s.whatsapp.net/messages"), ("POST", "/messages"),
        ]  # fmt: skip
    for method, path in asked:
        body = {} if method == "PATCH" else None
        if path == "/messages":
            body = {"type": "text", "to": FRIEND, "text": "x"}
        refused(house.ask(method, f"/sessions/{session}{path}", body), 404, "not_found")
    if not own:
        refused(house.ask("GET", f"/events?session={session}"), 404, "not_found")
        for verb in ("scan", "drop", "unlink", "ban", "replace"):
            body = {} if verb in ("scan", "drop") else None
            refused(house.ask("POST", f"/sandbox/sessions/{session}:{verb}", body), 404)
        refused(house.ask("POST", "/sandbox/faults", {"kind": "refuse", "session": session}), 404)
    assert house.good("GET", f"/sandbox/messages?mid={mid}")["data"] == []
    refused(house.ask("GET", f"/sandbox/groups/{group}"), 404)


def people_do_not_cross(ours: House, theirs: House) -> None:
    ours.good("PATCH", f"/sandbox/people/{FRIEND}", {"online": False})
    ours.good("POST", "/sandbox/faults", {"kind": "refuse"})
    assert theirs.send("again").status == 200
    theirs.gateway.until(
        lambda: {copy["status"] for copy in theirs.good("GET", f"/sandbox/messages?to={FRIEND}")["data"]} == {"read"}
    )
    refused(ours.send("refused by the fault"), 422, "refused")
    ours.good("POST", "/sandbox/messages", {"from": FRIEND, "to": ME, "type": "text", "text": "for us"})
    ours.gateway.until(lambda: any(event["event"] == "message" for event in whole_log(ours.gateway, key=ours.key)))


def logs_do_not_cross(ours: House, theirs: House) -> None:
    logs = {house.session: whole_log(house.gateway, key=house.key) for house in (ours, theirs)}
    for session, log in logs.items():
        assert log
        assert {event["session"] for event in log} == {session}
        assert len({event["organization"] for event in log}) == 1
    assert logs[ours.session][0]["organization"] != logs[theirs.session][0]["organization"]
    assert not any(event["event"] == "message" for event in logs[theirs.session])
