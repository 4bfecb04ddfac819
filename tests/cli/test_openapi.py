"""The document is printed without a server, a database or a setting."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.support.command import wagate

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C library's where it is there: Python's own takes seconds."""


def test_the_document_is_the_same_in_both_forms(tmp_path: Path) -> None:
    as_json, as_yaml = (wagate("openapi", form, cwd=tmp_path) for form in ("--json", "--yaml"))
    assert as_json.code == as_yaml.code == 0, as_json.err
    document = json.loads(as_json.out)
    assert document["openapi"].startswith("3.1")
    assert document == yaml.load(as_yaml.out, LOADER)
    assert not list(tmp_path.iterdir())
