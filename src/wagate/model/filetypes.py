"""File types: what bytes are, and whether that is what their sender calls them.

Nothing is converted here, so what a phone could not show is refused. Called by gateway/media.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from wagate.model.contents import MediaKind

Wanted = MediaKind | Literal["voice", "shown", "picture"]
"""What a file is to be: one of the kinds of media, a voice message, an image or a video, or a group's picture."""

HEAD_BYTES = 4096
"""How much of a file its type is told from."""

UNKNOWN = "application/octet-stream"
OPUS = "audio/ogg; codecs=opus"

_SAME = {
    "application/x-matroska": "video/x-matroska",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "image/pjpeg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "video/avi": "video/x-msvideo",
}
# Boxes for sound and pictures alike: the first bytes do not say what is inside.
_EITHER = {
    "video/mp4": "audio/mp4",
    "video/3gpp": "audio/3gpp",
    "video/webm": "audio/webm",
    "video/x-matroska": "audio/x-matroska",
}
# Whoever claims one of these, and has not the bytes that it begins with, is wrong.
_TELLABLE = frozenset(
    {
        "image/jpeg", "image/png", "image/gif", "image/webp", "image/heif", "image/avif", "image/tiff",
        "audio/ogg", "audio/wav", "audio/flac", "audio/amr", *_EITHER, *_EITHER.values(),
    }
)  # fmt: skip
_SURE = 0.3
_NAMES = {"image": "a picture", "video": "a video", "audio": "a sound"}


class WrongType(Exception):
    """The bytes are not what they are to be. `reason` is a clause for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def detect(head: bytes) -> str | None:
    """The MIME type of a file that begins so; None: it cannot be told. Takes less than a millisecond."""
    found = _first(head)
    return None if found is None else found[0]


def judge(wanted: Wanted, head: bytes, given: str | None) -> str:
    """The MIME type of a file that begins with `head` and is to be `wanted`; `given`: as its sender calls it.

    The bytes decide; what the sender says makes it more exact, or stands where the bytes say nothing.

    Raises:
        WrongType: the bytes are something else, or cannot be told and are not named.
    """
    found = _first(head)
    match wanted:
        case "sticker":
            return _exactly("image/webp", "is not WebP, and a sticker must be", found)
        case "picture":
            return _exactly("image/jpeg", "is not JPEG, and a group's picture must be", found)
        case "voice":
            return _exactly(OPUS, "is not OGG with Opus, and a voice message must be", found)
        case "document":
            return _document(found, given)
        case "shown":
            either = _major(found[0] if found is not None else given or "")
            return _shown("video" if either == "video" else "image", found, given)
    return _shown(wanted, found, given)


def _exactly(mimetype: str, complaint: str, found: tuple[str, bool] | None) -> str:
    if found is None or found[0] != mimetype:
        raise WrongType(complaint)
    return mimetype


def _document(found: tuple[str, bool] | None, given: str | None) -> str:
    if given is None:
        return UNKNOWN if found is None else found[0]
    if found is not None and found[1] and _major(given) in _NAMES and _major(given) != _major(found[0]):
        return found[0]
    return given


def _shown(wanted: Literal["image", "video", "audio"], found: tuple[str, bool] | None, given: str | None) -> str:
    claims = given is not None and _major(given) == wanted
    if found is not None:
        same = found[0] if _major(found[0]) == wanted else None
        if same is None and wanted == "audio":
            same = _EITHER.get(found[0])
        if same == "image/svg+xml" or (same is None and found[1]):
            raise WrongType(f"is not {_NAMES[wanted]}: its bytes are {found[0]}")
        if same is not None:
            return given if given is not None and _bare(given) == _bare(same) else same
    if given is None or not claims or _bare(given) in _TELLABLE:
        raise WrongType(f"cannot be told to be {_NAMES[wanted]} from its bytes")
    return given


def _first(head: bytes) -> tuple[str, bool] | None:
    """The likeliest type, and whether it is sure."""
    if head.startswith(b"OggS"):
        return _ogg(head), True
    if head.startswith(b"#!AMR"):
        return "audio/amr", True
    if head[4:10] == b"ftyp3g":
        return "video/3gpp", True
    return next(_guesses(head), None)


def _ogg(head: bytes) -> str:
    if b"OpusHead" in head[:256]:
        return OPUS
    return "video/ogg" if b"theora" in head[:256] else "audio/ogg"


def _guesses(head: bytes) -> Iterator[tuple[str, bool]]:
    # The library's tables cost 27 ms to load, and most sends carry no file.
    import puremagic

    try:
        guesses = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return
    for guess in sorted(guesses, key=lambda guess: -guess.confidence):
        if guess.mime_type:
            yield _SAME.get(guess.mime_type, guess.mime_type), guess.confidence >= _SURE


def _bare(mimetype: str) -> str:
    return mimetype.partition(";")[0].strip().lower()


def _major(mimetype: str) -> str:
    return mimetype.partition("/")[0].lower()
