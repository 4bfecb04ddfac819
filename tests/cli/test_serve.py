"""The first start says what to try, and what it says works; the second says nothing of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.command import PROGRAM, Served, environment, serving, wagate
from wagate.cli.serve import _welcome

pytestmark = pytest.mark.slow


def test_a_second_gateway_on_the_same_data_is_refused(served: Served) -> None:
    refused = served.run("serve", port="0")
    assert (refused.code, refused.out) == (1, "")
    assert "already uses" in refused.err


def test_an_open_address_is_refused_while_the_demo_key_exists(tmp_path: Path) -> None:
    with serving(tmp_path / "data"):
        pass
    refused = wagate("serve", "--host", "0.0.0.0", "--port", "0", data_dir=str(tmp_path / "data"))
    assert refused.code == 1
    assert "demo key" in refused.err


def test_what_the_first_start_says_can_be_pasted(served: Served) -> None:
    said = _welcome(served.url, served.key, served.data_dir / "demo.key", as_json=False)
    pasted = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    assert len(pasted) == 4
    script = "set -e\n" + "\n".join(line.replace(_typed(pasted), f"'{PROGRAM}'") for line in pasted)
    done = subprocess.run(
        ["bash", "-c", script + "\necho $SESSION"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert any(line.startswith(("sent", "delivered", "read")) for line in done.stdout.splitlines())
    served.run("sessions", "delete", done.stdout.split()[-1], "--yes")


def test_the_log_tells_no_secret_no_number_and_no_text(tmp_path: Path) -> None:
    with serving(tmp_path / "data", log_level="debug") as gateway:
        session = gateway.run("sessions", "create", "--label", "shop").out.strip()
        number = gateway.run("sessions", "link", session, "--scan", "--json").json["phoneNumber"]
        to = ["--session", session, "--to"]
        sent = [gateway.run("send", "see you at eight", *to, f"99{digits}") for digits in ("90123456", "97123456")]
        assert [each.code for each in sent] == [0, 1]
        assert gateway.run("sessions", "list", api_key="wa_" + "x" * 43).code == 1
    log = (tmp_path / "data.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"serving", "stopping"} <= {line["event"] for line in lines}
    said = [word for word in (gateway.key[3:], "x" * 10, number, "123456", "see you at eight") if word in log]
    assert not said


def _typed(pasted: list[str]) -> str:
    """The program as the commands name it."""
    return pasted[2].partition(" sessions")[0]
