"""SIGTERM: who has asked is answered, what was accepted stays so, and the process is gone within five seconds."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.gateways import refused
from tests.support.lives import Life, life, whole_log
from wagate.testing import Answer

SECONDS = 5.0
NOBODY_ANSWERS, SLOW, ORDINARY = "9996000001", "9999000001", "9990000002"


def send(gateway: Life, session: str, to: str, key: str) -> Answer:
    return gateway.ask(
        "POST", f"/sessions/{session}/messages", {"type": "text", "to": to, "text": key},
        headers={"idempotency-key": key},
    )  # fmt: skip


@pytest.mark.slow
def test_requests_in_flight_are_answered(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway, ThreadPoolExecutor(8) as pool:
        session = gateway.linked("9990000001")["id"]
        last = whole_log(gateway)[-1]["id"]
        lost = pool.submit(send, gateway, session, NOBODY_ANSWERS, "lost")
        slow = pool.submit(send, gateway, session, SLOW, "slow")
        gateway.until(lambda: pending(gateway, session) == 2)
        quick = pool.submit(send, gateway, session, ORDINARY, "quick")
        # This one waits for something that does not happen.
        poll = pool.submit(gateway.ask, "GET", f"/events?after={last}&wait=30&events=call.incoming")
        assert quick.result(10).status == 200
        code, seconds = gateway.stop()
        assert code == 0
        assert seconds < SECONDS
        assert answered(poll).body["data"] == []
        assert answered(poll).body["nextCursor"] > last
        given_up = [refused(answered(each), 503, "gateway_unavailable")["outboxId"] for each in (lost, slow)
                    if answered(each).status != 200]  # fmt: skip
        assert answered(lost).status == 503

        gateway.start()
        gateway.until(lambda: gateway.working(session))
        for id in given_up:
            assert gateway.get(f"/sessions/{session}/outbox/{id}")["status"] in ("queued", "pending", "sent")
        again = send(gateway, session, SLOW, "slow")
        assert (again.status, again.body["replayed"]) == (200, True)
        shown = Counter(copy["content"]["text"] for copy in gateway.everything("/sandbox/messages"))
        assert shown == {"lost": 1, "slow": 1, "quick": 1}


@pytest.mark.slow
def test_nothing_accepted_is_lost_under_load(tmp_path: Path) -> None:
    accepted: list[str] = []

    def insist(gateway: Life, session: str, number: int, over: threading.Event) -> None:
        for count in range(10_000):
            key = f"{number}-{count}"
            answer = gateway.try_to(
                "POST", f"/sessions/{session}/messages?async={'true' if number % 2 else 'false'}",
                {"type": "text", "to": f"999000010{number}", "text": key}, idempotency_key=key,
            )  # fmt: skip
            if answer is None:
                return
            assert answer.status in (200, 202, 501, 503), answer.body
            if answer.status != 501:
                accepted.append(key)
            if over.is_set():
                return

    over = threading.Event()
    with life(tmp_path / "data") as gateway, ThreadPoolExecutor(4) as pool:
        session = gateway.linked("9990000001")["id"]
        senders = [pool.submit(insist, gateway, session, number, over) for number in range(4)]
        gateway.until(lambda: len(accepted) > 100)
        code, seconds = gateway.stop()
        assert (code, seconds < SECONDS) == (0, True)
        over.set()
        for sender in senders:
            sender.result(20)
        assert "Traceback" not in gateway.log()
        gateway.start()
        gateway.until(lambda: gateway.working(session) and nothing_waits(gateway, session))
        shown = Counter(copy["content"]["text"] for copy in gateway.everything("/sandbox/messages"))
        assert max(shown.values()) == 1
        assert set(accepted) <= set(shown)
        # Idle, and interrupted from the keyboard.
        code, seconds = gateway.stop(signal.SIGINT)
        assert (code, seconds < SECONDS) == (0, True)


def pending(gateway: Life, session: str) -> int:
    return len(gateway.get(f"/sessions/{session}/outbox?status=pending")["data"])


def nothing_waits(gateway: Life, session: str) -> bool:
    listed: Callable[[str], list[object]] = lambda status: gateway.get(  # noqa: E731
        f"/sessions/{session}/outbox?limit=1&status={status}"
    )["data"]
    return not listed("queued") and not listed("pending")


def answered(future: Future[Answer]) -> Answer:
    return future.result(10)
