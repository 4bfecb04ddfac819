"""The spool: what was appended is there again, whatever happened to the process; what was taken is not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wagate.engines.whatsapp import spool as module
from wagate.engines.whatsapp.spool import Spool


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def kept(spool: Spool) -> list[bytes]:
    return [record for _, record in spool.after(0, 1000)]


def test_a_torn_last_record_is_cut_off_and_the_rest_stays(file: Path) -> None:
    spool = Spool(file)
    for record in (b"one", b"two", b"three"):
        spool.append(record)
    spool.close()
    whole = file.read_bytes()
    for cut in range(1, 16 + len(b"three")):
        file.write_bytes(whole[:-cut])
        again = Spool(file)
        assert kept(again) == [b"one", b"two"]
        assert again.append(b"four") == 3
        again.close()
        after = Spool(file)
        assert kept(after) == [b"one", b"two", b"four"]
        after.close()


def test_a_changed_byte_ends_what_can_be_trusted(file: Path) -> None:
    spool = Spool(file)
    for record in (b"one", b"two"):
        spool.append(record)
    spool.close()
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    assert kept(Spool(file)) == [b"one"]


def test_a_record_that_cannot_be_written_leaves_no_trace(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(file)
    spool.append(b"one")
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="no space"):
            spool.append(b"two")
    assert file.read_bytes() == before
    assert spool.append(b"three") == 2
    assert kept(spool) == [b"one", b"three"]


def test_what_was_appended_is_there_for_the_next_process(file: Path) -> None:
    spool = Spool(file)
    assert [spool.append(b"%d" % number) for number in range(5)] == [1, 2, 3, 4, 5]
    spool.close()
    again = Spool(file)
    assert (again.first, again.last) == (1, 5)
    assert kept(again) == [b"0", b"1", b"2", b"3", b"4"]


def test_what_was_taken_is_gone_and_numbers_go_on(file: Path) -> None:
    spool = Spool(file)
    for number in range(5):
        spool.append(b"%d" % number)
    spool.take(3)
    assert kept(spool) == [b"3", b"4"]
    spool.take(5)
    assert file.stat().st_size == 0
    assert spool.append(b"next") == 6


def test_what_is_left_after_much_was_taken_is_written_anew(file: Path) -> None:
    spool = Spool(file)
    for _ in range(6):
        spool.append(bytes(1 << 20))
    spool.append(b"last")
    spool.take(6)
    assert file.stat().st_size < 1 << 20
    assert spool.append(b"more") == 8
    spool.close()
    again = Spool(file)
    assert again.after(0, 10) == [(7, b"last"), (8, b"more")]


def test_only_its_owner_may_read_it(file: Path) -> None:
    Spool(file).append(b"secret")
    assert file.stat().st_mode & 0o077 == 0


def test_a_spool_that_cannot_be_written_anew_goes_on_in_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REWRITE_OCTETS", 100)
    spool = Spool(file)
    for number in range(20):
        spool.append(b"%d" % number)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        spool.take(15)
    spool.append(b"after")
    assert Spool(file).last == 21
    spool.take(16)
    spool.append(b"later")
    assert [each.decode() for each in kept(Spool(file))] == ["16", "17", "18", "19", "after", "later"]
    assert len(file.read_bytes()) < 200
