"""What is said on the real library, over HTTP: votes by their labels, first contacts that wait."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.library import why_not
from tests.journeys.test_whatsapp import ANN, BEN, LONG, Town, town

__all__ = ["town"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
STRANGER, OTHER = "99900000055", "99900000056"


def told(town: Town, event: str, session: str) -> list[Any]:
    """The payloads of a session's events of one kind."""
    return [each["payload"] for each in town.log_of_events() if (each["event"], each["session"]) == (event, session)]


def test_votes_come_by_label_and_first_contacts_wait_while_they_must(town: Town) -> None:
    ann, ben = town.link(ANN), town.link(BEN)
    poll = {"type": "poll", "to": BEN, "name": "Which?", "options": ["red", "grün", "blue"], "selectableCount": 2}
    asked = town.post(f"/sessions/{ann}/messages", poll)
    wire_id = asked["waMessageId"]
    town.until(lambda: told(town, "message", ben), seconds=LONG)
    vote = {"chat": f"{ANN}@s.whatsapp.net", "sender": f"{ANN}@s.whatsapp.net", "options": ["blue", "grün"]}
    town.post(f"/sessions/{ben}/messages/{wire_id}/vote", vote)
    (voted,) = town.until(lambda: told(town, "poll.vote", ann), seconds=LONG)
    assert (voted["targetId"], voted["selectedOptions"]) == (wire_id, ["grün", "blue"])
    assert voted["senderJid"] == f"{BEN}@s.whatsapp.net"

    town.network.do("timelock")
    held = town.send(ann, STRANGER, "hello stranger", how="?async=true").body["outboxId"]
    refused = town.send(ann, OTHER, "hello")
    assert (refused.status, refused.body["error"]["details"]["reason"]) == (422, "timelocked")
    assert refused.body["error"]["details"]["certain"] is True
    known = town.send(ann, BEN, "still here")
    assert known.status == 200, known.body
    town.until(lambda: "still here" in town.heard(ben), seconds=LONG)
    assert town.get(f"/sessions/{ann}/outbox/{held}")["status"] in ("queued", "pending")
    assert refused.body["error"]["details"]["retryAfterSeconds"] > 0
    # The next process knows of it; when the hour is over one is tried, and what waited goes out.
    town.network.do("timelock", False)
    town.kill()
    town.start(turned=3700)
    town.until(lambda: town.get(f"/sessions/{ann}/outbox/{held}")["status"] == "sent", seconds=LONG)
