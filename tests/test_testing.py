"""The plugin for users' tests: a whole gateway, and a client that waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from wagate import testing
from wagate.bootstrap import CannotStart
from wagate.testing import Failed, SandboxGateway

pytest_plugins = ["wagate.testing"]


def test_what_fails_is_told_with_its_answer(wagate: SandboxGateway) -> None:
    with pytest.raises(Failed, match=r"GET /sessions/nobody → 404: .*not_found"):
        wagate.get("/sessions/nobody")


def test_waiting_ends_at_the_deadline(wagate: SandboxGateway) -> None:
    with pytest.raises(AssertionError, match="not within"):
        wagate.until(lambda: None, seconds=0.05)
    assert wagate.until(lambda: 7) == 7


def test_a_bot_is_tested_from_end_to_end(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000001")
    assert (session["status"], session["phoneNumber"]) == ("working", "9990000001")
    assert session["ratePerMin"] == session["ratePerHour"] == 0
    wagate.post("/sandbox/messages", {"type": "text", "from": "9990000002", "to": "9990000001", "text": "hello"})
    (said,) = wagate.until(lambda: wagate.get("/events?events=message")["data"])
    answer = {"type": "text", "to": said["payload"]["chatJid"], "text": "hello yourself"}
    assert wagate.post(f"/sessions/{session['id']}/messages", answer)["status"] == "sent"
    (shown,) = wagate.get("/sandbox/messages?to=9990000002")["data"]
    assert shown["content"]["text"] == "hello yourself"


def test_the_clock_is_turned_only_where_it_is_manual(wagate: SandboxGateway, tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"409: .*WAGATE_CLOCK=manual"):
        wagate.advance(1)
    with testing.gateway(tmp_path / "turned", clock="manual") as turned:
        before = turned.running.gw.clock.now()
        turned.advance(3600)
        assert turned.running.gw.clock.now() == before + 3_600_000


def test_any_credential_may_be_tried(wagate: SandboxGateway) -> None:
    assert wagate.ask("GET", "/sessions").status == 200
    assert wagate.ask("GET", "/sessions", key="").status == 401
    bearer = {"authorization": f"Bearer {wagate.key}"}
    assert wagate.ask("GET", "/sessions", key="", headers=bearer).status == 200


def test_two_gateways_live_side_by_side_and_end_cleanly(tmp_path: Path) -> None:
    with testing.gateway(tmp_path / "a") as one, testing.gateway(tmp_path / "b") as two:
        assert one.url != two.url
        one.post("/sessions")
        assert two.get("/sessions")["data"] == []
    with testing.gateway(tmp_path / "a") as again:
        assert len(again.get("/sessions")["data"]) == 1


def test_a_gateway_that_cannot_start_says_why(tmp_path: Path) -> None:
    with testing.gateway(tmp_path / "a"):
        pass
    with pytest.raises(CannotStart, match="demo key"), testing.gateway(tmp_path / "a", host="0.0.0.0"):
        pass
