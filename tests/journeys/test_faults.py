"""Server, readers and receivers fail while events are made: the log reaches every reader whole, every webhook at least
once with the same id and body, and in order where that was asked for. The soak does the same for minutes.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from bench.faults import Plan, run
from tests.support.gateways import home
from tests.support.readers import record
from wagate import testing
from wagate.backends.doors import Late
from wagate.testing import SandboxGateway


@pytest.mark.slow
@pytest.mark.timeout(300)  # It takes half a minute; a machine that does much else has room.
def test_the_log_reaches_everybody_whatever_dies(tmp_path: Path) -> None:
    plan = Plan(seconds=12, per_second=80, kill_every=(2, 4), kills=2, readers=2, seed=random.randrange(1 << 16))
    print(f"seed {plan.seed}")
    outcome = asyncio.run(run(tmp_path / "data", plan))
    print("\n".join(outcome.lines()))
    assert not outcome.wrong
    assert outcome.input.good
    assert outcome.files
    assert sum(outcome.kills.values()) >= plan.kills
    assert min(outcome.resumed.values()) > plan.readers


def door(wagate: SandboxGateway) -> Late:
    found = wagate.running.gw.http
    assert isinstance(found, Late)
    return found


@pytest.mark.slow
def test_who_comes_back_with_deliveries_can_deliver_when_it_listens(tmp_path: Path) -> None:
    with testing.gateway(tmp_path, allowed_networks=("127.0.0.1/32",)) as wagate:
        wagate.post("/webhooks", {"url": "http://127.0.0.1:1/", "retryPolicy": {"delaySeconds": 1}})
        assert not door(wagate).is_made
        wagate.run(record(wagate.running.gw, home(wagate), "1"))
        wagate.until(lambda: door(wagate).is_made)
        wagate.run(record(wagate.running.gw, home(wagate), "2", "3"))
    time.sleep(1.3)  # So that the retry is due.
    with testing.gateway(tmp_path, allowed_networks=("127.0.0.1/32",)) as wagate:
        assert door(wagate).is_made
