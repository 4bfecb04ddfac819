"""What is accepted for a chat arrives there in the order of acceptance, whatever happens on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.lives import Life, life

CHATS = [f"999000004{n}" for n in range(5)]
EACH = 40


@pytest.mark.slow
def test_200_sends_into_5_chats_keep_their_order_over_drops_and_restarts(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway, ThreadPoolExecutor(len(CHATS)) as pool:
        session = gateway.linked("9990000001")["id"]
        senders = [pool.submit(send_all, gateway, session, chat) for chat in CHATS]
        gateway.until(lambda: shown(gateway) > 20)
        gateway.post(f"/sandbox/sessions/{session}:drop", {"seconds": 0.3})
        gateway.until(lambda: shown(gateway) > 80)
        gateway.kill()
        gateway.start()
        for sender in senders:
            sender.result(30)
        gateway.until(lambda: shown(gateway) >= len(CHATS) * EACH)
        copies = gateway.everything("/sandbox/messages")
        for chat in CHATS:
            arrived = [copy["content"]["text"] for copy in copies if copy["recipient"] == f"{chat}@s.whatsapp.net"]
            assert arrived == [f"{chat} {n}" for n in range(EACH)]
        entries: list[Any] = gateway.everything(f"/sessions/{session}/outbox")
        assert len(entries) == len(CHATS) * EACH


def send_all(gateway: Life, session: str, chat: str) -> None:
    """Hand in one after the other; while nobody answers, the same again."""
    for number in range(EACH):
        text = f"{chat} {number}"

        def once(text: str = text) -> bool:
            answer = gateway.try_to(
                "POST", f"/sessions/{session}/messages?async=true", {"type": "text", "to": chat, "text": text},
                idempotency_key=text.replace(" ", "-"),
            )  # fmt: skip
            # While the session comes back after a start, it may be neither working nor starting yet.
            assert answer is None or answer.status in (202, 501), answer.body
            return answer is not None and answer.status == 202

        gateway.until(once)


def shown(gateway: Life) -> int:
    answer = gateway.try_to("GET", "/sandbox/audit?limit=200")
    if answer is None or answer.status != 200:
        return 0
    return len({frame["waMessageId"] for frame in gateway.everything("/sandbox/audit") if "waMessageId" in frame})
