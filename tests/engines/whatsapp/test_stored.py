"""What is kept of sessions: copied while in use, put back where there is none, removed whole and never under a host."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.emulator import Emulator
from tests.support.engines import Recorder, jid, text
from tests.support.whatsapp import PATIENCE, Village, WhatsApp, eventually, why_not
from wagate.engines.base import Arrived, LinkEnded, QrShown
from wagate.engines.whatsapp import stored
from wagate.engines.whatsapp.spool import Spool
from wagate.errors import Unavailable

ANN, BEN = "99900000001", "99900000002"


def kept(place: Path, session: str, number: str | None, words: str = "") -> Path:
    """A session's folder as a host leaves it."""
    folder = place / session
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / stored.FILE)) as store:
        store.execute("CREATE TABLE IF NOT EXISTS whatsmeow_device (jid TEXT, words TEXT)")
        store.execute("DELETE FROM whatsmeow_device")
        if number is not None:
            store.execute("INSERT INTO whatsmeow_device VALUES (?, ?)", (f"{number}:1@s.whatsapp.net", words))
        store.commit()
    return folder


def words_of(folder: Path) -> Any:
    with closing(sqlite3.connect(folder / stored.FILE)) as store:
        return store.execute("SELECT words FROM whatsmeow_device").fetchone()[0]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_removed_or_put_back_under_a_host(tmp_path: Path) -> None:
    place = tmp_path / "whatsapp"
    folder = kept(place, "s1", ANN)
    assert stored.copy(place, tmp_path / "copy") == 1
    with stored.held(folder):
        with pytest.raises(stored.InUse):
            stored.forget(place, "s1")
        with pytest.raises(stored.InUse):
            stored.put_back(place, tmp_path / "copy")
    assert words_of(folder) == ""
    stored.forget(place, "s1")
    assert list(place.iterdir()) == []
    stored.forget(place, "s1")


def test_what_was_cut_short_is_finished(tmp_path: Path) -> None:
    kept(tmp_path, "s1", ANN).rename(tmp_path / ".gone-s1")
    assert stored.sessions(tmp_path) == []
    stored.forget(tmp_path, "s1")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_told_and_a_link_is_not_followed(tmp_path: Path) -> None:
    place = tmp_path / "whatsapp"
    elsewhere = kept(tmp_path / "elsewhere", "s1", ANN)
    kept(place, "s2", BEN)
    (place / "s1").symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a link"):
        stored.forget(place, "s1")
    assert words_of(elsewhere) == ""
    (place / ".gone-s2").touch()
    with pytest.raises(OSError, match=r"gone-s2 cannot be removed"):
        stored.forget(place, "s2")
    assert stored.sessions(place) == ["s1", "s2"]
    kept(place, "s3", ANN).rename(place / ".gone-s3")
    assert stored.sweep(place) == [place / ".gone-s2"]
    assert not (place / ".gone-s3").exists()


def test_what_lies_among_the_keys_and_is_no_session_is_nobodys(tmp_path: Path) -> None:
    place = tmp_path / "whatsapp"
    kept(place, "s1", ANN)
    # The roots of volumes have the first; the second no text can name.
    for name in (b"lost+found", b"\xff", b"a b", b".hidden"):
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).mkdir()
    (place / "ses_file").touch()
    assert stored.sessions(place) == ["s1"]
    assert stored.copy(place, tmp_path / "copy") == 1
    with pytest.raises(NotADirectoryError):
        stored.sessions(place / "ses_file")


def test_a_store_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    kept(tmp_path / "whatsapp", "s1", ANN)
    (kept(tmp_path / "whatsapp", "s2", BEN) / stored.FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match="s2: file is not a database"):
        stored.copy(tmp_path / "whatsapp", tmp_path / "copy")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/s1", "s\0", ".gone-s1", 5, b"s1"])
