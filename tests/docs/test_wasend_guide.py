"""README's program for the Wasend SDK runs as it stands, and the guide leaves out nothing that is served."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.dialects import GUIDE, MARK, wasend_guide
from tests.support.sdk import surroundings
from tests.support.source import ROOT
from wagate import testing
from wagate.api.compat.wasend import DIALECT, shapes

README = (ROOT / "README.md").read_text()
PRINTED = "Friends has 2 participants; the old invite works: False\n"


def program() -> str:
    section = README.partition("\n## Programs written for Wasend\n")[2].partition("\n## ")[0]
    (found,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_guide_names_every_request_and_every_empty_field() -> None:
    printed = wasend_guide().partition(MARK)[2]
    for operation in DIALECT.operations:
        assert f"| {operation.method} `{operation.path}` |" in printed
    assert all(f"`{name}`" in printed for name in shapes.UNKNOWN)
    assert GUIDE.is_file()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wasend") is None, reason="the SDK (wasend) is not installed")
@pytest.mark.skipif(shutil.which("node") is None, reason="the SDK runs on Node.js, and there is no node here")
def test_the_program_of_the_readme_runs(tmp_path: Path) -> None:
    with testing.gateway(tmp_path / "data") as wagate:
        wagate.linked("9990000001")
        told = surroundings(tmp_path) | {"WAGATE_URL": wagate.url, "WAGATE_API_KEY": wagate.key}
        done = subprocess.run(
            [sys.executable, "-c", program()], cwd=tmp_path, env=told, capture_output=True, text=True, timeout=120
        )
    assert (done.returncode, done.stdout) == (0, PRINTED), done.stderr
