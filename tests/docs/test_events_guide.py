"""The guide to events: each of its programs shows the whole log, also when it is ended and begun again in between."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import environment
from tests.support.gateways import events, home
from tests.support.readers import record
from tests.support.source import ROOT
from wagate import testing
from wagate.testing import SandboxGateway

GUIDE = (ROOT / "docs" / "guides" / "events.md").read_text()
PROGRAMS = dict(re.findall(r"^## (.*?)\n.*?^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
POSITIONS = {"Pull": "pull.position", "Server-sent events": "stream.position", "WebSocket": "socket.position"}


def read(program: str, folder: Path, wagate: SandboxGateway, count: int) -> list[str]:
    """The first lines that the program prints; then it is killed."""
    told = environment(url=wagate.url) | {"WAGATE_URL": wagate.url, "WAGATE_API_KEY": wagate.key}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, env=told, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            return [running.stdout.readline().rstrip("\n") for _ in range(count)]
        finally:
            running.kill()


def lines(found: list[Any]) -> list[str]:
    return [f"{each['id']} {each['event']}" for each in found]


def test_there_is_a_program_for_each_way() -> None:
    assert set(PROGRAMS) == set(POSITIONS)


@pytest.mark.slow
@pytest.mark.parametrize("way", POSITIONS)
def test_each_program_shows_the_log_and_goes_on_where_it_was(way: str, tmp_path: Path) -> None:
    program = PROGRAMS[way]
    with testing.gateway(tmp_path / "data") as wagate:
        gw, mine = wagate.running.gw, home(wagate)
        wagate.run(record(gw, mine, "0"))
        tmp_path.joinpath(POSITIONS[way]).write_text(events(wagate)[0]["id"])
        wagate.run(record(gw, mine, "1", "2", "3"))
        assert read(program, tmp_path, wagate, 3) == lines(events(wagate)[1:])
        # Killed between showing and noting, it shows one again: that is what keeping a position can promise.
        tmp_path.joinpath(POSITIONS[way]).write_text(events(wagate)[3]["id"])
        wagate.run(record(gw, mine, "4", "5"))
        assert read(program, tmp_path, wagate, 2) == lines(events(wagate)[4:])
