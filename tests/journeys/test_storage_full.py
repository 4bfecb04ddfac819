"""The disk is full: sends are refused, nothing acknowledged is lost, and it goes on by itself when there is room."""

from __future__ import annotations

import resource
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateways import refused
from tests.support.lives import Life, life
from wagate.testing import Answer

FRIENDS = [f"999000003{n}" for n in range(4)]


@contextmanager
def full(gateway: Life, *, room: int) -> Iterator[None]:
    """No file of the process, its log included, may grow beyond the log of the database and `room` bytes.

    Writing beyond that fails as on a full disk, from one moment to the next, and in the middle of a commit.
    """
    pid = gateway.running_process.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = (gateway.data_dir / "wagate.db-wal").stat().st_size + room if room else 0
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        if gateway.running_process.poll() is None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def send(gateway: Life, session: str, to: str, key: str, *, asynchronous: bool = False) -> Answer:
    path = f"/sessions/{session}/messages" + ("?async=true" if asynchronous else "")
    return gateway.ask("POST", path, {"type": "text", "to": to, "text": key}, headers={"idempotency-key": key})


@pytest.mark.slow
def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway:
        session = gateway.linked("9990000001")["id"]
        over, answers = threading.Event(), list[tuple[str, int]]()
        senders = [threading.Thread(target=insist, args=(gateway, session, n, over, answers)) for n in range(4)]
        for sender in senders:
            sender.start()
        try:
            for room in (0, 40_000):
                gateway.until(lambda: [status for _, status in answers[-20:]].count(503) == 0)
                with full(gateway, room=room):
                    gateway.until(lambda: [status for _, status in answers[-20:]].count(503) == 20)
                    assert gateway.status_of("/healthz") == 200
                    if not room:
                        refused_while_full(gateway, session)
                gateway.until(lambda: gateway.working(session))
        finally:
            over.set()
            for sender in senders:
                sender.join(60)
        assert {status for _, status in answers} <= {200, 202, 501, 503}
        for asynchronous in (False, True):
            assert send(gateway, session, FRIENDS[0], f"during-{asynchronous}").status == 200
        assert gateway.status_of("/readyz") == 200
        gateway.until(lambda: nothing_waits(gateway, session))
        accepted = {key for key, status in answers if status in (200, 202)}
        for _ in range(2):
            shown = Counter(copy["content"]["text"] for copy in gateway.everything("/sandbox/messages"))
            assert max(shown.values()) == 1
            assert accepted <= set(shown)
            # Neither stopping on a full disk nor a kill changes that.
            with full(gateway, room=0):
                assert gateway.status_of("/healthz") == 200
                refused(gateway.ask("POST", "/sessions", {}), 503, "gateway_unavailable")
                code, seconds = gateway.stop()
                assert (code, seconds < 5) == (0, True)
            gateway.start()


def refused_while_full(gateway: Life, session: str) -> None:
    """Everything that would be written is refused; what is stored is read."""
    # The line breaks, too: coming back needs the database.
    gateway.post(f"/sandbox/sessions/{session}:drop", {})
    for asynchronous in (False, True):
        answer = send(gateway, session, FRIENDS[0], f"during-{asynchronous}", asynchronous=asynchronous)
        refused(answer, 503, "gateway_unavailable")
    refused(gateway.ask("POST", "/sessions", {}), 503, "gateway_unavailable")
    assert gateway.ask("GET", f"/sessions/{session}").status == 200


def insist(gateway: Life, session: str, number: int, over: threading.Event, answers: list[tuple[str, int]]) -> None:
    """Send until it is over."""
    for count in range(100_000):
        if over.wait(0.005):
            return
        key = f"{number}-{count}"
        answers.append((key, send(gateway, session, FRIENDS[number], key, asynchronous=number % 2 == 1).status))


def nothing_waits(gateway: Life, session: str) -> bool:
    waiting = [gateway.get(f"/sessions/{session}/outbox?limit=1&status={status}") for status in ("queued", "pending")]
    return not any(page["data"] for page in waiting)
