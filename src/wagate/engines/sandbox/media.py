"""Files on the pretend network: a copy of its own for each message, fetched by whoever got it, gone with its record.

The network's copies lie in the engine's `Files` under `sandbox-…`, a key that follows from the message, so that a send
that is repeated after a crash finds the same one. Which keys there are is written beside the records, by frame.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from wagate.engines.base import Files
from wagate.engines.sandbox.frames import Changes
from wagate.engines.sandbox.network import Network
from wagate.errors import Gone
from wagate.model.actions import FetchMedia
from wagate.model.contents import MediaContent
from wagate.model.media import FetchedMedia

_PREFIX = "sandbox-"
_PIECE = 256 * 1024

C = TypeVar("C", bound=MediaContent)


def key_of(network: Network, record: str) -> str:
    """Where the network's copy lies for the message with this record."""
    return _PREFIX + network.derive(f"media {record}", 32)


async def take_in(network: Network, record: str, content: C) -> C:
    """Copy a message's file; the content as the network tells it from now on.

    Raises:
        Gone: the sender's file is not there.
        StorageUnavailable: it cannot be copied now.
    """
    known, key = content.media, key_of(network, record)
    source, files = known.id or known.ref, network.files
    if files is None or not source or not await files.copy(source, key):
        raise Gone("the file is no longer there")
    if known.size is UNSET or known.sha256 is UNSET:
        size, sha256 = await _measure(files, key)
        known = replace(known, size=size, sha256=sha256)
    return replace(content, media=replace(known, id=UNSET, ref=key))


async def leave(network: Network, keys: list[str]) -> None:
    """The messages did not come about: nothing of their files stays."""
    if network.files is not None and keys:
        await network.files.remove(keys)


async def fetch(network: Network, action: FetchMedia) -> FetchedMedia:
    """Copy a file of the network's to where the gateway wants it.

    Raises:
        Gone: the network no longer has it, or not as it was.
    """
    files, source = network.files, action.media.ref
    if files is None or not source or not source.startswith(_PREFIX) or not await files.copy(source, action.into):
        raise Gone("the network no longer has the file")
    size, sha256 = await _measure(files, action.into)
    if action.media.sha256 and action.media.sha256 != sha256:
        await files.remove([action.into])
        raise Gone("the network's file is damaged")
    return FetchedMedia(size=size, sha256=sha256)


def note(frame: int, key: str) -> Changes:
    """What is put with a message that has a file."""
    return {f"media/{frame:012d}": key}


async def _measure(files: Files, key: str) -> tuple[int, str]:
    async with files.local(key) as path:
        if path is None:
            raise Gone("the file is no longer there")
        return await asyncio.to_thread(_digest, path)


def _digest(path: Path) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            size += len(piece)
            digest.update(piece)
    return size, digest.hexdigest()