def test_a_copy_leads_nowhere_else(tmp_path: Path, name: Any) -> None:
    kept(tmp_path / "from", "s1", ANN)
    stored.copy(tmp_path / "from", tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        copy.execute("CREATE TABLE made AS SELECT * FROM stores")
        copy.execute("DROP TABLE stores")
        copy.execute("CREATE TABLE stores (session_id, account, keys, spool)")
        copy.execute("INSERT INTO stores SELECT ?, account, keys, spool FROM made", (name,))
        copy.commit()
    with pytest.raises(stored.NoBackup, match="names no session"):
        stored.put_back(tmp_path / "to", tmp_path / "copy")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("fault", ["no database", "another's", "cut"])
def test_what_holds_no_keys_is_refused(tmp_path: Path, fault: str) -> None:
    source = tmp_path / "copy"
    kept(tmp_path / "from", "s1", ANN, "x" * 100_000)
    if fault == "another's":
        with closing(sqlite3.connect(source)) as other:
            other.execute("CREATE TABLE something (x)")
    elif fault == "no database":
        source.write_bytes(b"hello " * 1000)
    else:
        stored.copy(tmp_path / "from", source)
        source.write_bytes(source.read_bytes()[:20_000])
    with pytest.raises(stored.NoBackup, match="copy"):
        stored.put_back(tmp_path / "to", source)
    assert stored.sessions(tmp_path / "to") == []


def test_keys_go_back_where_there_are_none_and_newer_ones_stay(tmp_path: Path) -> None:
    place = tmp_path / "whatsapp"
    first = kept(place, "s1", ANN, "old")
    spool = Spool(first / stored.SPOOL)
    spool.append(b"not committed yet")
    kept(place, "s2", BEN, "old")
    kept(place, "s3", None)
    kept(place, "s4", ANN, "old")
    assert stored.copy(place, tmp_path / "copy") == 3
    assert mode(tmp_path / "copy") == 0o600
    spool.close()
    shutil.rmtree(first)
    kept(place, "s2", BEN, "new")
    kept(place, "s4", BEN, "of somebody else")
    assert stored.put_back(place, tmp_path / "copy") == (["s1", "s4"], ["s2"])
    assert [words_of(place / each) for each in ("s1", "s2", "s4")] == ["old", "new", "old"]
    assert mode(first) == 0o700
    assert mode(first / stored.FILE) == mode(first / stored.SPOOL) == 0o600
    again = Spool(first / stored.SPOOL)
    assert [record for _, record in again.after(0, 10)] == [b"not committed yet"]
    again.close()


def test_no_keys_is_an_empty_copy(tmp_path: Path) -> None:
    assert stored.copy(tmp_path / "absent", tmp_path / "copy") == 0
    assert stored.put_back(tmp_path / "to", tmp_path / "copy") == ([], [])


class TestReal:
    """With the real library."""

    pytestmark = [
        pytest.mark.anyio,
        pytest.mark.slow,
        pytest.mark.skipif(bool(why_not()), reason=why_not()),
    ]

    @pytest.fixture(scope="class")
    async def village(self) -> AsyncIterator[Village]:
        async with Emulator() as emulator:
            made = Village(emulator)
            yield made
            made.close()

    async def test_keys_that_are_missing_are_told_and_no_code_is_shown(self, village: Village) -> None:
        world = WhatsApp(village.emulator)
        async with village.online(world, {"s1": ANN}) as ((ann, _),):
            await ann.close()
            for session, address in (("s9", jid(ANN)), ("s1", jid(BEN))):
                connection, sink = await world.open(session, jid=address)
                logins = world.device(ANN).logins
                with pytest.raises(LinkEnded) as caught:
                    await connection.connect()
                assert (caught.value.status, caught.value.reason) == ("failed", None)
                assert not sink.of(QrShown)
                assert world.device(ANN).logins == logins
                await connection.close()
            again, _ = await world.open("s1", jid=jid(ANN))
            await again.connect()
        await world.close()

    async def test_keys_are_forgotten_only_when_their_host_has_let_them_go(self, village: Village) -> None:
        world = WhatsApp(village.emulator)
        async with village.online(world, {"s1": ANN}) as ((ann, _),):
            with pytest.raises(Unavailable):
                await world.engine.forget(ann.account)
            assert stored.has_keys(world.keys("s1"))
            await ann.close()
            assert await world.engine.kept() == ["s1"]
            await world.engine.forget(ann.account)
            assert await world.engine.kept() == []
        await world.close()

    async def test_a_copy_taken_while_people_talk_is_whole_and_with_old_keys_talk_goes_on(
        self, village: Village
    ) -> None:
        """The first words with old keys may be lost, each way; which ones, nobody promises."""
        world = WhatsApp(village.emulator)
        copied = world.folder / "copied"
        async with village.online(world, {"s1": ANN, "s2": BEN}) as ((ann, ann_sink), (ben, ben_sink)):
            talking = asyncio.ensure_future(self.talk(ann, ben))
            await eventually(lambda: len(said(ben_sink)) >= 3)
            assert await asyncio.to_thread(stored.copy, world.folder / "sessions", copied) == 2
            await talking
            await eventually(lambda: len(said(ben_sink)) == 8 and len(said(ann_sink)) == 8)
            await ann.close()
            shutil.rmtree(world.keys("s1"))
            stored.put_back(world.folder / "elsewhere", copied)
            shutil.move(world.folder / "elsewhere" / "s1", world.keys("s1"))
            again, sink = await world.open("s1", jid=jid(ANN))
            await again.connect()
            ben_sink.calls.clear()
            number = 0
            async with asyncio.timeout(PATIENCE):
                while not set(said(ben_sink)) & set(said(sink)):
                    number += 1
                    await again.send(text(None, BEN, f"again {number}"))
                    await ben.send(text(None, ANN, f"again {number}"))
                    await asyncio.sleep(1)
        await world.close()

    async def talk(self, ann: Any, ben: Any) -> None:
        for number in range(8):
            await ann.send(text(None, BEN, f"{number}"))
            await ben.send(text(None, ANN, f"{number}"))


def said(sink: Recorder) -> list[str]:
    return [arrived.content.text for arrived in sink.of(Arrived)]  # type: ignore[union-attr]
