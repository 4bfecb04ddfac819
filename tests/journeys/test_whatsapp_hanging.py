"""PostgreSQL answers nothing for a while, on the real library: sessions let go in time, nothing is lost, or twice."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.emulator.library import why_not
from tests.journeys.test_whatsapp import ANN, BEN, LONG, Town, settled, settled_town
from tests.support import door
from tests.support.gateways import refused
from tests.support.postgres import rows

pytestmark = [
    pytest.mark.long,
    pytest.mark.postgres,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


def test_a_session_lets_go_before_its_lease_is_over_and_hears_everything_once(
    tmp_path: Path, postgres_dsn: str
) -> None:
    with door.beside(postgres_dsn) as way, settled_town(tmp_path, database_url=way.dsn) as town:
        outside = Town(tmp_path / "outside", town.network, default_rate_per_min="0", default_rate_per_hour="0")
        outside.start()
        try:
            ben, ann = town.link(BEN), outside.link(ANN)
            say(outside, ann, "before")
            town.until(lambda: town.heard(ben) == ["before"], seconds=LONG)
            with ThreadPoolExecutor(1) as pool:
                way.jam()
                send = pool.submit(town.send, ben, ANN, "from inside")
                # Its host takes this one, and keeps it.
                say(outside, ann, "at once")
                town.until(lambda: not town.hosts(), seconds=LONG)
                ((until, holder),) = rows(postgres_dsn, "SELECT lease_until, holder FROM sessions")
                assert holder
                assert time.time() * 1000 < until
                say(outside, ann, "later")
                assert town.status_of("/healthz") == 200
                assert town.status_of("/readyz") == 503
                refused(send.result(), 503, "gateway_unavailable")
            way.open()
            town.until(lambda: town.working(ben), seconds=LONG)
            say(outside, ann, "after")
            town.until(lambda: "after" in town.heard(ben), seconds=LONG)
            assert town.heard(ben) == ["before", "at once", "later", "after"]
            assert town.send(ben, ANN, "from inside again").status == 200
            outside.until(lambda: "from inside again" in outside.heard(ann), seconds=LONG)
            assert outside.heard(ann) == ["from inside again"]
        finally:
            outside.kill()


def say(outside: Town, ann: str, text: str) -> None:
    """Say it to the one inside: the network has it."""
    queued = outside.send(ann, BEN, text, how="?async=true").body["outboxId"]
    assert outside.until(lambda: settled(outside, ann, [queued]), seconds=LONG) == ["sent"]
