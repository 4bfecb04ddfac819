"""The janitor calls each noun's own chore until nothing is left, and forgets a deleted session everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.files import PNG
from tests.support.parts import caller, held, log, opened, within, words
from wagate.backends.records import DatabaseStore
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.engines.whatsapp import stored
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.errors import NoAnswer
from wagate.gateway import Gateway, dispatch, leases, media, outbox, purges, sessions
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.model.organizations import Caller
from wagate.workers import janitor

pytestmark = pytest.mark.anyio

DAY = 86_400
CHAT = "9990000002@s.whatsapp.net"


async def test_nothing_to_do_is_nothing_done() -> None:
    async with opened() as gw:
        who = await caller(gw)
        await held(gw, who)
        before = await log(gw, who)
        await janitor.once(gw, {})
        assert await log(gw, who) == before


async def test_a_file_that_cannot_be_removed_keeps_nothing_else_from_it() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        file = await gw.blobs.spool()
        await file.write(PNG)
        upload = await media.upload(gw, who, file, mimetype=None)
        async with gw.blobs.local(upload.id) as path:
            assert path is not None
        path.unlink()
        path.mkdir()
        await gw.clock.advance(DAY + 1)  # type: ignore[attr-defined]
        await sessions.delete(gw, who, mine.id)
        await janitor.once(gw, {})
        assert await purges.due(gw) == []
        path.rmdir()
        await janitor.once(gw, {})
        assert await media.expire(gw) == 0


async def test_each_chore_is_done_when_its_time_has_come() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        offer = Offer(chat=CHAT, content=words(), mode="async", digest="", key="k")
        entry = await outbox.accept(gw, who, mine.id, offer)
        await dispatch.claim(gw, mine, limit=16)
        await dispatch.settle(gw, mine, entry, NoAnswer())
        await gw.clock.advance(DAY + 1)  # type: ignore[attr-defined]
        await janitor.once(gw, {})
        assert (await outbox.get(gw, who, mine.id, entry.id)).status == "failed"
        assert (await outbox.accept(gw, who, mine.id, offer)).replayed is False
        await gw.clock.advance(8 * DAY)  # type: ignore[attr-defined]
        await janitor.once(gw, {})
        assert await log(gw, who) == []


async def test_a_deleted_session_is_forgotten_by_its_engine_before_its_rows_go() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine = await held(gw, who)
        await outbox.accept(gw, who, mine.id, Offer(chat=CHAT, content=words(), mode="async", digest=""))
        await sessions.delete(gw, who, mine.id)
        engine = SandboxEngine(lambda scope: DatabaseStore(gw.db, engine="sandbox", scope=scope), gw.clock)
        # The network is not at hand: the keys cannot go now, so neither may the rows.
        await janitor.once(gw, {"sandbox": engine})
        assert len(await purges.due(gw)) == 1
        assert (await gw.db.one("SELECT COUNT(*) FROM outbox"))[0] == 1  # type: ignore[index]
        await engine.host(who.organization_id)
        await janitor.once(gw, {"sandbox": engine})
        assert await purges.due(gw) == []
        await engine.close()
        assert (await gw.db.one("SELECT COUNT(*) FROM outbox"))[0] == 0  # type: ignore[index]


def keys_of(folder: Path, session: str) -> Path:
    """A session's folder in the place of an engine's."""
    made = folder / session
    made.mkdir(parents=True)
    (made / stored.FILE).touch(mode=0o600)
    return made


async def test_keys_go_when_their_host_lets_them_go_also_those_that_a_crash_left(
    gw: Gateway, who: Caller, tmp_path: Path
) -> None:
    engine = WhatsAppEngine(tmp_path, gw.blobs)
    deleted, out, linked = [await held(gw, who, f"999000000{n}") for n in (7, 8, 9)]
    folders = [keys_of(tmp_path, each.id) for each in (deleted, out, linked)]
    for table in ("sessions", "purges"):
        await within(gw, lambda tx, table=table: tx.run(f"UPDATE {table} SET engine = 'whatsapp'"))
    await sessions.delete(gw, who, deleted.id)
    await within(gw, lambda tx: sessions.forget(tx, who.organization_id, out.id, now=1, reason="unlinked"))
    await leases.release(gw, out)
    with stored.held(folders[0]), stored.held(folders[1]):
        await janitor.once(gw, {"whatsapp": engine})
        assert all(each.exists() for each in folders)
        assert [each.session_id for each in await purges.due(gw)] == [deleted.id]
    keys_of(tmp_path, "ses_nobodys")
    await janitor.once(gw, {"whatsapp": engine})
    assert [each.exists() for each in folders] == [False, False, True]
    assert await purges.due(gw) == []
    # What the database does not know is the operator's to judge: it may be an older database.
    assert await purges.unknown(gw, await engine.kept()) == ["ses_nobodys"]
    assert await engine.kept() == sorted([linked.id, "ses_nobodys"])


async def test_keys_that_cannot_go_are_told_and_hold_up_nobody(gw: Gateway, who: Caller, tmp_path: Path) -> None:
    engine = WhatsAppEngine(tmp_path, gw.blobs)
    # More than are looked at together: the last one is behind all that are stuck.
    *stuck, last = sorted([await held(gw, who, f"99900000{n:03}") for n in range(13)], key=lambda each: each.id)
    gone = tmp_path / ".gone-ses_cut"
    gone.mkdir()
    for each in (*stuck, last):
        folder = keys_of(tmp_path, each.id)
        if each is not last:
            (tmp_path / f".gone-{each.id}").touch()
        await sessions.delete(gw, who, each.id)
        assert folder.exists()
    await within(gw, lambda tx: tx.run("UPDATE purges SET engine = 'whatsapp'"))
    with capture_logs() as logs:
        await janitor.once(gw, {"whatsapp": engine})
    assert not (tmp_path / last.id).exists()
    assert not gone.exists()
    assert [each.session_id for each in await purges.due(gw)] == [each.id for each in stuck[:10]]
    told = [line["session"] for line in logs if line["event"] == "the keys of a session cannot be removed"]
    assert told == [each.id for each in stuck]
    assert not [line for line in logs if "exc_info" in line]


async def test_what_never_left_waits_at_its_place_and_goes_out_on_the_next_line(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    entry = await outbox.accept(gw, who, mine.id, Offer(chat=CHAT, content=words(), mode="async", digest=""))
    assert [each.id for each in await dispatch.claimed_before(gw, mine)] == [entry.id]
    await dispatch.put_back(gw, mine, entry)
    # An engine that cannot repeat a send leaves no doubt about this one.
    await dispatch.requeue(gw, mine, under_way=[], resend=False)
    assert (await outbox.get(gw, who, mine.id, entry.id)).status == "queued"
    assert [each.id for each in (await dispatch.claim(gw, mine, limit=16)).entries] == [entry.id]
