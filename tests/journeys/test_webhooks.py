"""kill −9 with deliveries on their way: every event reaches the webhook at least once, with its own id."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.lives import life, whole_log
from tests.support.receiver import answer, beside
from tests.support.webhooks import got

KILLS = 4


async def slowly(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.02)
    writer.write(answer())


@pytest.mark.slow
def test_every_event_arrives_whatever_dies(tmp_path: Path) -> None:
    with beside(x=slowly) as server, life(tmp_path / "data", allowed_networks="127.0.0.1/32") as gateway:
        hook = gateway.post("/webhooks", {"url": server.url + "/x", "secret": "mine"})
        since = gateway.log_of_events()[-1]["id"] if gateway.log_of_events() else ""
        gateway.linked("9990000001")
        for kill in range(KILLS):
            for number in range(40):
                said = {"from": "9990000002", "to": "9990000001", "type": "text", "text": f"{kill}-{number}"}
                gateway.try_to("POST", "/sandbox/messages", said)
            gateway.kill()
            before = len(server.bodies)
            gateway.start()
            begun = time.monotonic()
            gateway.until(lambda before=before: len(server.bodies) > before)  # type: ignore[misc]
            assert time.monotonic() - begun <= 1
        place = f"/webhooks/{hook['id']}/deliveries?status="
        open_ones = ("pending", "failed")
        gateway.until(lambda: not any(gateway.get(place + each)["data"] for each in open_ones))
        wanted = {each["id"]: each for each in whole_log(gateway) if each["id"] > since}
        assert {each["id"]: each for each in got(server)} == wanted
        assert gateway.get(place + "dead")["data"] == []
