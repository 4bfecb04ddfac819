"""Server, readers and receivers fail while events are made: the log reaches every reader whole, every webhook at least
once with the same id and body, and in order where that was asked for. The soak does the same for minutes.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from bench.faults import Plan, run


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
