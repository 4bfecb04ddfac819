"""Media bytes are durable and whole once they are in, private, and gone when they are removed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from wagate.backends.blobs import DiskBlobs
from wagate.backends.spool import PIECE_BYTES
from wagate.errors import Gone, StorageUnavailable

pytestmark = pytest.mark.anyio

BYTES = os.urandom(PIECE_BYTES * 2 + 17)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DiskBlobs]:
    store = DiskBlobs(tmp_path / "media")
    yield store
    await store.close()


def spooled(blobs: DiskBlobs) -> list[Path]:
    folder = blobs.spooling.folder
    return list(folder.iterdir()) if folder.is_dir() else []


async def whole(blobs: DiskBlobs, key: str, start: int = 0, length: int | None = None) -> bytes:
    blob = await blobs.open(key)
    assert blob is not None
    return b"".join([piece async for piece in blob.read(start, length)])


@contextmanager
def full(room: int) -> Iterator[None]:
    """No file of this process may grow beyond `room` bytes: writing more fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".", "..", "a.b", "a\0b", "x" * 129, "ü"])
async def test_a_key_is_never_a_path(blobs: DiskBlobs, key: str) -> None:
    for refused in (blobs.open(key), blobs.put(key, [b"x"]), blobs.remove([key])):
        with pytest.raises(ValueError):
            await refused
    assert not spooled(blobs)


async def test_nothing_is_under_an_unknown_key(blobs: DiskBlobs) -> None:
    assert await blobs.open("media_1") is None
    async with blobs.local("media_1") as path:
        assert path is None
    await blobs.remove(["media_1"])


async def test_a_full_disk_is_told_and_leaves_nothing(blobs: DiskBlobs) -> None:
    with full(100_000), pytest.raises(StorageUnavailable):
        await blobs.put("media_1", [BYTES])
    assert await blobs.open("media_1") is None
    assert not spooled(blobs)


async def test_a_writer_that_fails_leaves_nothing(blobs: DiskBlobs) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield BYTES
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await blobs.put("media_1", failing())
    assert await blobs.open("media_1") is None
    assert not spooled(blobs)


async def test_a_cancelled_writer_leaves_nothing(blobs: DiskBlobs) -> None:
    began = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield BYTES
            began.set()

    writer = asyncio.create_task(blobs.put("media_1", endless()))
    await began.wait()
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    assert not spooled(blobs)


async def test_bytes_come_back_whole_and_in_ranges(blobs: DiskBlobs) -> None:
    await blobs.put("media_1", [BYTES[:10], BYTES[10:]])
    assert await whole(blobs, "media_1") == BYTES
    assert await whole(blobs, "media_1", 5, 10) == BYTES[5:15]
    assert await whole(blobs, "media_1", PIECE_BYTES - 1) == BYTES[PIECE_BYTES - 1 :]
    assert await whole(blobs, "media_1", len(BYTES) - 1, 10**9) == BYTES[-1:]
    async with blobs.local("media_1") as path:
        assert path is not None
        assert path.read_bytes() == BYTES


async def test_a_spooled_file_knows_itself_and_is_adopted(blobs: DiskBlobs) -> None:
    async with await blobs.spool() as file:
        await file.write(BYTES[:100])
        await file.write(BYTES[100:])
        assert (file.size, file.sha256) == (len(BYTES), hashlib.sha256(BYTES).hexdigest())
        assert await file.head(16) == BYTES[:16]
        await blobs.adopt(file, "media_1")
        with pytest.raises(ValueError):
            await file.write(b"more")
    assert await whole(blobs, "media_1") == BYTES
    assert not spooled(blobs)


async def test_only_the_owner_can_look(blobs: DiskBlobs, tmp_path: Path) -> None:
    await blobs.put("media_1", [b"x"])
    async with await blobs.spool():
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()}
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert modes == {0o700}
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    depths = {len(path.relative_to(tmp_path / "media").parts) for path in files if path.name == "media_1"}
    assert depths == {3}


async def test_what_is_removed_is_gone_but_who_reads_reads_on(blobs: DiskBlobs) -> None:
    await blobs.put("media_1", [BYTES])
    early, late = await blobs.open("media_1"), await blobs.open("media_1")
    assert early is not None
    assert late is not None
    async with aclosing(early.read()) as pieces:
        read = [await anext(pieces)]
        await blobs.remove(["media_1", "media_2"])
        read += [piece async for piece in pieces]
    assert b"".join(read) == BYTES
    assert await blobs.open("media_1") is None
    with pytest.raises(Gone):
        await anext(late.read())


async def test_what_a_crash_left_is_swept_and_what_is_in_use_stays(blobs: DiskBlobs) -> None:
    assert await blobs.sweep_spool() == 0
    async with await blobs.spool() as used:
        (blobs.spooling.folder / "left").write_bytes(b"half")
        await blobs.put("media_1", [b"kept"])
        assert await blobs.sweep_spool() == 1
        assert spooled(blobs) == [used.path]
    assert await whole(blobs, "media_1") == b"kept"


async def test_reading_and_writing_leaves_no_file_open(blobs: DiskBlobs) -> None:
    await blobs.put("media_1", [BYTES])
    before = len(os.listdir("/proc/self/fd"))
    blob = await blobs.open("media_1")
    assert blob is not None
    async with aclosing(blob.read()) as pieces:
        await anext(pieces)
    await whole(blobs, "media_1")
    await blobs.put("media_2", [b"x"])
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_copy_is_the_same_bytes_and_lives_by_itself(blobs: DiskBlobs) -> None:
    await blobs.put("first", [BYTES])
    assert await blobs.copy("first", "second")
    assert await blobs.copy("first", "second")
    await blobs.remove(["first"])
    assert await whole(blobs, "second") == BYTES
    assert not await blobs.copy("first", "third")
    await blobs.put("first", [b"other"])
    assert await blobs.copy("first", "second")
    assert await whole(blobs, "second") == b"other"
    assert not spooled(blobs)


async def test_a_copy_is_made_where_there_are_no_links(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(1, "no links here")

    await blobs.put("first", [BYTES])
    monkeypatch.setattr(os, "link", refuse)
    assert await blobs.copy("first", "second")
    assert await whole(blobs, "second") == BYTES
    assert not spooled(blobs)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
async def test_file_work_gives_way_to_the_event_loop(blobs: DiskBlobs) -> None:
    threads = blobs.spooling.threads
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    theirs = [await run(os.getpriority, os.PRIO_PROCESS, 0) for run in (threads.run, threads.compute)]
    assert all(each > ours or each == 19 for each in theirs)
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours
