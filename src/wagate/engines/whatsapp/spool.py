"""What a session was told and the gateway has not committed yet, on disk: written at once, synced before it is told.

The library acknowledges to WhatsApp by itself, so this file is all that is left of a message between that moment and
the gateway's commit. What is written outlives this process; what is synced outlives the machine. A record is a length,
a CRC-32, a number and its bytes; one without bytes says that everything up to its number was taken. A torn last record
was never promised and is cut off. Of what waits only the file has the bytes, however much that is. Used by one line of
a host, from any of its threads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import zlib
from collections import deque
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_HEAD = struct.Struct(">IIQ")
_REWRITE_OCTETS = 4 << 20
_PIECE = 1 << 20


class Spool:
    """The records of one session, oldest first. Numbers start at 1 and rise by one while the spool is open."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # The oldest that is kept and where it begins, the newest and where it ends.
        self._first, self._begin, self._last, self._end = 1, 0, 0, 0
        self._doubtful = self._closed = False
        # Where those end that were read and not taken, and which is to be read next, and where that begins.
        self._ends: deque[tuple[int, int]] = deque()
        try:
            self._load()
            self._next = (self._first, self._begin)
            self._synced = self._first - 1
            _sync_folder(file.parent)
            self.sync()
        except OSError:
            os.close(self._descriptor)
            raise

    def append(self, record: bytes) -> int:
        """Keep a record: when this returns, the end of this process does not lose it. The number that stands for it.

        Raises:
            OSError: it is not kept.
        """
        with self._lock:
            if self._closed:
                # By now the number of our file may be another's.
                raise OSError(errno.EBADF, "the spool is closed")
            number = self._last + 1
            try:
                _write(self._descriptor, _HEAD.pack(len(record), zlib.crc32(record), number) + record)
            except OSError:
                os.ftruncate(self._descriptor, self._end)
                raise
            self._end += _HEAD.size + len(record)
            self._last = number
            return number

    def sync(self) -> None:
        """Make what was appended durable; appending goes on meanwhile, and what comes then may need another call.

        Raises:
            OSError: it is not durable. Tried again, it is written anew: what a disk did not take it may have dropped.
        """
        with self._syncing:
            with self._lock:
                if self._closed or self._synced == self._last:
                    return
                last = self._last
                if self._doubtful:
                    self._rewrite()
                elif self._begin > _REWRITE_OCTETS and self._begin > self._end - self._begin:
                    self._shorten()
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self._doubtful = True
                raise
            self._doubtful = False
            with self._lock:
                self._synced = max(self._synced, last)

    def after(self, number: int, limit: int, octets: int = _PIECE) -> list[tuple[int, bytes]]:
        """The next records behind `number` that are durable: as many as leave at most `octets` read and not taken.

        One may be longer than that, if nothing else is.
        """
        with self._lock:
            if self._next[0] != number + 1:
                self._seek(number + 1)
            found: list[tuple[int, bytes]] = []
            while len(found) < limit and self._next[0] <= self._synced:
                kept, at = self._next
                begin, length = self._record(at)
                end = begin + length
                if end - self._begin > octets and kept != self._first:
                    break
                found.append((kept, os.pread(self._descriptor, length, begin)))
                self._ends.append((kept, end))
                self._next = (kept + 1, end)
            return found

    def take(self, number: int) -> None:
        """Everything up to `number` is committed elsewhere: forget it."""
        with self._lock:
            before, number = self._first, min(number, self._last)
            if number >= self._next[0]:
                self._seek(number + 1)
            while self._ends and self._ends[0][0] <= number:
                taken, self._begin = self._ends.popleft()
                self._first = taken + 1
            if self._first == before:
                return
            # What a crash of the machine undoes here is told twice at worst: no need to wait for the disk.
            with contextlib.suppress(OSError):
                if self._first > self._last:
                    os.ftruncate(self._descriptor, 0)
                    self._begin = self._end = 0
                    self._next = (self._first, 0)
                else:
                    self._mark(self._first - 1)

    @property
    def first(self) -> int:
        """The number of the oldest that is kept, or of the next."""
        return self._first

    @property
    def last(self) -> int:
        """The last number that was given."""
        return self._last

    @property
    def synced(self) -> int:
        """The last number that is durable."""
        return self._synced

    def close(self) -> None:
        """Let the file go; what is in it stays. It may wait for the disk."""
        try:
            self.sync()
        finally:
            with self._syncing, self._lock:
                self._closed = True
                os.close(self._descriptor)

    def _mark(self, number: int) -> None:
        """Note in the file what was taken, so that the next process does not tell it again."""
        mark = _HEAD.pack(0, zlib.crc32(b""), number)
        try:
            _write(self._descriptor, mark)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(mark)

    def _load(self) -> None:
        size, at, ends = os.fstat(self._descriptor).st_size, 0, deque[tuple[int, int]]()
        while at + _HEAD.size <= size:
            length, checksum, number = _HEAD.unpack(os.pread(self._descriptor, _HEAD.size, at))
            record = os.pread(self._descriptor, length, at + _HEAD.size) if at + length < size else b""
            if len(record) < length or zlib.crc32(record) != checksum:
                break
            at += _HEAD.size + length
            if record:
                if not ends:
                    self._first, self._begin = number, at - _HEAD.size - length
                self._last = number
                ends.append((number, at))
            while ends and not record and ends[0][0] <= number:
                taken, self._begin = ends.popleft()
                self._first = taken + 1
            self._last = max(self._last, number)
        if at < size:
            log.warning("the end of a spool is torn and cut off", file=str(self._path), octets=size - at)
        os.ftruncate(self._descriptor, at)
        self._end = at
        self._first = max(self._first, 1) if ends else self._last + 1

    def _record(self, at: int) -> tuple[int, int]:
        """Where the first record at or behind a place has its bytes, and how many; what was taken is passed over."""
        length = 0
        while not length:
            length, _, _ = _HEAD.unpack(os.pread(self._descriptor, _HEAD.size, at))
            at += _HEAD.size
        return at, length

    def _seek(self, number: int) -> None:
        """Read on at this record, which is not older than the oldest."""
        self._ends.clear()
        kept, at = self._first, self._begin
        while kept < min(number, self._last + 1):
            begin, length = self._record(at)
            at = begin + length
            self._ends.append((kept, at))
            kept += 1
        self._next = (kept, at)

    def _shorten(self) -> None:
        """Leave out what was taken. Where that fails the old file goes on: it holds everything.

        Raises:
            OSError: the new one is in its place, but not for sure after the machine's end.
        """
        try:
            self._rewrite()
        except OSError as error:
            if self._doubtful:
                raise
            log.warning("a spool cannot be written anew", file=str(self._path), error=str(error))

    def _rewrite(self) -> None:
        """What is kept, in a new file.

        Raises:
            OSError: the old one stays; or, when it is doubtful from now on, the new one may not outlive the machine.
        """
        new = self._path.with_suffix(".new")
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            for at in range(self._begin, self._end, _PIECE):
                _write(descriptor, os.pread(self._descriptor, min(_PIECE, self._end - at), at))
            os.fsync(descriptor)
            os.replace(new, self._path)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        os.close(self._descriptor)
        self._descriptor, gone = descriptor, self._begin
        self._begin, self._end = 0, self._end - gone
        self._ends = deque((number, end - gone) for number, end in self._ends)
        self._next = (self._next[0], self._next[1] - gone)
        self._doubtful = True  # until it is synced, and so is its name
        _sync_folder(self._path.parent)


def _write(descriptor: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
