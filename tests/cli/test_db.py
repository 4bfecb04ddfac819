"""The database is upgraded, copied while the gateway runs, and put back while it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Served, serving, wagate

pytestmark = pytest.mark.slow


def test_nothing_is_put_back_under_a_running_gateway(served: Served, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert served.run("db", "backup", str(copy)).code == 0
    refused = served.run("db", "restore", str(copy), "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert "stop it first" in refused.err
    assert served.run("sessions", "list").code == 0


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    assert wagate("db", "upgrade", data_dir=str(tmp_path / "data")).code == 0
    (tmp_path / "picture").write_bytes(b"no database" * 1000)
    refused = wagate("db", "restore", str(tmp_path / "picture"), "--yes", data_dir=str(tmp_path / "data"))
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)


def test_an_upgrade_happens_once(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert wagate("db", "upgrade", "--json", data_dir=data).json == {"changed": True}
    assert wagate("db", "upgrade", "--json", data_dir=data).json == {"changed": False}
    made = wagate("orgs", "create", "First", data_dir=data)
    assert made.out.startswith("org_")


def test_a_backup_brings_back_what_was_there(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with serving(tmp_path / "data") as gateway:
        made = gateway.run("db", "backup", str(copy), "--json")
        assert made.json["bytes"] == copy.stat().st_size
        assert gateway.run("orgs", "create", "Later").code == 0
    restored = gateway.run("db", "restore", str(copy), "--yes", "--json")
    assert restored.code == 0, restored.err
    assert [each["name"] for each in gateway.run("orgs", "list", "--json").json] == ["demo"]
