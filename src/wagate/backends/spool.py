"""Where bytes rest while they arrive: temporary files on this machine, written beside the event loop.

A spool file belongs to whoever opened it and deletes itself when closed, unless a blob store adopted it. What a crash
leaves is removed at the next start. All file work runs in a few threads of our own, so that a slow disk holds up
neither the event loop nor anybody else's threads. Called by blobs, and by api for request bodies.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from wagate.errors import StorageUnavailable

P = ParamSpec("P")
T = TypeVar("T")

PIECE_BYTES = 256 * 1024
"""How much is read or written at a time: a thread is asked seldom, and memory stays small."""

_NICER_BY = 10
"""How much the threads are nicer than the event loop's: a step is about a quarter more or less of a core."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


@contextlib.contextmanager
def storing() -> Iterator[None]:
    """What the disk refuses becomes `StorageUnavailable`; any other error of the system is a defect and passes."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageUnavailable("media cannot be stored now") from error
        raise


class Threads:
    """A few threads for file work, and one for what computes. Made once for each store.

    On Linux they give way to the event loop: where both want a core, it comes first.
    """

    def __init__(self) -> None:
        self._files = ThreadPoolExecutor(2, thread_name_prefix="blobs", initializer=_give_way)
        # Only one: with two, the event loop waits for the interpreter twice as long (p99 28 ms against 12).
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="blobs-computing", initializer=_give_way)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, done in a thread. When this returns or raises, `work` has ended: also if cancelled."""
        return await self._ask(self._files.submit(work, *args, **kwargs))

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `run`, for work that holds the interpreter: one at a time."""
        return await self._ask(self._computing.submit(work, *args, **kwargs))

    async def _ask(self, asked: Future[T]) -> T:
        future = asyncio.wrap_future(asked)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not asked.cancel():
                # A file that is being written must not be closed under the writer's feet.
                await _ended(future)
            raise

    async def acquire(self, work: Callable[[], T], release: Callable[[T], None]) -> T:
        """What `work` opens, opened in a thread; whoever is cancelled meanwhile gets nothing, and it is released."""
        opened: list[T] = []
        try:
            await self.run(lambda: opened.append(work()))
        except asyncio.CancelledError:
            for each in opened:
                release(each)
            raise
        return opened[0]

    def close(self) -> None:
        """End the threads; what was asked of them is done first."""
        self._files.shutdown()
        self._computing.shutdown()


def _give_way() -> None:
    # On one core, four large bodies held other requests up to twice as long without it (p99 19 ms against 10).
    # Elsewhere than on Linux it would be the whole process that is made nicer.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + _NICER_BY)


async def _ended(future: asyncio.Future[T]) -> None:
    while not future.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()


class SpoolFile:
    """A temporary file that grows; `size` in bytes and `sha256` are those of what was written so far.

    One writer at a time. Closing deletes it unless it was adopted; `async with` closes.
    """

    def __init__(self, path: Path, threads: Threads) -> None:
        self.path = path
        self.size = 0
        self.adopted = False
        self._threads = threads
        self._hash = hashlib.sha256()
        with storing():
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Dropped by the system when the process ends, however it ends: a sweep leaves what is locked.
        fcntl.flock(self._file, fcntl.LOCK_EX)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes written so far, in hex."""
        return self._hash.hexdigest()

    async def write(self, piece: bytes) -> None:
        """Append `piece`.

        Raises:
            StorageUnavailable: the disk is full or gone.
        """
        await self._threads.run(self.append, piece)

    async def head(self, count: int = 4096) -> bytes:
        """The first `count` bytes, fewer where there are fewer: enough to tell what kind of file it is."""
        return await self._threads.run(os.pread, self._opened(), count, 0)

    async def close(self) -> None:
        """Let go of it. Idempotent."""
        if self._file is not None:
            try:
                await self._threads.run(self.discard)
            except asyncio.CancelledError:
                self.discard()
                raise

    def append(self, piece: bytes) -> None:
        """Append `piece` now: blocks, so only for who is off the event loop.

        Raises:
            StorageUnavailable: the disk is full or gone.
        """
        file, rest = self._opened(), memoryview(piece)
        with storing():
            while rest:
                rest = rest[os.write(file, rest) :]
        self._hash.update(piece)
        self.size += len(piece)

    def give(self, target: Path) -> None:
        """Move it to `target` on the same disk, durably: blocks. Called by blob stores; nothing more can be written.

        Raises:
            StorageUnavailable: the disk is full or gone; the file is still the spool's, and goes when it is closed.
        """
        file = self._opened()
        with storing():
            os.fsync(file)
            os.replace(self.path, target)
            self.path = target
            sync_folder(target.parent)
        self.adopted = True
        self.discard()

    def discard(self) -> None:
        """Close it, and delete it unless it was adopted: blocks. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
        if not self.adopted:
            self.path.unlink(missing_ok=True)

    def _opened(self) -> int:
        if self._file is None:
            raise ValueError("the spool file is closed")
        return self._file

    async def __aenter__(self) -> SpoolFile:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class Spool:
    """The folder of one store's spool files. It is made when first used, open to its owner alone."""

    def __init__(self, folder: Path, threads: Threads) -> None:
        self.folder = folder
        self.threads = threads

    def open(self) -> SpoolFile:
        """A new file: blocks, so only for who is off the event loop.

        Raises:
            StorageUnavailable: the disk is full or gone.
        """
        path = self.folder / secrets.token_hex(16)
        try:
            return SpoolFile(path, self.threads)
        except FileNotFoundError:
            make_folder(self.folder)
            return SpoolFile(path, self.threads)

    def sweep(self) -> int:
        """Delete what nobody has open any more; how many files that were. Blocks."""
        if not self.folder.is_dir():
            return 0
        return sum(_delete_if_left(path) for path in self.folder.iterdir())


def _delete_if_left(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def make_folder(folder: Path) -> None:
    """See to it that a folder is there, open to its owner alone, and stays there if the power fails.

    Raises:
        StorageUnavailable: the disk is full or gone.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with storing():
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """See to it that what was made or renamed in a folder is found there after a power failure. Blocks."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
