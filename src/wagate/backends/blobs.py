"""Media bytes: the port to where they are kept, by key, and the adapter that keeps them on this machine's disk.

A key is an id of ours, never a path and never a client's word. Bytes come by way of the spool and are durable once
`adopt` or `put` returns; whose they are and until when is written in the database, not here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from wagate.backends.spool import PIECE_BYTES, Spool, SpoolFile, Threads, make_folder, storing, sync_folder
from wagate.errors import Gone

# No hard links here, or no more of them for this file.
_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS})
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")


class BlobFile(Protocol):
    """Stored bytes. Holds nothing open between reads; `size` in bytes."""

    size: int

    def read(self, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` on, at most `length` of them, in pieces. Close it (`aclosing`) when leaving early.

        Raises:
            Gone: they were removed before reading began; later it reads on.
        """
        ...


class Blobs(Protocol):
    """Where media bytes are kept. `spooling` is always on this machine, wherever the blobs are."""

    spooling: Spool

    async def spool(self) -> SpoolFile:
        """A new file to write into.

        Raises:
            StorageUnavailable: the disk is full or gone.
        """
        ...

    async def sweep_spool(self) -> int:
        """Delete what a crash left in the spool; how many files. What is in use, by whichever process, stays."""
        ...

    async def adopt(self, file: SpoolFile, key: str) -> None:
        """Keep `file` under `key`: durable when this returns. What was there before is replaced.

        Raises:
            StorageUnavailable: it cannot be stored now; the file is still the caller's.
        """
        ...

    async def put(self, key: str, pieces: AsyncIterable[bytes] | Iterable[bytes]) -> None:
        """Keep `pieces` under `key`: whole and durable when this returns, or not at all.

        Raises:
            StorageUnavailable: they cannot be stored now.
        """
        ...

    async def copy(self, source: str, key: str) -> bool:
        """Keep what is kept under `source` under `key` as well, each to be removed by itself. False: nothing is there.

        Raises:
            StorageUnavailable: it cannot be stored now.
        """
        ...

    async def open(self, key: str) -> BlobFile | None:
        """What is kept under `key`; None where nothing is."""
        ...

    def local(self, key: str) -> AbstractAsyncContextManager[Path | None]:
        """A file of this machine with the bytes, for as long as the context lasts; not to be changed. None: nothing."""
        ...

    async def remove(self, keys: Iterable[str]) -> None:
        """Keep these no longer; unknown ones are passed over."""
        ...

    async def close(self) -> None:
        """Let go of threads and connections."""
        ...


class DiskBlob:
    """Bytes in a file of this machine."""

    def __init__(self, path: Path, size: int, threads: Threads) -> None:
        self.path = path
        self.size = size
        self._threads = threads

    async def read(self, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """See `BlobFile.read`."""
        end = self.size if length is None else min(self.size, start + length)
        try:
            file = await self._threads.acquire(lambda: os.open(self.path, os.O_RDONLY | os.O_CLOEXEC), os.close)
        except FileNotFoundError:
            raise Gone from None
        try:
            while start < end:
                piece = await self._threads.run(os.pread, file, min(PIECE_BYTES, end - start), start)
                if not piece:
                    raise OSError(errno.EIO, "a stored file is shorter than it was")
                start += len(piece)
                yield piece
        finally:
            os.close(file)


class DiskBlobs:
    """Files below `root`, two levels of folders deep, open to their owner alone; the spool is beside them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = Threads()
        self.spooling = Spool(root / "spool", self._threads)

    async def spool(self) -> SpoolFile:
        """See `Blobs.spool`."""
        return await self._threads.acquire(self.spooling.open, SpoolFile.discard)

    async def sweep_spool(self) -> int:
        """See `Blobs.sweep_spool`."""
        return await self._threads.run(self.spooling.sweep)

    async def adopt(self, file: SpoolFile, key: str) -> None:
        """See `Blobs.adopt`."""
        await self._threads.run(self._adopt, file, self._path(key))

    async def put(self, key: str, pieces: AsyncIterable[bytes] | Iterable[bytes]) -> None:
        """See `Blobs.put`."""
        self._path(key)
        async with await self.spool() as file:
            if isinstance(pieces, AsyncIterable):
                async for piece in pieces:
                    await file.write(piece)
            else:
                for piece in pieces:
                    await file.write(piece)
            await self.adopt(file, key)

    async def copy(self, source: str, key: str) -> bool:
        """See `Blobs.copy`. The bytes are shared where the file system can."""
        return await self._threads.run(self._copy, self._path(source), self._path(key))

    async def open(self, key: str) -> DiskBlob | None:
        """See `Blobs.open`."""
        path = self._path(key)
        try:
            found = await self._threads.run(os.stat, path)
        except FileNotFoundError:
            return None
        return DiskBlob(path, found.st_size, self._threads)

    @contextlib.asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path | None]:
        """See `Blobs.local`."""
        blob = await self.open(key)
        yield None if blob is None else blob.path

    async def remove(self, keys: Iterable[str]) -> None:
        """See `Blobs.remove`."""
        await self._threads.run(_unlink, [self._path(key) for key in keys])

    async def close(self) -> None:
        """See `Blobs.close`."""
        self._threads.close()

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("a blob's key is an id of ours")
        # By digest: ids begin with the time, and would all fall into one folder.
        spread = hashlib.sha256(key.encode()).hexdigest()
        return self._root / spread[:2] / spread[2:4] / key

    def _adopt(self, file: SpoolFile, path: Path) -> None:
        make_folder(path.parent)
        file.give(path)

    def _copy(self, source: Path, path: Path) -> bool:
        make_folder(path.parent)
        try:
            with storing():
                os.link(source, path)
        except FileNotFoundError:
            return False
        except FileExistsError:
            if os.path.samefile(source, path):
                return True
            self._write_copy(source, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._write_copy(source, path)
        else:
            with storing():
                sync_folder(path.parent)
        return True

    def _write_copy(self, source: Path, path: Path) -> None:
        file = self.spooling.open()
        try:
            with source.open("rb") as bytes_of:
                while piece := bytes_of.read(PIECE_BYTES):
                    file.append(piece)
            file.give(path)
        finally:
            file.discard()


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
