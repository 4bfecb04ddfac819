"""What one request brings in bytes: base64 decoded in pieces into spool files, held until the request ends.

A long `data` string of a body never stands in memory: the scanner decodes it into a file as it arrives and leaves a
token in its place. Here the tokens are resolved, short strings get files in the same way, and a body's digest is taken
over the bytes, however they came. Called by bodies and scanner (in), by the operations' functions (out).
"""

from __future__ import annotations

import binascii
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from wagate.backends.spool import PIECE_BYTES, Spool, SpoolFile
from wagate.errors import BadRequest, PayloadTooLarge
from wagate.model.media import ALBUM_BYTES, FILE_BYTES

_MOST_FILES = 32
"""More than any message has: each is a file that is open until the request ends."""

_TYPE = rb"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}"
_URI = re.compile(rb"data:(%s)?(?:;[^\x00-\x20\x7f-\xff;,]{1,128}){0,8}?;base64" % _TYPE, re.IGNORECASE)


class MediaFile:
    """What a `data` string held: `file` with the bytes, and the `mimetype` that a data: URI declared.

    The file belongs to the request and goes with it, unless a blob store adopts it.
    """

    __slots__ = ("_padded", "_prefix", "_rest", "_spools", "characters", "file", "invalid", "mimetype")

    def __init__(self, file: SpoolFile, spools: Spools) -> None:
        self.file = file
        self.mimetype: str | None = None
        self.invalid = False
        self.characters = 0
        self._spools = spools
        self._prefix = True
        self._padded = False
        self._rest = b""

    def feed(self, text: bytes) -> None:
        """Decode a piece of the string: blocks. The first piece holds the whole prefix of a data: URI.

        Raises:
            PayloadTooLarge: it is more than a file, or a request, may hold.
            StorageUnavailable: the disk is full or gone.
        """
        if self._prefix and text:
            self._prefix = False
            text = self._without_prefix(text)
        self.characters += len(text)
        # At most two characters of a string are padding.
        self._spools.check(self, at_least=self.characters * 3 // 4 - 2)
        text = self._rest + text
        whole = len(text) & ~3
        self._rest = text[whole:]
        self._decode(text[:whole])

    def end(self) -> None:
        """The string is over; padding may be left out. Blocks, and raises like `feed`."""
        rest, self._rest = self._rest, b""
        if len(rest) == 1 or b"=" in rest:
            self.invalid = True
        elif rest:
            self._decode(rest + b"=" * (4 - len(rest)))
        self._spools.check(self, at_least=self.file.size)

    def _decode(self, text: bytes) -> None:
        if not text or self.invalid:
            return
        if self._padded:
            self.invalid = True
            return
        self._padded = text.endswith(b"=")
        try:
            decoded = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            self.invalid = True
            return
        self.file.append(decoded)

    def _without_prefix(self, text: bytes) -> bytes:
        if text[:5].lower() != b"data:":
            return text
        prefix, _, text = text.partition(b",")
        found = _URI.fullmatch(prefix)
        if found is None:
            self.invalid = True
        elif found[1]:
            self.mimetype = found[1].decode("ascii").lower()
        return text


class Spools:
    """The spool files of one request. `async with` closes those that nobody adopted.

    `limit`: the most bytes that all of them may hold together; each holds at most `FILE_BYTES`.
    """

    def __init__(self, spool: Spool, *, limit: int = ALBUM_BYTES) -> None:
        self.threads = spool.threads
        self._spool = spool
        self._limit = limit
        self._files: list[SpoolFile] = []
        self._media: list[MediaFile] = []
        self._by_token: dict[str, MediaFile] = {}
        self._digests: dict[str, dict[str, str]] = {}

    def open(self) -> SpoolFile:
        """A new file, empty: blocks.

        Raises:
            StorageUnavailable: the disk is full or gone.
        """
        file = self._spool.open()
        self._files.append(file)
        return file

    def begin(self) -> tuple[str, MediaFile]:
        """A `data` string begins: what stands for it from now on, and where its pieces go. Blocks, raises like `open`.

        Nobody can guess the token, and it means something to this request alone.

        Raises:
            BadRequest: there are too many of them.
        """
        if len(self._media) >= _MOST_FILES:
            raise BadRequest(f"the body holds more than {_MOST_FILES} files")
        media = MediaFile(self.open(), self)
        self._media.append(media)
        token = secrets.token_hex(20)
        self._by_token[token] = media
        return token, media

    def resolve(self, text: str) -> MediaFile | None:
        """What `text` stands for if it is a token of this request, decoded to its end; else None."""
        return self._by_token.get(text)

    def check(self, media: MediaFile, *, at_least: int) -> None:
        """Refuse what is too much by now: `media` will hold at least so many bytes.

        Raises:
            PayloadTooLarge: it is.
        """
        if at_least > FILE_BYTES:
            raise PayloadTooLarge(f"a file is larger than {FILE_BYTES} bytes", limitBytes=FILE_BYTES)
        if at_least + sum(each.file.size for each in self._media if each is not media) > self._limit:
            raise PayloadTooLarge(f"the files are larger than {self._limit} bytes together", limitBytes=self._limit)

    def note(self, text: str, media: MediaFile) -> None:
        """Remember what `text` held, for the digest."""
        self._digests[text] = {"sha256": media.file.sha256}
        if media.mimetype is not None:
            self._digests[text]["mimetype"] = media.mimetype

    def digest(self, body: Any) -> str:
        """Identify a body by its content, in hex: two bodies that say the same have one digest.

        It is the SHA-256 of the body as canonical JSON, in which each `data` string that `media_file` has judged is
        replaced by the SHA-256 of its bytes and the type that it declared; so it is the same whether they came spooled
        or not, padded or not, escaped or not.
        """
        if self._digests:
            body = _substituted(msgspec.to_builtins(body), self._digests)
        return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()

    def decode(self, text: str) -> MediaFile:
        """Decode a string that came inline: blocks, and raises like `MediaFile.feed`."""
        _, media = self.begin()
        characters = text.encode("utf-8", "replace")
        for start in range(0, len(characters), PIECE_BYTES):
            media.feed(characters[start : start + PIECE_BYTES])
        media.end()
        return media

    async def close(self) -> None:
        """Delete what nobody adopted. Idempotent."""
        self._media.clear()
        self._by_token.clear()
        while self._files:
            await self._files.pop().close()

    async def __aenter__(self) -> Spools:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


async def media_file(text: str, spools: Spools, *, path: str = "data") -> MediaFile:
    """What a `data` string of the body holds, whether it was spooled or came inline; `path` names it to the client.

    Raises:
        BadRequest: it is not base64, or 0 bytes.
        PayloadTooLarge: it is larger than a file may be, or all of them than the request may hold.
        StorageUnavailable: the disk is full or gone.
    """
    media = spools.resolve(text)
    if media is None:
        media = await spools.threads.compute(spools.decode, text)
    if media.invalid:
        raise BadRequest.field(path, "is not base64")
    if not media.file.size:
        raise BadRequest.field(path, "is empty")
    spools.note(text, media)
    return media


def _substituted(value: Any, digests: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {
            key: digests[each] if key == "data" and isinstance(each, str) and each in digests
            else _substituted(each, digests)
            for key, each in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [_substituted(each, digests) for each in value]
    return value
