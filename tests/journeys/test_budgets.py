"""The send budget, with the clock turned by hand: over it a sync send is refused and an async one waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import refused
from wagate.testing import Answer, SandboxGateway, gateway

FRIENDS = [f"999000002{n}" for n in range(6)]


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose time stands still unless it is turned; each test has sessions of its own."""
    with gateway(tmp_path_factory.mktemp("turned") / "wagate", clock="manual") as running:
        yield running


def send(running: SandboxGateway, session: str, to: str, *, asynchronous: bool = False, key: str = "") -> Answer:
    path = f"/sessions/{session}/messages" + ("?async=true" if asynchronous else "")
    headers = {"idempotency-key": key} if key else {}
    return running.ask("POST", path, {"type": "text", "to": to, "text": "hello"}, headers=headers)


def turn(running: SandboxGateway, seconds: float) -> None:
    running.post("/sandbox/clock", {"advanceSeconds": seconds})


def status(running: SandboxGateway, session: str, answer: Answer) -> str:
    entry: Any = running.get(f"/sessions/{session}/outbox/{answer.body['outboxId']}")
    return str(entry["status"])


def over_budget(answer: Answer, *, most: int) -> int:
    """The seconds that a refused sender is told to wait, the same in header and body."""
    seconds = refused(answer, 429, "rate_limited")["retryAfterSeconds"]
    assert 1 <= seconds <= most
    assert answer.headers["retry-after"] == str(seconds)
    return int(seconds)


def test_the_third_send_of_a_minute_is_refused_and_told_when_to_come_back(turned: SandboxGateway) -> None:
    session = turned.linked(ratePerMin=2)["id"]
    for friend in FRIENDS[:2]:
        assert send(turned, session, friend, key=friend).status == 200
    seconds = over_budget(send(turned, session, FRIENDS[2], key="third"), most=60)
    # A known key is answered before the budget is looked at, and costs nothing.
    assert send(turned, session, FRIENDS[0], key=FRIENDS[0]).body["replayed"] is True
    turn(turned, seconds - 1)
    over_budget(send(turned, session, FRIENDS[2], key="third"), most=1)
    turn(turned, 1)
    # The refusals did not bind the key, and did not count.
    third = send(turned, session, FRIENDS[2], key="third")
    assert (third.status, third.body.get("replayed")) == (200, None)


def test_async_sends_wait_for_the_budget_and_nobody_overtakes_them(turned: SandboxGateway) -> None:
    me = turned.linked(ratePerMin=2)
    session = me["id"]
    queued = [send(turned, session, friend, asynchronous=True) for friend in FRIENDS[:5]]
    assert [answer.status for answer in queued] == [202] * 5
    turned.until(lambda: [status(turned, session, each) for each in queued][1] != "queued")
    turned.until(lambda: "pending" not in [status(turned, session, each) for each in queued])
    assert [status(turned, session, each) == "queued" for each in queued] == [False, False, True, True, True]
    over_budget(send(turned, session, FRIENDS[5]), most=60)
    turn(turned, 61)
    turned.until(lambda: status(turned, session, queued[3]) not in ("queued", "pending"))
    assert status(turned, session, queued[4]) == "queued"
    over_budget(send(turned, session, FRIENDS[5]), most=60)
    turn(turned, 61)
    turned.until(lambda: status(turned, session, queued[4]) not in ("queued", "pending"))
    assert send(turned, session, FRIENDS[5]).status == 200
    shown = [copy["recipient"] for copy in turned.get(f"/sandbox/messages?from={me['phoneNumber']}")["data"]]
    assert shown == [f"{friend}@s.whatsapp.net" for friend in FRIENDS]


def test_the_hour_counts_too_and_each_session_for_itself(turned: SandboxGateway) -> None:
    session, other = turned.linked(ratePerHour=2)["id"], turned.linked(ratePerHour=2)["id"]
    for friend in FRIENDS[:2]:
        assert send(turned, session, friend).status == 200
    assert over_budget(send(turned, session, FRIENDS[2]), most=3600) > 60
    assert send(turned, other, FRIENDS[2]).status == 200
    turn(turned, 3600)
    assert send(turned, session, FRIENDS[2]).status == 200


def test_nought_is_unlimited_and_a_raised_rate_counts_at_once(turned: SandboxGateway) -> None:
    session = turned.linked(ratePerMin=1)["id"]
    assert send(turned, session, FRIENDS[0]).status == 200
    waiting = send(turned, session, FRIENDS[1], asynchronous=True)
    over_budget(send(turned, session, FRIENDS[2]), most=60)
    turned.ask("PATCH", f"/sessions/{session}", {"ratePerMin": 0})
    turned.until(lambda: status(turned, session, waiting) not in ("queued", "pending"))
    for _ in range(30):
        assert send(turned, session, FRIENDS[2]).status == 200


def test_a_new_session_has_the_servers_budget_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    with gateway(tmp_path / "wagate", default_rate_per_min=1) as running:
        session = running.linked(ratePerMin=1)["id"]
        assert running.post("/sessions")["ratePerMin"] == 1
        assert send(running, session, FRIENDS[0]).status == 200
        queued = send(running, session, FRIENDS[1], asynchronous=True)
    with gateway(tmp_path / "wagate") as running:
        running.until(lambda: running.working(session))
        over_budget(send(running, session, FRIENDS[2]), most=60)
        assert status(running, session, queued) == "queued"
