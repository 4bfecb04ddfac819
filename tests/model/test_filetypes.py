"""Bytes are what they are, whatever their sender says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.files import AMR, HTML, JPEG, M4A, MP3, MP4, OPUS_VOICE, PDF, PNG, SVG, VORBIS, WEBP
from wagate.model.filetypes import OPUS, UNKNOWN, Wanted, WrongType, detect, judge


@pytest.mark.parametrize(
    ("wanted", "head", "given"),
    [
        ("image", PDF, None),
        ("image", PDF, "image/png"),
        ("image", HTML, "image/png"),
        ("image", b"hello", "image/png"),
        ("image", b"hello", None),
        ("image", b"hello", "text/plain"),
        ("image", SVG, "image/svg+xml"),
        ("image", MP4, "image/jpeg"),
        ("video", PNG, "video/mp4"),
        ("video", M4A, "video/mp4"),
        ("video", b"\0" * 100, "video/mp4"),
        ("audio", PNG, None),
        ("audio", b"x", "audio/ogg"),
        ("sticker", PNG, "image/webp"),
        ("sticker", b"x", "image/webp"),
        ("voice", VORBIS, OPUS),
        ("voice", MP3, OPUS),
        ("voice", b"x", OPUS),
        ("picture", PNG, "image/jpeg"),
    ],
)
def test_what_the_bytes_are_not_is_refused(wanted: Wanted, head: bytes, given: str | None) -> None:
    with pytest.raises(WrongType):
        judge(wanted, head, given)


@pytest.mark.parametrize(
    ("wanted", "head", "given", "told"),
    [
        ("image", PNG, None, "image/png"),
        ("image", PNG, "image/jpeg", "image/png"),
        ("image", JPEG, "IMAGE/JPEG", "IMAGE/JPEG"),
        ("image", b"rare", "image/x-rare", "image/x-rare"),
        ("video", MP4, None, "video/mp4"),
        ("audio", MP4, "audio/mp4", "audio/mp4"),
        ("audio", M4A, None, "audio/mp4"),
        ("audio", MP3, None, "audio/mpeg"),
        ("audio", AMR, None, "audio/amr"),
        ("audio", OPUS_VOICE, None, OPUS),
        ("audio", OPUS_VOICE, "audio/ogg", "audio/ogg"),
        ("voice", OPUS_VOICE, None, OPUS),
        ("sticker", WEBP, None, "image/webp"),
        ("picture", JPEG, None, "image/jpeg"),
        ("document", PDF, None, "application/pdf"),
        ("document", b"a,b\n", "text/csv", "text/csv"),
        ("document", b"a,b\n", None, UNKNOWN),
        ("document", HTML, "image/png", "text/html"),
    ],
)
def test_the_bytes_decide_and_the_sender_completes(wanted: Wanted, head: bytes, given: str | None, told: str) -> None:
    assert judge(wanted, head, given) == told


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd(head: bytes) -> None:
    detect(head)
    assert judge("document", head, None)
