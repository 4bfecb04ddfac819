"""Put on a host's path, this notes when what was heard came to its spool, and when that was on the disk.

Python imports a module of this name at its start; the emulator's own, which hosts need as well, is imported from
STAMPS_AFTER. Lines of STAMPS_FILE are `wire id, nanoseconds when written, nanoseconds when synced`, of the monotonic
clock. Only for measuring: no product has this file on its path.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import time
from pathlib import Path

_ID = re.compile(rb"3EB0[0-9A-F]{16,20}")
_write, _sync = os.write, os.fdatasync
_lock = threading.Lock()
_spools: dict[int, bool] = {}
_waiting: dict[int, list[tuple[bytes, int]]] = {}


def _is_spool(descriptor: int) -> bool:
    if descriptor not in _spools:
        _spools[descriptor] = os.readlink(f"/proc/self/fd/{descriptor}").endswith("/spool")
    return _spools[descriptor]


def _writing(descriptor: int, octets: bytes) -> int:
    done = _write(descriptor, octets)
    if _is_spool(descriptor) and (found := _ID.search(bytes(octets))):
        with _lock:
            _waiting.setdefault(descriptor, []).append((found[0], time.monotonic_ns()))
    return done


def _syncing(descriptor: int) -> None:
    with _lock:
        written = _waiting.pop(descriptor, [])
    _sync(descriptor)
    now = time.monotonic_ns()
    if written:
        _write(_out, b"".join(b"%b,%d,%d\n" % (id, at, now) for id, at in written))


if "STAMPS_FILE" in os.environ and b"\0wagate.engines.whatsapp\0" in Path("/proc/self/cmdline").read_bytes():
    _out = os.open(os.environ["STAMPS_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write, os.fdatasync = _writing, _syncing  # type: ignore[assignment]
if "STAMPS_AFTER" in os.environ:
    _spec = importlib.util.spec_from_file_location("_stamped", Path(os.environ["STAMPS_AFTER"]) / "sitecustomize.py")
    assert _spec is not None
    assert _spec.loader is not None
    _spec.loader.exec_module(importlib.util.module_from_spec(_spec))
