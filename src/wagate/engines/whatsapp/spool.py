"""What a session was told and the gateway has not committed yet, on disk: appended with fsync, removed when taken.

The library acknowledges to WhatsApp by itself, so this file is all that is left of a message between that moment and
the gateway's commit. A record is a length, a CRC-32, a number and its bytes; a torn last record was never promised and
is cut off. Used by one line of a host; `append` may be called from another thread than the rest.
"""

from __future__ import annotations

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


class Spool:
    """The records of one session, oldest first. Numbers start at 1 and rise while the spool is open."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, bytes]] = deque()
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._octets = self._load()
        self._last = self._kept[-1][0] if self._kept else 0
        _sync_folder(file.parent)

    def append(self, record: bytes) -> int:
        """Keep a record; durable when it returns, with the number that stands for it.

        Raises:
            OSError: it is not kept.
        """
        with self._lock:
            number = self._last + 1
            try:
                self._write(number, record)
                os.fdatasync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, self._octets)
                raise
            self._octets += _HEAD.size + len(record)
            self._last = number
            self._kept.append((number, record))
            return number

    def after(self, number: int, limit: int) -> list[tuple[int, bytes]]:
        """The next records behind `number`."""
        with self._lock:
            found: list[tuple[int, bytes]] = []
            for kept, record in self._kept:
                if len(found) == limit:
                    break
                if kept > number:
                    found.append((kept, record))
            return found

    def take(self, number: int) -> None:
        """Everything up to `number` is committed elsewhere: forget it."""
        with self._lock:
            while self._kept and self._kept[0][0] <= number:
                self._kept.popleft()
            if not self._kept:
                # What is lost by a crash now are records that were taken: no need to wait for the disk.
                os.ftruncate(self._descriptor, 0)
                self._octets = 0
            elif self._octets > _REWRITE_OCTETS and self._octets > 2 * sum(len(record) for _, record in self._kept):
                self._rewrite()

    @property
    def first(self) -> int:
        """The number of the oldest that is kept, or of the next."""
        with self._lock:
            return self._kept[0][0] if self._kept else self._last + 1

    @property
    def last(self) -> int:
        """The last number that was given."""
        return self._last

    def close(self) -> None:
        """Let the file go; what is in it stays."""
        os.close(self._descriptor)

    def _write(self, number: int, record: bytes) -> None:
        _write(self._descriptor, number, record)

    def _load(self) -> int:
        whole, read = 0, self._path.read_bytes()
        while whole + _HEAD.size <= len(read):
            length, checksum, number = _HEAD.unpack_from(read, whole)
            record = read[whole + _HEAD.size : whole + _HEAD.size + length]
            if len(record) < length or zlib.crc32(record) != checksum:
                break
            self._kept.append((number, record))
            whole += _HEAD.size + length
        if whole < len(read):
            log.warning("the end of a spool is torn and cut off", file=str(self._path), octets=len(read) - whole)
        os.ftruncate(self._descriptor, whole)
        return whole

    def _rewrite(self) -> None:
        """Write what is kept into a new file. Where that fails the old one goes on: it holds everything."""
        new = self._path.with_suffix(".new")
        try:
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                for number, record in self._kept:
                    _write(descriptor, number, record)
                os.fsync(descriptor)
                os.replace(new, self._path)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            log.warning("a spool cannot be written anew", file=str(self._path), error=str(error))
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._octets = sum(_HEAD.size + len(record) for _, record in self._kept)
        _sync_folder(self._path.parent)


def _write(descriptor: int, number: int, record: bytes) -> None:
    view = memoryview(_HEAD.pack(len(record), zlib.crc32(record), number) + record)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
