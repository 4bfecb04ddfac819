"""README's tour: every command runs against the real program, in one shell, and prints what README says."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shell import Block, blocks, settled, shell
from tests.support.command import PROGRAM, environment, serving
from tests.support.source import ROOT

README = (ROOT / "README.md").read_text()
TOUR = "A tour in five minutes"
WRITTEN = "127.0.0.1:8080"

CURL = f"""#!{sys.executable}
# As much of curl as the tour uses, for machines without it.
import sys, urllib.error, urllib.request
told, headers, url, method, body = iter(sys.argv[1:]), {{}}, "", "GET", None
for word in told:
    if word == "-X":
        method = next(told)
    elif word == "-d":
        body = next(told).encode()
    elif word == "-H":
        name, _, value = next(told).partition(": ")
        headers[name] = value
    elif not word.startswith("-"):
        url = word
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method))
except urllib.error.HTTPError as refusal:
    answer = refusal
sys.stdout.buffer.write(answer.read())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder like a fresh clone after `make run`: the program in .venv, the data beside it."""
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder, ".venv", "bin")
        programs.mkdir(parents=True)
        programs.joinpath("wagate").symlink_to(PROGRAM)
        if shutil.which("python3") is None:
            programs.joinpath("python3").symlink_to(sys.executable)
        if shutil.which("curl") is None:
            programs.joinpath("curl").write_text(CURL)
            programs.joinpath("curl").chmod(0o755)
        yield Path(folder)


@pytest.mark.slow
def test_the_tour_prints_what_the_readme_says(home: Path) -> None:
    tour = blocks(README, TOUR)
    assert len(tour) > 10
    with serving(home / "data") as served:
        here = served.url.removeprefix("http://")
        found = environment(url=served.url) | {"PATH": f"{home}/.venv/bin{os.pathsep}{os.environ['PATH']}"}
        with shell(home, found) as bash:
            for block in tour:
                used = Block(block.line, block.commands.replace(WRITTEN, here), block.printed)
                printed = bash.follow(used).replace(here, WRITTEN)
                assert settled(printed) == settled(block.printed), (
                    f"README.md:{block.line} says otherwise:\n{block.commands}\nIt printed:\n{printed}"
                )


def test_a_wrong_line_would_be_seen() -> None:
    assert settled('{"id":"ses_01M7Z1EQ0Q2STVHK25076HGGHX","createdAt":1795264306199}') == settled(
        '{"id":"ses_01M8AAAAAAAAAAAAAAAAAAAAAA","createdAt":1795264399999}\n'
    )
    for one, other in (
        ('"status":"sent"', '"status":"read"'),
        ("9990000001", "9990000002"),
        ("ses_01M7Z1EQ", "org_01M7Z1EQ"),
    ):
        assert settled(one) != settled(other)
    first, second = blocks(
        "## T\n```sh\napi GET /x\n```\n```text\n1\n```\n```sh\napi POST /x\n```\n## U\n```sh\nno\n```\n", "T"
    )
    assert (first.printed, first.only_looks) == ("1\n", True)
    assert (second.printed, second.only_looks) == ("", False)
