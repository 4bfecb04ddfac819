"""Files of many kinds, whole enough to be told apart and no more; and a blob store to keep some in."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from wagate.backends.blobs import DiskBlobs

_FOLDER = tempfile.TemporaryDirectory(prefix="wagate-test-")


def blob_store() -> DiskBlobs:
    """An empty store in a folder that goes with this process. Nothing is made there before it is used."""
    return DiskBlobs(Path(_FOLDER.name) / secrets.token_hex(8))


_REST = bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01" + _REST
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + _REST
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + _REST
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + _REST
M4A = b"\0\0\0\x20ftypM4A \0\0\2\0M4A mp42isom\0\0\0\0" + _REST
OPUS_VOICE = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + _REST
VORBIS = b"OggS\x00\x02" + bytes(20) + b"\x01\x1e\x01vorbis" + _REST
MP3 = b"ID3\x04\x00\x00\0\0\0\0\xff\xfb\x90\x00" + _REST
AMR = b"#!AMR\n" + _REST
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj"
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'
