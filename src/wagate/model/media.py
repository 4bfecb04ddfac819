"""Media: files that are said, and uploads that wait to be said."""

from __future__ import annotations

from wagate.model import Millis, Shape

FILE_BYTES = 16 * 1024 * 1024
"""The most that one file may have, in bytes."""

ALBUM_BYTES = 64 * 1024 * 1024
"""The most that all files of an album may have together, in bytes."""


class Uploaded(Shape, frozen=True, kw_only=True):
    """An upload: usable as `media.id` for a day. `size` in bytes."""

    id: str
    mimetype: str
    size: int


class StoredMedia(Shape, frozen=True, kw_only=True):
    """A file whose bytes are here, under `id` in the blob store. `sha256` in hex."""

    id: str
    mimetype: str
    size: int
    sha256: str
    expires_at: Millis
    filename: str | None = None


class FetchedMedia(Shape, frozen=True, kw_only=True):
    """A file as it came from the network. `size` in bytes, `sha256` in hex."""

    size: int
    sha256: str
