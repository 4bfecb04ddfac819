"""A poll ends: it is counted once, whatever happened to the process in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.lives import Life, life

POLL = {"type": "poll", "to": "9990000002", "name": "Lunch?", "options": ["soup", "salad"], "selectableCount": 0}


def recaps(gateway: Life) -> list[Any]:
    return [each["payload"] for each in gateway.log_of_events() if each["event"] == "poll.recap"]


def test_a_poll_is_counted_once_across_lives(tmp_path: Path) -> None:
    with life(tmp_path / "data", clock="manual") as gateway:
        session = gateway.linked("9990000001")["id"]
        now = gateway.get(f"/sessions/{session}")["updatedAt"]
        sends = f"/sessions/{session}/messages"
        ids = [
            gateway.post(sends, {**POLL, "pollEndTime": now + 3_600_000, "pollHideVotes": hidden})["waMessageId"]
            for hidden in (False, True)
        ]
        for wire_id in ids:
            gateway.post(f"/sandbox/messages/{wire_id}:vote", {"from": "9990000002", "options": ["soup"]})
            gateway.post(f"/sandbox/messages/{wire_id}:vote", {"from": "9990000002", "options": ["salad"]})
            gateway.post(f"{sends}/{wire_id}/vote", {"chat": "9990000002", "options": ["salad", "soup"]})
        gateway.until(lambda: len([e for e in gateway.log_of_events() if e["event"] == "poll.vote"]) == 6)
        gateway.kill()
        gateway.start()
        assert recaps(gateway) == []
        gateway.post("/sandbox/clock", {"advanceSeconds": 7200})
        gateway.until(lambda: len(recaps(gateway)) == 2)
        gateway.kill()
        gateway.start()
        gateway.post("/sandbox/clock", {"advanceSeconds": 7200})
        told = {recap["pollMessageId"]: recap for recap in recaps(gateway)}
        assert sorted(told) == sorted(ids)
        for recap in told.values():
            assert [each["count"] for each in recap["options"]] == [1, 2]
            assert recap["totalVotes"] == 2
        assert "voters" not in told[ids[1]]
        assert sorted((each["voterId"], each["selectedOptions"]) for each in told[ids[0]]["voters"]) == [
            ("9990000001@s.whatsapp.net", ["soup", "salad"]),
            ("9990000002@s.whatsapp.net", ["salad"]),
        ]
        assert len(recaps(gateway)) == 2
