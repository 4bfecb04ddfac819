"""The spool: what was appended is there again, whatever happened to the process; what was taken is not."""

from __future__ import annotations

import contextlib
import errno
import os
import tracemalloc
from pathlib import Path

import pytest

from wagate.engines.whatsapp import spool as module
from wagate.engines.whatsapp.spool import Spool


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def kept(spool: Spool) -> list[bytes]:
    spool.sync()
    return [record for _, record in spool.after(0, 1000, 1 << 30)]


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

    def full(_: int) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    write = os.write

    def torn(descriptor: int, octets: bytes) -> int:
        write(descriptor, octets[:5])
        return full(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        with pytest.raises(OSError, match="no space"):
            spool.append(b"two")
    assert file.read_bytes() == before
    assert spool.append(b"three") == 2
    assert kept(spool) == [b"one", b"three"]


def test_what_a_disk_did_not_take_is_read_by_nobody_and_written_anew(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(file)
    spool.append(b"one")
    spool.sync()
    inode = file.stat().st_ino
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "input/output error")))
        spool.append(b"two")
        with pytest.raises(OSError, match="input/output"):
            spool.sync()
        assert spool.after(0, 1000) == [(1, b"one")]
    spool.sync()
    assert spool.after(1, 1000) == [(2, b"two")]
    assert file.stat().st_ino != inode
    spool.append(b"three")
    spool.take(1)
    spool.close()
    assert kept(Spool(file)) == [b"two", b"three"]


def test_nothing_is_read_before_it_is_on_the_disk(file: Path) -> None:
    spool = Spool(file)
    spool.append(b"one")
    assert (spool.last, spool.synced, spool.after(0, 1000)) == (1, 0, [])
    spool.sync()
    assert (spool.synced, spool.after(0, 1000)) == (1, [(1, b"one")])


def test_what_was_written_and_not_synced_is_there_after_the_process(file: Path) -> None:
    Spool(file).append(b"one")
    assert kept(Spool(file)) == [b"one"]


def test_as_much_is_read_ahead_as_is_allowed_and_always_something(file: Path) -> None:
    spool = Spool(file)
    for number in range(4):
        spool.append(bytes([number]) * 1000)
    spool.sync()
    assert [number for number, _ in spool.after(0, 10, 2500)] == [1, 2]
    assert spool.after(2, 10, 2500) == []
    spool.take(1)
    assert [number for number, _ in spool.after(2, 10, 2500)] == [3]
    spool.take(3)
    assert [number for number, _ in spool.after(3, 10, 1)] == [4]


def test_a_long_queue_costs_no_memory(file: Path) -> None:
    spool = Spool(file)
    tracemalloc.start()
    try:
        for _ in range(2000):
            spool.append(bytes(10_000))
        spool.sync()
        number, read = 0, 0
        while records := spool.after(number, 32, 1 << 20):
            number, read = records[-1][0], read + len(records)
            spool.take(number)
        assert (read, file.stat().st_size) == (2000, 0)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


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
    assert len(kept(spool)) == 5
    spool.take(3)
    spool.sync()
    assert [record for _, record in spool.after(3, 1000)] == [b"3", b"4"]
    spool.take(5)
    assert file.stat().st_size == 0
    assert spool.append(b"next") == 6


def test_what_is_left_after_much_was_taken_is_written_anew(file: Path) -> None:
    spool = Spool(file)
    for _ in range(6):
        spool.append(bytes(1 << 20))
    spool.append(b"last")
    assert len(kept(spool)) == 7
    spool.take(6)
    assert spool.append(b"more") == 8
    spool.sync()
    assert file.stat().st_size < 1 << 20
    assert spool.after(7, 10) == [(8, b"more")]
    spool.close()
    again = Spool(file)
    assert again.after(0, 10) == [(7, b"last"), (8, b"more")]


def test_what_was_taken_stays_taken_for_the_next_process(file: Path) -> None:
    spool = Spool(file)
    for number in range(5):
        spool.append(b"%d" % number)
    spool.take(2)
    spool.append(b"5")
    spool.take(4)
    spool.close()
    again = Spool(file)
    assert again.after(0, 10) == [(5, b"4"), (6, b"5")]
    again.take(6)
    assert file.stat().st_size == 0


def test_a_torn_note_of_what_was_taken_tells_it_again_and_loses_nothing(file: Path) -> None:
    spool = Spool(file)
    for record in (b"one", b"two", b"three"):
        spool.append(record)
    spool.take(1)
    spool.close()
    file.write_bytes(file.read_bytes()[:-1])
    again = Spool(file)
    assert kept(again) == [b"one", b"two", b"three"]
    assert again.append(b"four") == 4


@pytest.mark.parametrize("much", [False, True], ids=["a note", "all that is left"])
def test_a_full_disk_while_something_is_taken_costs_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, much: bool
) -> None:
    spool = Spool(file)
    for record in (bytes((5 << 20) if much else 1), b"two", b"three"):
        spool.append(record)
    written = os.write

    def full(descriptor: int, octets: memoryview) -> int:
        if len(octets) > 5:
            return written(descriptor, octets[:5])
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        spool.take(1)
    assert kept(spool) == [b"two", b"three"]
    assert spool.append(b"four") == 4
    spool.close()
    assert kept(Spool(file))[-3:] == [b"two", b"three", b"four"]


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

    assert len(kept(spool)) == 20
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        spool.take(15)
        spool.append(b"after")
        spool.sync()
    assert Spool(file).last == 21
    spool.take(16)
    spool.append(b"later")
    spool.sync()
    assert [each.decode() for each in kept(Spool(file))] == ["16", "17", "18", "19", "after", "later"]
    assert len(file.read_bytes()) < 200


def test_nothing_is_written_to_what_has_taken_a_closed_spools_place(file: Path, tmp_path: Path) -> None:
    spool = Spool(file)
    spool.close()
    # The system gives its number to the next file that is opened, another session's keys perhaps.
    with (tmp_path / "another").open("wb") as another:
        assert another.fileno() == spool._descriptor
        with pytest.raises(OSError, match="closed"):
            spool.append(b"late")
        assert os.fstat(another.fileno()).st_size == 0
    assert kept(Spool(file)) == []


def test_what_comes_after_it_was_written_anew_is_kept_though_the_folder_cannot_be_synced(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REWRITE_OCTETS", 100)
    spool = Spool(file)
    for number in range(20):
        spool.append(b"%d" % number)
    assert len(kept(spool)) == 20
    opened = os.open

    def exhausted(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == file.parent:
            raise OSError(errno.EMFILE, "too many open files")
        return opened(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", exhausted)
        spool.take(15)
        spool.append(b"after")
        with contextlib.suppress(OSError):
            spool.sync()
        spool.append(b"later")
        # Whatever becomes of this process now.
        assert b"later" in file.read_bytes()
    assert [each.decode() for each in kept(Spool(file))][-2:] == ["after", "later"]


def test_what_could_not_be_written_anew_takes_no_room_on_a_full_disk(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REWRITE_OCTETS", 100)
    spool = Spool(file)
    for number in range(20):
        spool.append(b"%d" % number)
    assert len(kept(spool)) == 20

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        spool.take(15)
        spool.append(b"after")
        spool.sync()
    assert [each.name for each in file.parent.iterdir()] == [file.name]
