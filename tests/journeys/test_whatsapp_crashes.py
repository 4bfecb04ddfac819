"""Native code that dies, and a gateway that is killed, on the real library: nothing is shown twice or stays queued."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.library import why_not
from tests.journeys.test_whatsapp import ANN, BEN, LONG, Town, settled, settled_town
from tests.support.whatsapp import alive
from wagate.gateway.outbox import IN_FLIGHT
from wagate.testing import Answer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
PANIC = signal.SIGUSR1
"""What the hosts of a town take as a wish for a native panic; see tests/emulator/trusting."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with settled_town(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture(scope="module")
def people(town: Town) -> tuple[str, str]:
    """The sessions of two who talk."""
    return town.link(ANN), town.link(BEN)


def crash(town: Town, number: signal.Signals) -> None:
    """Let every host die as native code dies, and see that it is gone."""
    hosts = town.hosts()
    assert hosts
    for pid in hosts:
        os.kill(pid, number)
    gone(hosts)


def gone(pids: list[int]) -> None:
    """See that these processes end."""
    deadline = time.monotonic() + LONG
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "a host outlives its end"
        time.sleep(0.05)


def through_a_crash(town: Town, people: tuple[str, str], number: signal.Signals, count: int) -> None:
    """Send, let the host die after a third, and see what became of each."""
    ann, ben = people
    words = [f"{number.name} {turn}" for turn in range(count)]
    # Late acknowledgements: at any moment some sends are under way.
    town.network.do("delay", 0.05)
    queued = [town.send(ann, BEN, each, how="?async=true").body["outboxId"] for each in words]
    town.until(lambda: sum(each in town.heard(ben) for each in words) >= count // 3, seconds=LONG)
    crash(town, number)
    town.network.do("delay", 0)
    ends = town.until(lambda: settled(town, ann, queued), seconds=LONG)
    assert Counter(ends)["uncertain"] <= IN_FLIGHT, Counter(ends)
    assert Counter(ends)["sent"] >= count // 3
    sent = {text for text, end in zip(words, ends, strict=True) if end == "sent"}
    for session in people:
        town.until(lambda id=session: town.working(id), seconds=LONG)
    last = f"{number.name} afterwards"
    assert town.send(ann, BEN, last).status == 200
    town.until(lambda: sent | {last} <= set(town.heard(ben)), seconds=LONG)
    shown = Counter(town.heard(ben))
    assert not [text for text, times in shown.items() if times > 1], "nothing is shown twice"
    assert not [text for text, end in zip(words, ends, strict=True) if end == "failed" and text in shown]
    if number is PANIC:
        assert "nil pointer dereference" in town.log()


@pytest.mark.parametrize("number", [signal.SIGABRT, PANIC])
def test_a_native_crash_amid_sends_shows_nothing_twice_and_leaves_nothing_queued(
    town: Town, people: tuple[str, str], number: signal.Signals
) -> None:
    through_a_crash(town, people, number, 24)


@pytest.mark.long
def test_a_native_crash_amid_a_hundred_sends(town: Town, people: tuple[str, str]) -> None:
    # A gateway that never saw these sessions' hosts die.
    town.kill()
    town.start()
    for session in people:
        town.until(lambda id=session: town.working(id), seconds=LONG)
    through_a_crash(town, people, signal.SIGBUS, 100)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_forty_sessions_come_back_after_a_killed_gateway_and_hear_everything_once(tmp_path: Path) -> None:
    numbers = [f"9990000{number:04}" for number in range(100, 140)]
    with settled_town(tmp_path) as town:
        outside = Town(tmp_path / "outside", town.network, default_rate_per_min="0", default_rate_per_hour="0")
        outside.start()
        try:
            speaker = outside.link(ANN)
            with ThreadPoolExecutor(3) as pool:
                sessions = dict(zip(numbers, pool.map(town.link, numbers), strict=True))
            say_to_all(outside, speaker, numbers, "before")
            hosts = town.hosts()
            # Amid what they say to one another.
            with ThreadPoolExecutor(4) as pool:
                said = [
                    pool.submit(town.try_to, "POST", f"/sessions/{id}/messages?async=true", greeting(numbers[turn - 1]))
                    for turn, id in enumerate(sessions.values())
                ]
                said[10].result()
                town.kill()
                answers = [each.result() for each in said]
            say_to_all(outside, speaker, numbers, "meanwhile")
            gone(hosts)
            town.start()
            everybody_works(town, sessions)
            say_to_all(outside, speaker, numbers, "after")
            wanted = {(id, f"{word} {number}") for number, id in sessions.items() for word in WORDS}
            town.until(lambda: wanted <= {*heard(town, ANN)}, seconds=4 * LONG)
            told = Counter(heard(town, ANN))
            assert not [each for each, times in told.items() if times > 1]
            outboxes = [(id, ended(answer)) for id, answer in zip(sessions.values(), answers, strict=True) if answer]
            for id, entry in outboxes:
                town.until(lambda id=id, entry=entry: settled(town, id, [entry]), seconds=LONG)
            greetings = Counter(who for who, text in heard(town) if text == "good morning")
            assert max(greetings.values()) == 1
        finally:
            outside.kill()
        state = town.network.do("state")
        assert not [number for number, each in state["people"].items() if each["collisions"]]


WORDS = ("before", "meanwhile", "after")


def say_to_all(town: Town, speaker: str, numbers: list[str], word: str) -> None:
    """A message to each, sent: the network has it."""
    queued = [town.send(speaker, each, f"{word} {each}", how="?async=true").body["outboxId"] for each in numbers]
    ends = town.until(lambda: settled(town, speaker, queued), seconds=4 * LONG)
    assert set(ends) == {"sent"}, ends


def greeting(to: str) -> Any:
    """What each says to its neighbour."""
    return {"type": "text", "to": to, "text": "good morning"}


def ended(answer: Answer) -> str:
    """The entry of what was accepted."""
    assert answer.status == 202, answer.body
    return str(answer.body["outboxId"])


def heard(town: Town, sender: str = "") -> list[tuple[str, str]]:
    """Who heard what, from whom it is asked or from anybody."""
    told = [each for each in town.log_of_events() if each["event"] == "message"]
    return [(each["session"], each["payload"]["body"]) for each in told if sender in str(each["payload"])]


def everybody_works(town: Town, sessions: dict[str, str]) -> None:
    """Wait until all are back, and see that nobody was linked anew or had to give way to another socket."""
    town.until(lambda: all(map(town.working, sessions.values())), seconds=4 * LONG)
    changes = [each["payload"] for each in town.log_of_events() if each["event"] == "session.status"]
    assert not [each for each in changes if each.get("reason")], changes
