"""What is kept of a session: whose keys they are, copies of them for a backup, and their end.

A store is looked at while the library has it not, or from another process: two copies of SQLite in one process undo
each other's locks. Called by the host (line.py), by the engine, and by bootstrap for the `db` commands.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

FILE = "keys.db"
"""The library's store in a session's folder."""

SPOOL, LOCK = "spool", "lock"
"""Beside it: what was not committed yet, and what the host that has the folder holds locked."""

_GONE = ".gone-"
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""What a session's folder may be called: nothing else that lies beside them is one, such as a volume's `lost+found`."""

_BUSY_SECONDS = 10
_BACKUP = """
CREATE TABLE stores (session_id TEXT PRIMARY KEY, account TEXT NOT NULL, keys BLOB NOT NULL, spool BLOB NOT NULL)
"""
_STORES = "SELECT session_id, account, keys, spool FROM stores"
_TYPES = [str, str, bytes, bytes]
"""A column of SQLite's holds what was written into it, of whatever type."""


class InUse(Exception):
    """A host has this session's folder."""


class NoBackup(ValueError):
    """The file holds no stores of sessions."""


def owner(folder: Path) -> str | None:
    """The address of the account whose keys these are; None: no phone has accepted them, or it took that back.

    Raises:
        OSError: that cannot be said now; an account must not be given up for it.
    """
    file = folder / FILE
    if not file.exists():
        return None
    # Not read-only: what a host that was killed left in the log belongs into the file first.
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=5)) as store:
            return _owner(store)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error


def has_keys(folder: Path) -> bool:
    """Whether a phone has accepted this session, and it was not logged out since.

    Raises:
        OSError: that cannot be said now.
    """
    return owner(folder) is not None


def state(folder: Path, account: str | None) -> tuple[bool, bool]:
    """Whether there are keys, and whether an account's are missing: where it is linked, a store without keys was
    unlinked; no store, or another's, is a slip.

    Raises:
        OSError: that cannot be said now.
    """
    found = owner(folder)
    absent = not (folder / FILE).exists()
    return found is not None, account is not None and (absent if found is None else not is_of(found, account))


def secrets(folder: Path, message: str) -> list[bytes]:
    """What the messages with this id were given to seal what is said about them; more than one where ids are equal.

    Not for a process that has the library loaded.
    """
    uri = f"{(folder / FILE).absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as store:
        rows = store.execute("SELECT key FROM whatsmeow_message_secrets WHERE message_id = ?", (message,))
        return [bytes(key) for (key,) in rows]


def is_of(address: str, account: str) -> bool:
    """Whether keys of this address, a device's, are this account's."""
    return address.partition("@")[0].partition(":")[0] == account.partition("@")[0].partition(":")[0]


def sessions(place: Path) -> list[str]:
    """The sessions of which something is kept in this place.

    Raises:
        OSError: it cannot be read, or is no folder.
    """
    try:
        return sorted(each.name for each in place.iterdir() if _NAME.fullmatch(each.name) and each.is_dir())
    except FileNotFoundError:
        return []


def forget(place: Path, session: str) -> None:
    """Remove all that is kept of a session, at once: what is cut short is finished by the next call, or by `sweep`.

    Raises:
        InUse: a host has it.
        OSError: it cannot be removed, or is a link: what is behind that may be more than ours.
    """
    folder, gone = place / session, place / f"{_GONE}{session}"
    if folder.is_dir():
        if folder.is_symlink():
            raise OSError(f"{folder} is a link: remove it and what it leads to by hand")
        with held(folder):
            _remove(gone)
            # By another name first: whoever links the session anew now begins in an empty folder.
            folder.rename(gone)
    _remove(gone)


def sweep(place: Path) -> list[Path]:
    """Finish what was cut short of forgetting; what is still there."""
    left = []
    for gone in place.glob(f"{_GONE}*"):
        try:
            if _NAME.fullmatch(gone.name.removeprefix(_GONE)):
                _remove(gone)
        except OSError:
            left.append(gone)
    return left


def lock(folder: Path) -> int | None:
    """Lock a session's folder: what to close to let it go; None: somebody has it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a session's folder as a host does.

    Raises:
        InUse: a host has it.
    """
    descriptor = lock(folder)
    if descriptor is None:
        raise InUse
    try:
        yield
    finally:
        os.close(descriptor)


def copy(place: Path, target: Path) -> int:
    """Write the keys of every linked session to one new file, while hosts may use them; how many there are.

    Each store is copied in one piece, so it is as it was at one moment. Not for a process that has the library loaded.

    Raises:
        OSError: a store cannot be read, or the file not written.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    count = 0
    try:
        with contextlib.closing(sqlite3.connect(target)) as backup:
            backup.execute(_BACKUP)
            for session in sessions(place):
                try:
                    taken = _taken(place / session)
                except (OSError, sqlite3.Error) as error:
                    raise OSError(f"{place / session}: {error}") from error
                if taken is not None:
                    backup.execute("INSERT INTO stores VALUES (?, ?, ?, ?)", (session, *taken))
                    count += 1
            backup.commit()
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    return count


def put_back(place: Path, source: Path) -> tuple[list[str], list[str]]:
    """Put copied keys where there are none: which sessions have theirs back, and which have keys and keep those.

    Keys that are there are newer than a copy: an older state of them is worse than none of it (see the guide).

    Raises:
        NoBackup: the file is damaged, or none of ours.
        InUse: a host runs.
        OSError: they cannot be written.
    """
    back, kept = [], []
    try:
        with contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as backup:
            if backup.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                raise NoBackup(f"{source} is damaged")
            for row in backup.execute(_STORES):
                if [type(each) for each in row] != _TYPES or not _NAME.fullmatch(row[0]):
                    raise NoBackup(f"{source} names no session")
                session, account, keys, spool = row
                folder = place / session
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with held(folder):
                    if _keeps(folder, account):
                        kept.append(session)
                        continue
                    for ending in ("-wal", "-shm", "-journal"):
                        (folder / (FILE + ending)).unlink(missing_ok=True)
                    _write(folder / SPOOL, spool)
                    _write(folder / FILE, keys)
                    back.append(session)
    except sqlite3.Error as error:
        raise NoBackup(f"{source} is damaged or holds no keys: {error}") from error
    return back, kept


def _owner(store: sqlite3.Connection) -> str | None:
    if store.execute("SELECT 1 FROM sqlite_master WHERE name = 'whatsmeow_device'").fetchone() is None:
        return None
    row = store.execute("SELECT jid FROM whatsmeow_device LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def _taken(folder: Path) -> tuple[str, bytes, bytes] | None:
    """A store as it is at one moment, and what was spooled by then or a little later."""
    if not (folder / FILE).exists():
        return None
    store = sqlite3.connect(folder / FILE, timeout=_BUSY_SECONDS)
    with contextlib.closing(store), contextlib.closing(sqlite3.connect(":memory:")) as whole:
        store.backup(whole)
        account, keys = _owner(whole), whole.serialize()
    if account is None:
        return None
    try:
        return account, keys, (folder / SPOOL).read_bytes()
    except FileNotFoundError:
        return account, keys, b""


def _keeps(folder: Path, account: str) -> bool:
    try:
        present = owner(folder)
    except OSError:
        return False  # what cannot be read is of no use to anybody
    return present is not None and is_of(present, account)


def _remove(gone: Path) -> None:
    shutil.rmtree(gone, ignore_errors=True)
    if os.path.lexists(gone):
        raise OSError(f"{gone} cannot be removed")


def _write(file: Path, octets: bytes) -> None:
    """Whole and on the disk, or not there."""
    part = file.with_name(f".{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(octets)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    # `python -I -S stored.py FOLDER MESSAGE`: the secrets, for a process that has the library loaded; see sealed.py.
    for secret in secrets(Path(sys.argv[1]), sys.argv[2]):
        sys.stdout.write(secret.hex() + "\n")
