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


def test_a_native_crash_amid_a_hundred_sends(town: Town, people: tuple[str, str]) -> None:
    ann, ben = people
    chats = [BEN, *(group(town, ann, f"Team {number}") for number in range(3))]
    words = [f"word {turn}" for turn in range(100)]
    first = queue(town, ann, words[:34], chats)
    town.until(lambda: settled(town, ann, first) == ["sent"] * len(first), seconds=LONG)
    # Nothing is acknowledged any more: in each chat one send is under way, one of them is shown, for the library sends
    # one after the other, and all others wait.
    town.network.do("delay", 300)
    more = queue(town, ann, words[34:], chats)
    town.until(lambda: len(pending(town, ann)) == len(chats), seconds=LONG)
    town.until(lambda: set(words[34:]) & set(town.heard(ben)), seconds=LONG)
    under_way = pending(town, ann)
    town.network.do("delay", 0)
    crash(town, PANIC)
    assert "nil pointer dereference" in town.log()
    ends = town.until(lambda: settled(town, ann, first + more), seconds=LONG)
    assert {id for id, end in zip(first + more, ends, strict=True) if end == "uncertain"} == under_way
    assert Counter(ends) == {"sent": len(words) - len(under_way), "uncertain": len(under_way)}
    sent = {text for text, end in zip(words, ends, strict=True) if end == "sent"}
    town.until(lambda: sent <= set(town.heard(ben)), seconds=LONG)
    assert_all_work(town, people, "after the panic")
    assert not [text for text, times in Counter(town.heard(ben)).items() if times > 1], "nothing is shown twice"


def test_a_crash_at_any_moment_shows_nothing_twice_and_leaves_nothing_queued(
    town: Town, people: tuple[str, str]
) -> None:
    ann, ben = people
    words = [f"turn {turn}" for turn in range(24)]
    # Late acknowledgements: at any moment a send is under way.
    town.network.do("delay", 0.05)
    queued = queue(town, ann, words, [BEN])
    town.until(lambda: len(set(town.heard(ben)) & set(words)) >= len(words) // 3, seconds=LONG)
    crash(town, signal.SIGABRT)
    town.network.do("delay", 0)
    ends = town.until(lambda: settled(town, ann, queued), seconds=LONG)
    assert Counter(ends)["uncertain"] <= 1, "in a chat they go out one after the other"
    of = dict(zip(words, ends, strict=True))
    sent = {text for text, end in of.items() if end == "sent"}
    town.until(lambda: sent <= set(town.heard(ben)), seconds=LONG)
    assert_all_work(town, people, "after the abort")
    shown = Counter(town.heard(ben))
    assert not [text for text, times in shown.items() if times > 1], "nothing is shown twice"
    assert not [text for text, end in of.items() if end == "failed" and text in shown]


def group(town: Town, session: str, name: str) -> str:
    """A group of Ann's with Ben: a chat of its own."""
    made = town.post(f"/sessions/{session}/groups", {"name": name, "participants": [BEN]})
    return str(made["groupJid"])


def queue(town: Town, session: str, words: list[str], chats: list[str]) -> list[str]:
    """Send these, each in the next chat; their entries in the outbox."""
    answers = [town.send(session, chats[turn % len(chats)], each, how="?async=true") for turn, each in enumerate(words)]
    return [entry_of(answer) for answer in answers]


def pending(town: Town, session: str) -> set[str]:
    """What is under way now."""
    return {each["outboxId"] for each in town.everything(f"/sessions/{session}/outbox?status=pending")}


def assert_all_work(town: Town, people: tuple[str, str], last: str) -> None:
    """Both sessions are back, and one hears the other."""
    ann, ben = people
    for session in people:
        town.until(lambda id=session: town.working(id), seconds=LONG)
    assert town.send(ann, BEN, last).status == 200
    town.until(lambda: last in town.heard(ben), seconds=LONG)


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
            outboxes = [(id, entry_of(answer)) for id, answer in zip(sessions.values(), answers, strict=True) if answer]
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


def entry_of(answer: Answer) -> str:
    """The entry in the outbox of what was accepted."""
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
