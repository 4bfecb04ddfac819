"""Starts that would do harm are refused with a sentence, and change nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.emulator.library import why_not
from tests.support.command import MERE, Ended, wagate
from tests.support.lives import life


def refused(ended: Ended, *words: str) -> None:
    """It ended with one line for the operator, and no trace of the program's inside."""
    assert (ended.code, ended.out) == (1, "")
    assert "Traceback" not in ended.err
    assert len(ended.err.strip().splitlines()) <= 4, ended.err
    said = " ".join(ended.err.split())
    for word in words:
        assert word in said, said


@pytest.mark.slow
def test_what_would_do_harm_is_not_served(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway:
        file = gateway.data_dir / "wagate.db"
        # Also where another data directory names the same file.
        refused(serve(tmp_path / "other", database_url=f"sqlite:///{file}"), "already uses", "wagate.db")
        assert gateway.status_of("/readyz") == 200
        gateway.kill()

        refused(serve(gateway.data_dir, host="0.0.0.0"), "demo key", "revoke", "demo.key")
        assert (gateway.data_dir / "demo.key").exists()
        version = rewrite(file, "9999_from_the_future")
        refused(serve(gateway.data_dir), "newer")
        rewrite(file, version)
        # What the killed one held was free at once, and nothing has changed.
        gateway.start()
        assert gateway.get("/sessions")["data"] == []


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root writes everywhere")
def test_keys_without_a_place_are_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "whatsapp"
    place.touch()
    refused(serve(tmp_path, whatsapp="on"), "Cannot make", str(place))
    place.unlink()
    place.mkdir(mode=0o500)
    refused(serve(tmp_path, before=MERE if os.geteuid() == 0 else (), whatsapp="on"), "cannot be written", str(place))
    assert list(place.iterdir()) == []


def serve(data_dir: Path, *, before: Sequence[str] = (), **settings: str) -> Ended:
    return wagate("serve", before=before, **{"data_dir": str(data_dir), "port": "0", **settings})


def rewrite(file: Path, version: str) -> str:
    """Give the database another schema version; the one it had."""
    with sqlite3.connect(file) as connection:
        before = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    return before
