"""One story on the sandbox that causes every event, and the example of each that the reference prints.

`python -m tests.docs.story` tells it anew and writes `examples.json`: for each event the envelope that has the most to
say. It is told by hand, because every telling has other ids and times; the tests beside this file see that what is kept
still fits the payloads, and that the story still causes what the reference shows.
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from wagate.testing import SandboxGateway, gateway

EXAMPLES = Path(__file__).with_name("examples.json")

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ME, ANN, BEN, CAROL = "9990000001", "9990000002", "9990000003", "9990000004"


def told() -> list[dict[str, Any]]:
    """Tell the story to a fresh gateway; every event of it, in order."""
    told_so = {"clock": "manual", "log_level": "error", "allowed_networks": ("127.0.0.1/32",)}
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder), **told_so) as wagate:
        tell(wagate)
        return events(wagate)


def events(wagate: SandboxGateway) -> list[dict[str, Any]]:
    """The whole log."""
    found: list[dict[str, Any]] = []
    page = wagate.get("/events?limit=200")
    while page["data"]:
        found += page["data"]
        page = wagate.get(f"/events?limit=200&after={page['nextCursor']}")
    return found


def tell(wagate: SandboxGateway) -> None:
    """Cause every event that the sandbox can."""
    session = wagate.linked(ME)
    here = f"/sessions/{session['id']}"
    _in_a_chat(wagate, here)
    _in_a_poll(wagate, here)
    _in_a_group(wagate, here)
    _around(wagate, here)
    hook = _a_webhook(wagate)
    wagate.post(f"/sandbox{here}:replace")
    seen(wagate, "session.status", status="failed")
    _it_never_answers(wagate, hook)


def _in_a_chat(wagate: SandboxGateway, here: str) -> None:
    asked = wagate.post(f"{here}/messages", {"type": "text", "to": ANN, "text": "A picture of it?"})["waMessageId"]
    wagate.advance(1)
    shown = {
        "from": ANN,
        "to": ME,
        "type": "image",
        "media": {"data": PNG, "caption": "Here it is", "filename": "it.png"},
        "replyTo": asked,
        "mentions": [ME],
    }
    picture = wagate.post("/sandbox/messages", shown)["waMessageId"]
    wagate.post("/sandbox/messages", {"from": ANN, "to": ME, "type": "location", "latitude": 59.91, "longitude": 10.75})
    wagate.post(f"{here}/messages/{picture}/reaction", {"chat": ANN, "emoji": "❤"})
    wagate.post(f"/sandbox/messages/{asked}:react", {"from": ANN, "emoji": "👍"})
    wagate.post(f"/sandbox/messages/{picture}:edit", {"from": ANN, "text": "Here it was"})
    wagate.post(f"/sandbox/messages/{picture}:revoke", {"from": ANN})
    seen(wagate, "message.revoked")
    refused = wagate.ask("POST", f"{here}/messages", {"type": "text", "to": "9997000001", "text": "?"})
    assert refused.status == 422


def _in_a_poll(wagate: SandboxGateway, here: str) -> None:
    poll = {
        "type": "poll",
        "to": ANN,
        "name": "Lunch?",
        "options": ["Soup", "Salad"],
        "pollEndTime": wagate.running.gw.clock.now() + 3_600_000,
    }
    poll_id = wagate.post(f"{here}/messages", poll)["waMessageId"]
    wagate.post(f"/sandbox/messages/{poll_id}:vote", {"from": ANN, "options": ["Soup"]})
    seen(wagate, "poll.vote")
    wagate.advance(3600)
    seen(wagate, "poll.recap")


def _in_a_group(wagate: SandboxGateway, here: str) -> None:
    asked = {"owner": ME, "subject": "Friends", "participants": [ANN], "approveJoins": True}
    group = wagate.post("/sandbox/groups", asked)["groupJid"]
    wagate.post(f"/sandbox/groups/{group}:request", {"phone": BEN})
    wagate.until(lambda: wagate.ask("GET", f"{here}/groups/{group}").status == 200)
    wagate.post(f"{here}/groups/{group}/members:approve", {"participants": [BEN]})
    assert wagate.ask("PATCH", f"{here}/groups/{group}", {"subject": "Good friends"}).status == 204
    seen(wagate, "group.update", subject="Good friends")
    picture = {"media": {"data": base64.b64encode(_JPEG).decode()}}
    assert wagate.ask("PUT", f"{here}/groups/{group}/picture", picture).status == 200
    seen(wagate, "chat.update")


def _around(wagate: SandboxGateway, here: str) -> None:
    wagate.get(f"{here}/chats/{ANN}/presence")
    wagate.ask("PATCH", f"/sandbox/people/{ANN}", {"typing": True})
    wagate.ask("PATCH", f"/sandbox/people/{ANN}", {"online": False})
    seen(wagate, "presence.update", state="unavailable")
    wagate.ask("PATCH", f"/sandbox/people/{ANN}", {"name": "Ann"})
    seen(wagate, "contact.update", pushName="Ann")
    wagate.post(f"/sandbox/people/{BEN}:call", {"to": ME})
    seen(wagate, "call.incoming")
    wagate.post(f"{here}/channels", {"name": "News"})
    seen(wagate, "newsletter.update")


def _a_webhook(wagate: SandboxGateway) -> str:
    """A webhook where nobody listens."""
    asked = {"url": "http://127.0.0.1:1/", "events": ["session.status"], "retryPolicy": {"attempts": 50}}
    hook = f"/webhooks/{wagate.post('/webhooks', asked)['id']}"
    wagate.post(f"{hook}:test")
    return hook


def _it_never_answers(wagate: SandboxGateway, hook: str) -> None:
    wagate.until(lambda: wagate.get(f"{hook}/deliveries?status=failed")["data"])
    wagate.advance(5 * 86_400 + 3600)
    seen(wagate, "webhook.disabled")


def seen(wagate: SandboxGateway, name: str, **payload: Any) -> dict[str, Any]:
    """Wait for an event of this name that says this; its envelope."""

    def found() -> dict[str, Any] | None:
        log = [each for each in events(wagate) if each["event"] == name]
        fitting = [each for each in log if payload.items() <= each["payload"].items()]
        return fitting[-1] if fitting else None

    return wagate.until(found)


def best(log: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each event the envelope with the most to say, the last of equals."""
    chosen: dict[str, dict[str, Any]] = {}
    for event in log:
        before = chosen.get(event["event"])
        if before is None or len(event["payload"]) >= len(before["payload"]):
            chosen[event["event"]] = event
    return chosen


_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////"
    "////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)

if __name__ == "__main__":
    EXAMPLES.write_bytes(msgspec.json.format(msgspec.json.encode(best(told())), indent=2) + b"\n")
