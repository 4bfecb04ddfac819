"""The judges of the long run see every gap, repeat, stranger, change and wrong order."""

from __future__ import annotations

import json
import time

import pytest

from bench.faults import BACKLOG_SECONDS, SPARE_DESCRIPTORS, Outcome, first_difference, judged
from bench.readers import Envelope, digest
from bench.receivers import SECRET, Receiver
from wagate.model.signatures import headers_of

LOG = [
    (event, json.dumps({"id": event.id, "event": event.event, "session": event.session}).encode())
    for event in [Envelope(event="message", id=f"evt_{n}", session=f"ses_{n % 2}") for n in range(6)]
]


def post(receiver: Receiver, *numbers: int, secret: str = SECRET, taken: bool = True) -> None:
    for number in numbers:
        event, body = LOG[number]
        headers = headers_of(event.id, body, time.time_ns() // 1_000_000, [secret])
        receiver.take({name.lower(): value for name, value in headers.items()}, body)
        if taken:
            receiver.taken.add(event.id)


def test_a_reader_with_a_gap_a_repeat_or_another_order_has_not_the_log() -> None:
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
    for seen, place in (([1, 3], 1), ([1, 2, 2, 3], 2), ([2, 1, 3], 0), ([1, 2], 2), ([1, 2, 3, 4], 3)):
        assert first_difference(seen, [1, 2, 3]) == place


def test_what_a_webhook_should_have_got_is_judged() -> None:
    well = Receiver(name="well")
    post(well, 0, 1, 1, 2, 4, 3, 5)
    assert judged(well, LOG) == []
    assert (well.posts, well.repeats) == (7, 1)
    lost = Receiver(name="lost")
    post(lost, 0, 1, 2, 3, 4)
    post(lost, 5, taken=False)
    assert "1 events never came" in judged(lost, LOG)[0]
    choosy = Receiver(name="choosy", events=["message.from_me"])
    post(choosy, 0)
    assert "not for it" in judged(choosy, LOG)[0]


def test_a_changed_body_and_a_foreign_signature_are_seen() -> None:
    receiver = Receiver(name="x")
    post(receiver, *range(6))
    receiver.came["evt_3"] = digest(b"else")
    assert "another body than the log's" in judged(receiver, LOG)[0]
    post(receiver, 3)
    assert "came again with another body" in judged(receiver, LOG)[0]
    foreign = Receiver(name="x")
    post(foreign, *range(6), secret="another")
    assert len([each for each in judged(foreign, LOG) if "no signature" in each]) == 6


@pytest.mark.parametrize("order", [(2, 0, 4, 1, 3, 5), (0, 2, 0, 4, 1, 3, 5)])
def test_in_strict_order_nothing_overtakes_or_comes_back(order: tuple[int, ...]) -> None:
    receiver = Receiver(name="x", ordered=True)
    post(receiver, 0, 1, 1, 0, 2, 3, 4, 5)
    assert judged(receiver, LOG) == []
    receiver = Receiver(name="x", ordered=True)
    post(receiver, *order)
    assert judged(receiver, LOG) == ["session ses_0: out of order"]


def test_being_late_and_leaking_are_told() -> None:
    outcome = Outcome(seed=1, took=1.0, taken=[(50.0, 30), (50.0, 30 + SPARE_DESCRIPTORS + 1)])
    outcome.backlog["SIGKILL"] += [0.0, BACKLOG_SECONDS + 0.1]
    assert (outcome.late, outcome.leaked) == ([BACKLOG_SECONDS + 0.1], True)
    assert any("longest 1100 ms" in line for line in outcome.lines())
