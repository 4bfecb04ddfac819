"""Logging out ends with the keys gone, or with somebody who removes them later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from wagate.backends.blobs import DiskBlobs
from wagate.engines.base import Account, Report
from wagate.engines.whatsapp import stored
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.engines.whatsapp.fleet import Hosts
from wagate.workers import unlinking

pytestmark = pytest.mark.anyio


async def nobody(reports: Sequence[Report]) -> None:
    """A sink of which nothing is asked."""


async def test_keys_that_cannot_go_now_do_not_keep_a_session_from_being_logged_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlinking, "_TRIES_SECONDS", 0.1)
    files = DiskBlobs(tmp_path / "blobs")
    place = tmp_path / "whatsapp"
    (place / "ses_1").mkdir(parents=True)
    (place / "ses_1" / stored.FILE).touch()
    (place / ".gone-ses_1").touch()
    # A host that is none: nobody can be told.
    engine = WhatsAppEngine(place, files, hosts=Hosts(command=["false"]))
    account = Account(session_id="ses_1", organization_id="org_1")
    line = await engine.open(account, nobody)
    assert await unlinking.unlink(engine, line, account) == "unlink_unconfirmed"
    # The janitor finds them.
    assert await engine.kept() == ["ses_1"]
    await engine.close()
    await files.close()
