"""A blob as an answer: whole, or the range of it that the client asked for, as RFC 9110 has it.

It is always offered for saving and never to be taken for a page of ours: whoever sent the bytes chose them, and their
type. Called by the operations' functions that answer bytes.
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import quote

import msgspec

from wagate.api.answers import Streamed
from wagate.api.operations import Call, Reply
from wagate.backends.blobs import BlobFile
from wagate.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes *= *(?:([0-9]{1,19}) *- *([0-9]{1,19})?|- *([0-9]{1,19}))", re.IGNORECASE)
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *; *[\w-]+=[\x20-\x7e]*)?", re.ASCII)
_NOT_PLAIN = re.compile(r'[^\x20-\x7e]|["\\%]')


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a blob besides its bytes; `sha256` in hex."""

    mimetype: str
    sha256: str
    filename: str | None = None


def of_blob(call: Call, blob: BlobFile, described: Described) -> Reply:
    """The answer that gives `blob`: 200, 206 when a part was asked for, 304 when the client has it.

    One range is served; of several the whole is, and so it is when `If-Range` names other bytes or the range is none.

    Raises:
        RangeNotSatisfiable: the range begins behind the end.
    """
    etag = f'"{described.sha256}"'
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private",
        "content-disposition": disposition(described.filename),
    }
    if _names(call.header("if-none-match"), etag):
        return Reply(status=304, headers=headers)
    media_type = described.mimetype if _TYPE.fullmatch(described.mimetype) else "application/octet-stream"
    part = None if call.head else _part(call.header("range"), call.header("if-range"), etag, blob.size)
    start, end = part or (0, blob.size)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{blob.size}"
    body = Streamed(length=end - start, pieces=partial(blob.read, start, end - start))
    return Reply(status=200 if part is None else 206, body=body, media_type=media_type, headers=headers)


def disposition(filename: str | None) -> str:
    """The header that offers the answer for saving under `filename`, whatever characters it has (RFC 6266)."""
    if not filename:
        return "attachment"
    plain = _NOT_PLAIN.sub("_", filename)
    if plain == filename:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename.encode('utf-8', 'replace'), safe='')}"


def _part(wanted: str | None, condition: str | None, etag: str, size: int) -> tuple[int, int] | None:
    """From where to before where; None for the whole."""
    if wanted is None or (condition is not None and condition.strip() != etag):
        return None
    found = _RANGE.fullmatch(wanted.strip())
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(size - int(suffix), 0), size
    else:
        start, end = int(first), size if last is None else min(int(last) + 1, size)
        if last is not None and int(last) < int(first):
            return None
    if start >= size or suffix == "0":
        raise RangeNotSatisfiable(size=size)
    return start, end


def _names(given: str | None, etag: str) -> bool:
    return given is not None and (
        given.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in given.split(",")]
    )
