"""kill −9 at any moment, also with the clock turned back: nothing accepted is lost, doubled or told out of order."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.lives import Life, life
from wagate.gateway.events import number_of

SESSIONS = ["9990000001", "9990000002", "9990000003"]
PEOPLE = [f"99900001{n:02}" for n in range(6)]
FRIEND = "9990009999"
KILLS = 8
TURNED_BACK = 4
SENDERS = 6
LEVEL = {"pending": 0, "sent": 1, "delivered": 2, "read": 3}


@dataclass
class Attempt:
    """One message that a sender wants sent, under one key."""

    session: str
    to: str
    key: str
    asynchronous: bool
    wire_id: str | None = None

    @property
    def accepted(self) -> bool:
        return self.wire_id is not None

    def tell(self, gateway: Life) -> int:
        """Ask once; the status, 0 when nobody answered. Every answer under one key must name one wire id."""
        path = f"/sessions/{self.session}/messages" + ("?async=true" if self.asynchronous else "")
        body = {"type": "text", "to": self.to, "text": self.key}
        answer = gateway.try_to("POST", path, body, idempotency_key=self.key)
        if answer is None:
            return 0
        if answer.status in (200, 202):
            assert self.wire_id in (None, answer.body["waMessageId"])
            self.wire_id = answer.body["waMessageId"]
        else:
            # Not connected yet after a start, or stopped in the middle: neither was accepted.
            assert answer.status == 501, answer.body
        return answer.status


@dataclass
class Crowd:
    """Senders who never give up, somebody who writes to us, and a reader of the event log who remembers their place."""

    gateway: Life
    sessions: list[str]
    over: threading.Event = field(default_factory=threading.Event)
    attempts: list[list[Attempt]] = field(default_factory=list)
    said_to_us: list[tuple[str, bool]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        for number in range(SENDERS):
            said: list[Attempt] = []
            self.attempts.append(said)
            self._run(self._send, number, said)
        self._run(self._say)
        self._run(self._read)

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.failures, self.failures[0]

    def _run(self, work: Any, *arguments: Any) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as error:
                self.failures.append(error)

        thread = threading.Thread(target=guarded)
        self.threads.append(thread)
        thread.start()

    def _send(self, number: int, said: list[Attempt]) -> None:
        """Each sender has a chat of its own in each session: the order there is the order of its sends."""
        chance = random.Random(number)
        while not self.over.is_set():
            attempt = Attempt(
                session=chance.choice(self.sessions),
                to=PEOPLE[number],
                key=f"s{number}-{len(said)}",
                asynchronous=chance.random() < 0.5,
            )
            status = attempt.tell(self.gateway)
            if status == 0:
                self._wait_for_life()
                if chance.random() < 0.5:
                    status = attempt.tell(self.gateway)
            if status != 501:
                said.append(attempt)
            self.over.wait(0.05 if status == 501 else 0.01)

    def _wait_for_life(self) -> None:
        while self.gateway.try_to("GET", "/sessions") is None:
            self.over.wait(0.02)

    def _say(self) -> None:
        """A person writes to a session; what the network took is remembered as True."""
        while not self.over.is_set():
            text = f"in-{len(self.said_to_us):05}"
            answer = self.gateway.try_to(
                "POST", "/sandbox/messages", {"from": FRIEND, "to": SESSIONS[0], "type": "text", "text": text}
            )
            self.said_to_us.append((text, answer is not None and answer.status == 200))
            if answer is None:
                self._wait_for_life()
            self.over.wait(0.03)

    def _read(self) -> None:
        after = ""
        while not self.over.is_set():
            answer = self.gateway.try_to("GET", f"/events?limit=200&wait=1&after={after}")
            if answer is None:
                self.over.wait(0.05)
                continue
            assert answer.status == 200, answer.body
            self.events += answer.body["data"]
            after = answer.body["nextCursor"]


def assert_the_log_is_whole(seen: list[Any], whole: list[Any]) -> None:
    ids = [event["id"] for event in whole]
    assert ids == sorted(set(ids))
    assert [number_of(id) for id in ids] == list(range(1, len(ids) + 1))
    # What a reader saw before, between and after the kills is the log: nothing lost, repeated or changed.
    assert whole[: len(seen)] == seen


def assert_nothing_moves_backwards(whole: list[Any]) -> None:
    stands: dict[tuple[str, str], int] = defaultdict(lambda: -1)
    for event in whole:
        if event["event"] == "message.status":
            level = LEVEL[event["payload"]["status"]]
            for wire_id in event["payload"]["messageIds"]:
                assert level > stands[event["session"], wire_id], event
                stands[event["session"], wire_id] = level
    assert all(level == LEVEL["read"] for level in stands.values())


def working(gateway: Life, sessions: list[str]) -> None:
    gateway.until(lambda: all(gateway.working(session) for session in sessions))


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_what_was_accepted_is_shown_once_however_often_it_dies(tmp_path: Path) -> None:
    chance = random.Random(8)
    with life(tmp_path / "data") as gateway:
        sessions = [gateway.linked(phone)["id"] for phone in SESSIONS]
        crowd = Crowd(gateway, sessions)
        crowd.begin()
        try:
            for number in range(KILLS):
                # At any moment: also before the sessions are connected again.
                crowd.over.wait(chance.uniform(0.05, 0.9))
                gateway.kill()
                if number == 2:
                    # And before it is even up.
                    gateway.launch()
                    crowd.over.wait(chance.uniform(0.1, 0.6))
                    gateway.kill()
                gateway.start(turned=-3600 if number == TURNED_BACK else 0)
            crowd.over.wait(0.5)
        finally:
            crowd.end()
        attempts = [attempt for said in crowd.attempts for attempt in said]
        accepted = {attempt.key for attempt in attempts if attempt.accepted}
        assert len(accepted) > 10 * KILLS
        working(gateway, sessions)
        assert max(Counter(copy["content"]["text"] for copy in sent_copies(gateway)).values()) == 1
        for attempt in attempts:
            # Who was not answered asks again, and who was gets the same answer.
            assert attempt.tell(gateway) in (200, 202)
        gateway.until(lambda: everything_is_read(gateway, len(attempts)))
        assert_shown(gateway, attempts, accepted)
        whole = gateway.log_of_events()
        assert_the_log_is_whole(crowd.events, whole)
        assert_nothing_moves_backwards(whole)
        said = Counter(event["payload"]["waMessageId"] for event in whole if event["event"] == "message.from_me")
        assert said == Counter(attempt.wire_id for attempt in attempts)
        heard = [event["payload"]["body"] for event in whole if event["event"] == "message"]
        assert heard == sorted(set(heard))
        assert {text for text, taken in crowd.said_to_us if taken} <= set(heard)


def sent_copies(gateway: Life) -> list[Any]:
    """What the phones of people show."""
    copies = gateway.everything("/sandbox/messages")
    return [copy for copy in copies if copy["from"] != f"{FRIEND}@s.whatsapp.net"]


def everything_is_read(gateway: Life, count: int) -> bool:
    copies = sent_copies(gateway)
    if len(copies) < count or any(copy["status"] != "read" for copy in copies):
        return False
    read = {id for event in gateway.log_of_events() if event["event"] == "message.status"
            and event["payload"]["status"] == "read" for id in event["payload"]["messageIds"]}  # fmt: skip
    return len(read) >= count


def assert_shown(gateway: Life, attempts: list[Attempt], accepted: set[str]) -> None:
    copies = sent_copies(gateway)
    assert Counter(copy["waMessageId"] for copy in copies) == Counter(attempt.wire_id for attempt in attempts)
    assert Counter(copy["content"]["text"] for copy in copies) == Counter(attempt.key for attempt in attempts)
    for chat in {(copy["from"], copy["recipient"]) for copy in copies}:
        there = [copy["content"]["text"] for copy in copies if (copy["from"], copy["recipient"]) == chat]
        # In the order of acceptance; one that nobody answered may have been accepted later, or never.
        told = [int(key.partition("-")[2]) for key in there if key in accepted]
        assert told == sorted(told)
