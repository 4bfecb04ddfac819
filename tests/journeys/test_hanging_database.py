"""PostgreSQL takes what it is told and answers nothing: the gateway says so, ends when told to, and comes back."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection

from tests.support import door
from tests.support.gateways import refused
from tests.support.lives import Life, life, whole_log
from tests.support.readers import Stream, frames, watching
from tests.support.receiver import answer
from tests.support.receiver import beside as receiver_beside
from tests.support.webhooks import got
from wagate.testing import Answer

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

FRIEND = "9990000002"
LONG = 120.0


def send(gateway: Life, session: str, key: str) -> Answer:
    body = {"type": "text", "to": FRIEND, "text": key}
    return gateway.ask("POST", f"/sessions/{session}/messages", body, headers={"idempotency-key": key})


def shown(gateway: Life) -> Counter[str]:
    return Counter(copy["content"]["text"] for copy in gateway.everything("/sandbox/messages"))


def shown_on(line: ClientConnection, count: int) -> list[str]:
    """The ids of the next events; between them are signs of life."""
    found: list[str] = []
    while len(found) < count:
        found += [each["id"] for each in frames(line, 1) if "id" in each]
    return found


def test_it_is_told_by_the_readiness_and_waited_for_by_nobody_who_ends(tmp_path: Path, postgres_dsn: str) -> None:
    with (
        door.beside(postgres_dsn) as way,
        life(tmp_path / "data", database_url=way.dsn) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        session = gateway.linked("9990000001")["id"]
        assert send(gateway, session, "before").status == 200
        way.jam()
        meanwhile = pool.submit(send, gateway, session, "meanwhile")
        assert gateway.status_of("/healthz") == 200
        assert gateway.status_of("/readyz") == 503
        assert gateway.stop()[0] == 0
        refused(meanwhile.result(60), 503, "gateway_unavailable")
        assert "Traceback" not in gateway.log()
        way.open()

        gateway.start()
        gateway.until(lambda: gateway.working(session))
        assert send(gateway, session, "meanwhile").status == 200
        assert shown(gateway) == {"before": 1, "meanwhile": 1}


@pytest.mark.long
def test_who_asks_is_refused_in_time_and_who_reads_reads_on(tmp_path: Path, postgres_dsn: str) -> None:
    with (
        door.beside(postgres_dsn) as way,
        receiver_beside(x=answer()) as server,
        life(tmp_path / "data", database_url=way.dsn, allowed_networks="127.0.0.1/32") as gateway,
        ThreadPoolExecutor(30) as pool,
    ):
        gateway.post("/webhooks", {"url": f"{server.url}/x"})
        session = gateway.linked("9990000001")["id"]
        begun = whole_log(gateway)[-1]["id"]
        with watching(gateway, since=begun) as line, Stream(gateway, gateway.key, since=begun) as stream:
            assert send(gateway, session, "before").status == 200
            way.jam()
            asked = [pool.submit(send, gateway, session, f"during-{n}") for n in range(29)]
            for each in asked:
                refused(each.result(60), 503, "gateway_unavailable")
            gateway.until(lambda: "all that runs here is stopped" in gateway.log(), seconds=LONG)
            assert gateway.status_of("/readyz") == 503
            way.open()
            gateway.until(lambda: gateway.status_of("/readyz") == 200, seconds=LONG)
            gateway.until(lambda: gateway.working(session), seconds=LONG)
            for n in range(29):
                assert send(gateway, session, f"during-{n}").status == 200
            assert send(gateway, session, "after").status == 200
            gateway.until(lambda: set(shown(gateway).values()) == {1})
            log = [each["id"] for each in whole_log(gateway)]
            told = log[log.index(begun) + 1 :]
            assert shown_on(line, len(told)) == told
            assert [each["id"] for each in stream.events(len(told))] == told
        assert set(shown(gateway)) == {"before", "after", *(f"during-{n}" for n in range(29))}
        gateway.until(lambda: set(told) <= {each["id"] for each in got(server)}, seconds=LONG)
