"""The command line says what it can do, refuses in one sentence, and ends with the code that it promises."""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import wagate.cli
from tests.support.command import PROGRAM, environment
from tests.support.command import wagate as run
from tests.support.source import ROOT
from wagate.cli.reference import commands_page

REFUSED = [
    (["nope"], 2),
    (["serve", "--nope"], 2),
    (["serve", "--port", "x"], 2),
    (["serve", "--port", "99999"], 2),
    (["keys", "create"], 2),
    (["keys", "create", "--name", "x", "--permission", "fly"], 2),
    (["keys", "create", "--name", "", "--permission", "read"], 2),
    (["keys", "create", "--name", "x\ty", "--permission", "read"], 2),
    (["keys", "create", "--name", "x", "--permission", "read", "--expires-in", "soon"], 2),
    (["keys", "create", "--name", "x", "--permission", "read", "--expires-in", "0d"], 2),
    (["keys", "create", "--name", "x", "--permission", "read", "--expires-in", "99999w"], 2),
    (["keys", "create", "--name", "x", "--permission", "read", "--session", ""], 2),
    (["keys", "create", "--name", "x", "--permission", "read"], 1),
    (["keys", "list"], 1),
    (["orgs", "list"], 1),
    (["orgs", "create", " "], 2),
    (["orgs", "create", "a\nb"], 2),
    (["sessions", "list"], 2),
    (["sessions", "list", "--url", "gateway"], 2),
    (["sessions", "list", "--key-file", "absent"], 1),
    (["sessions", "link", "s", "--timeout", "0"], 2),
    (["send", "", "--session", "s", "--to", "9990000001"], 2),
    (["send", "x"], 2),
    (["db", "backup", "copy.db"], 1),
    (["db", "restore", "absent.db", "--yes"], 1),
]


@pytest.mark.parametrize(("arguments", "code"), REFUSED, ids=[" ".join(arguments)[:60] for arguments, _ in REFUSED])
def test_a_refusal_is_a_sentence_and_a_code(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for name in [name for name in os.environ if name.startswith("WAGATE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as ended:
        wagate.cli.app(arguments)
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (code, "")
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1, err
    assert err.strip().endswith((".", "`."))


def test_a_noun_alone_shows_its_help_and_is_no_success() -> None:
    ended = run("keys")
    assert ended.code == 2
    assert "revoke" in ended.out + ended.err


def test_what_cannot_be_asked_is_not_done(tmp_path: Path) -> None:
    ended = run("db", "restore", "absent.db", cwd=tmp_path)
    assert (ended.code, "Nothing was done." in ended.err) == (1, True)


def test_all_settings_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    ended = run("keys", "list", cwd=tmp_path, port="x", clock="utc", secret_key="hunter2")
    assert ended.code == 2
    assert [line.partition(":")[0] for line in ended.err.splitlines()] == [
        "WAGATE_PORT",
        "WAGATE_SECRET_KEY",
        "WAGATE_CLOCK",
    ]
    assert "hunter2" not in ended.err


def test_a_reader_that_has_read_enough_is_no_failure_of_ours(tmp_path: Path) -> None:
    shell = subprocess.run(
        f"'{PROGRAM}' openapi | head -c 10 > /dev/null",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        cwd=tmp_path,
        check=False,
    )
    assert shell.stderr == ""


def test_the_version_is_told() -> None:
    ended = run("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("wagate ")


def test_help_names_every_command_and_needs_no_settings(tmp_path: Path) -> None:
    ended = run("--help", cwd=tmp_path, port="x")
    assert ended.code == 0
    for name in ("serve", "doctor", "keys", "orgs", "sessions", "send", "openapi", "db"):
        assert f" {name} " in ended.out
    assert not list(tmp_path.iterdir())


def test_every_command_answers_with_json_on_request() -> None:
    page = commands_page(wagate.cli.app)
    for section in page.split("\n## ")[1:]:
        assert "`--json`" in section, section.splitlines()[0]


def test_the_page_of_commands_is_current() -> None:
    page = ROOT / "docs" / "reference" / "commands.md"
    assert page.read_text() == commands_page(wagate.cli.app), "write it anew: wagate.cli.reference.commands_page(app)"


def test_the_server_is_not_loaded_for_a_page_of_help() -> None:
    names = ", ".join(f"wagate.cli.{each.name}" for each in pkgutil.iter_modules(wagate.cli.__path__))
    script = (
        f"import sys, {names}; print([m for m in ('uvicorn', 'starlette', 'structlog', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
    assert importlib.import_module("wagate.cli.serve")
