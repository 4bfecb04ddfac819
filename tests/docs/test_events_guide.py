"""The guide to events: each of its programs shows the whole log, also when it is ended and begun again in between."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
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
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL))
POSITIONS = {"Pull": "pull.position", "Server-sent events": "stream.position", "WebSocket": "socket.position"}
HOOK = "Webhook"
SECRET = "shared"

pytestmark = pytest.mark.slow


def blocks(way: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", SECTIONS[way], re.MULTILINE | re.DOTALL)


def program(way: str) -> str:
    (found,) = blocks(way, "python")
    return found


@pytest.fixture
def wagate(tmp_path: Path) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path / "data", allowed_networks=("127.0.0.1/32",)) as gateway:
        yield gateway


def happen(wagate: SandboxGateway, *codes: str) -> None:
    wagate.run(record(wagate.running.gw, home(wagate), *codes))


def told(wagate: SandboxGateway, **more: str) -> dict[str, str]:
    """The environment that the guide asks for."""
    return environment() | {"WAGATE_URL": wagate.url, "WAGATE_API_KEY": wagate.key} | more


def read(command: list[str], folder: Path, environ: dict[str, str], count: int) -> list[str]:
    """The first lines that it prints; then it is killed."""
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            return [running.stdout.readline().rstrip("\n") for _ in range(count)]
        finally:
            running.kill()


def lines(found: list[Any]) -> list[str]:
    return [f"{each['id']} {each['event']}" for each in found]


def test_there_is_a_program_for_each_way() -> None:
    assert {way for way in SECTIONS if program(way)} == {*POSITIONS, HOOK}


@pytest.mark.parametrize("way", POSITIONS)
def test_each_program_shows_the_log_and_goes_on_where_it_was(way: str, tmp_path: Path, wagate: SandboxGateway) -> None:
    command, position = [sys.executable, "-c", program(way)], tmp_path / POSITIONS[way]
    happen(wagate, "0")
    position.write_text(events(wagate)[0]["id"])
    happen(wagate, "1", "2", "3")
    assert read(command, tmp_path, told(wagate), 3) == lines(events(wagate)[1:])
    # Killed between showing and noting, it shows one again: that is what keeping a position can promise.
    noted = position.read_text()
    happen(wagate, "4", "5")
    rest = [each for each in events(wagate) if each["id"] > noted]
    assert noted in [each["id"] for each in events(wagate)]
    assert read(command, tmp_path, told(wagate), len(rest)) == lines(rest)


@pytest.mark.parametrize("way", POSITIONS)
def test_a_position_that_is_refused_ends_the_program_instead_of_being_skipped(
    way: str, tmp_path: Path, wagate: SandboxGateway
) -> None:
    (tmp_path / POSITIONS[way]).write_text("evt_none")
    done = subprocess.run(
        [sys.executable, "-c", program(way)],
        cwd=tmp_path,
        env=told(wagate),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "validation_error" in done.stderr


def test_the_webhooks_program_gets_what_happened_while_it_was_away(tmp_path: Path, wagate: SandboxGateway) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environ = told(wagate, HOOK_PORT=port, HOOK_SECRET=SECRET)
    retry = {"policy": "constant", "delaySeconds": 1, "attempts": 50}
    wish = {"url": f"http://127.0.0.1:{port}/", "secret": SECRET, "retryPolicy": retry}
    wagate.post("/webhooks", wish)
    command = [sys.executable, "-c", program(HOOK)]
    happen(wagate, "1", "2", "3")
    first = read(command, tmp_path, environ, 3)
    assert sorted(first) == lines(events(wagate))
    happen(wagate, "4", "5")
    # Shown and noted, and killed before it answered: it comes again, and is not shown again.
    assert sorted(read(command, tmp_path, environ, 2)) == lines(events(wagate)[3:])


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("way", ["Pull", "Server-sent events"])
def test_curl_shows_what_stands_behind_a_position(way: str, tmp_path: Path, wagate: SandboxGateway) -> None:
    happen(wagate, "1", "2")
    before, last = (each["id"] for each in events(wagate))
    (command,) = blocks(way, "sh")
    count = 1 if way == "Pull" else 3
    said = "".join(read(["bash", "-c", f"exec {command}"], tmp_path, told(wagate, AFTER=before), count))
    assert last in said


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_makes_a_webhook(tmp_path: Path, wagate: SandboxGateway) -> None:
    (command,) = blocks(HOOK, "sh")
    environ = told(wagate, HOOK_URL="http://127.0.0.1:1/", HOOK_SECRET=SECRET)
    read(["bash", "-c", command], tmp_path, environ, 1)
    (made,) = wagate.get("/webhooks")["data"]
    assert made["url"] == "http://127.0.0.1:1/"
