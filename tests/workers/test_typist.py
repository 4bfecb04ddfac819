"""Typing is shown where a session wants it, in proportion, and never instead of the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import text
from wagate import testing
from wagate.testing import SandboxGateway
from wagate.workers import typist


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data") as gateway:
        yield gateway


def frames(wagate: SandboxGateway) -> list[str]:
    return [each["kind"] for each in wagate.get("/sandbox/audit?limit=200")["data"]]


@pytest.mark.parametrize(("letters", "expected"), [(0, 0.0), (10, 0.5), (60, 3.0), (65_536, 3.0)])
def test_long_texts_take_longer_and_none_takes_more_than_three_seconds(letters: int, expected: float) -> None:
    assert typist.seconds("x" * letters) == pytest.approx(expected)


def test_nothing_is_shown_unless_the_session_wants_it(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000001")["id"]
    wagate.post(f"/sessions/{session}/messages", text("9990000002", "hi"))
    assert not [kind for kind in frames(wagate) if kind.startswith("presence")]


def test_typing_is_shown_before_a_text_and_before_nothing_else(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000003", presenceTyping=True)["id"]
    poll: dict[str, Any] = {"type": "poll", "to": "9990000002", "name": "q", "options": ["a", "b"]}
    before = len(frames(wagate))
    assert wagate.post(f"/sessions/{session}/messages", poll)["status"] == "sent"
    assert wagate.post(f"/sessions/{session}/messages", text("9990000002", "hi"))["status"] == "sent"
    assert [kind for kind in frames(wagate)[before:] if kind in ("message", "presence.composing")] == [
        "message", "presence.composing", "message",
    ]  # fmt: skip


def test_a_change_of_mind_holds_from_the_next_text_on(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000004", presenceTyping=True)["id"]
    assert wagate.ask("PATCH", f"/sessions/{session}", {"presenceTyping": False}).status == 200
    before = len(frames(wagate))
    wagate.post(f"/sessions/{session}/messages", text("9990000002", "hi"))
    assert "presence.composing" not in frames(wagate)[before:]


def test_a_clock_that_nobody_turns_holds_no_text_up(tmp_path: Path) -> None:
    with testing.gateway(tmp_path / "data", clock="manual", send_timeout=2) as wagate:
        session = wagate.linked("9990000001", presenceTyping=True)["id"]
        assert wagate.post(f"/sessions/{session}/messages", text("9990000002", "x" * 500))["status"] == "sent"
