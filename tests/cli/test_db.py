"""The database is upgraded, copied while the gateway runs, and put back while it does not."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.whatsapp.test_stored import kept, mode, words_of
from tests.support.command import Served, serving, wagate
from wagate import bootstrap
from wagate.backends.maintenance import BackupFailed, BackupUnusable
from wagate.config import Settings

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


def test_a_backup_is_a_file(tmp_path: Path) -> None:
    assert wagate("db", "upgrade", data_dir=str(tmp_path / "data")).code == 0
    for folder in (".", str(tmp_path)):
        refused = wagate("db", "backup", folder, data_dir=str(tmp_path / "data"), cwd=tmp_path)
        assert (refused.code, refused.err) == (1, f"{folder} is a folder: name a file in it.\n")
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_an_upgrade_happens_once(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert wagate("db", "upgrade", "--json", data_dir=data).json == {"changed": True}
    assert wagate("db", "upgrade", "--json", data_dir=data).json == {"changed": False}
    made = wagate("orgs", "create", "First", data_dir=data)
    assert made.out.startswith("org_")


def test_keys_go_beside_a_backup_and_back_where_there_are_none(tmp_path: Path) -> None:
    chosen = Settings(data_dir=tmp_path / "data")
    copy, beside = tmp_path / "copy.db", tmp_path / "copy.db.keys"
    assert asyncio.run(bootstrap.database_upgrade(chosen))
    folder = kept(chosen.whatsapp_folder, "ses_1", "99900000001", "old")
    assert asyncio.run(bootstrap.database_backup(chosen, copy)) == 1
    assert mode(beside) == mode(copy) == 0o600
    kept(chosen.whatsapp_folder, "ses_1", "99900000001", "new")
    assert asyncio.run(bootstrap.database_restore(chosen, copy)) == ([], ["ses_1"])
    assert words_of(folder) == "new"
    shutil.rmtree(folder)
    back = wagate("db", "restore", str(copy), "--yes", data_dir=str(chosen.data_dir))
    assert back.code == 0, back.err
    assert "as old as the backup" in back.err
    assert words_of(folder) == "old"
    whole = beside.read_bytes()
    beside.write_bytes(b"no keys" * 1000)
    with pytest.raises(BackupUnusable, match="The database is back; the sessions' keys are not"):
        asyncio.run(bootstrap.database_restore(chosen, copy))
    beside.write_bytes(whole)

    # A backup that fails leaves the older pair, and a later one without keys none of an earlier one's beside it.
    shutil.rmtree(folder)
    with pytest.raises(BackupFailed):
        asyncio.run(bootstrap.database_backup(replace(chosen, database_url=f"sqlite:///{tmp_path}/absent"), copy))
    assert beside.exists()
    assert asyncio.run(bootstrap.database_backup(chosen, copy)) == 0
    assert not beside.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "data"]


def test_a_backup_brings_back_what_was_there(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with serving(tmp_path / "data") as gateway:
        made = gateway.run("db", "backup", str(copy), "--json")
        assert made.json["bytes"] == copy.stat().st_size
        assert gateway.run("orgs", "create", "Later").code == 0
    restored = gateway.run("db", "restore", str(copy), "--yes", "--json")
    assert restored.code == 0, restored.err
    assert [each["name"] for each in gateway.run("orgs", "list", "--json").json] == ["demo"]
