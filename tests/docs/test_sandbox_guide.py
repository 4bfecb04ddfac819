"""The sandbox's guide: its example runs as a user's own tests would, and its tables name what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tests.support.command import environment
from tests.support.source import ROOT
from wagate.bootstrap import OPERATIONS
from wagate.model.sandbox import FaultKind

GUIDE = (ROOT / "docs" / "guides" / "sandbox.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_example_passes_in_a_folder_of_its_own(tmp_path: Path) -> None:
    found = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    tmp_path.joinpath("test_my_program.py").write_text(found[0])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{found[0].count('def test_')} passed" in done.stdout


def test_every_control_operation_is_explained_and_no_other() -> None:
    there = {(each.method, each.path) for each in OPERATIONS if each.sandbox}
    explained = re.findall(r"^\| (GET|POST|PUT|PATCH|DELETE) `([^`]+)` \|", GUIDE, re.MULTILINE)
    assert sorted(explained) == sorted(there)


def test_every_fourth_digit_is_explained() -> None:
    assert re.findall(r"^\| `999(\d)…` \|", GUIDE, re.MULTILINE) == list("0123456789")


def test_every_fault_is_explained() -> None:
    row = next(line for line in GUIDE.splitlines() if "`/sandbox/faults`" in line)
    assert [kind for kind in get_args(FaultKind) if f"`{kind}`" not in row] == []
