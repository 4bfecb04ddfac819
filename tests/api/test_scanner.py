"""However a body is cut and written, it reduces to the same document and the same bytes; broken ones stay broken."""

from __future__ import annotations

import base64
import itertools
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wagate.api.scanner import Scanner
from wagate.api.spools import Spools
from wagate.backends.spool import Spool, Threads
from wagate.errors import BadRequest, PayloadTooLarge

HELD = 48
THREADS = Threads()


@contextmanager
def spools(limit: int = 1 << 26) -> Iterator[Spools]:
    with tempfile.TemporaryDirectory() as folder:
        made = Spools(Spool(Path(folder), THREADS), limit=limit)
        yield made
        for file in made._files:
            file.discard()


def reduced(into: Spools, pieces: list[bytes], limit: int = 1 << 20) -> bytes:
    scanner = Scanner(into, limit=limit, held=HELD)
    for piece in pieces:
        scanner.feed(piece)
    return scanner.finish()


def cut(document: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(document), *(each % (len(document) + 1) for each in at)})
    return [document[start:end] for start, end in itertools.pairwise(places)]


def decoded(text: str) -> bytes | None:
    """What the string holds, by the standard library."""
    text = re.sub(r"\Adata:[^,]*;base64,", "", text)
    if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) or (text.endswith("=") and len(text) % 4):
        return None
    text = text.rstrip("=")
    return None if len(text) % 4 == 1 else base64.b64decode(text + "=" * (-len(text) % 4))


def compare(into: Spools, was: Any, now: Any, key: str = "") -> None:
    media = into.resolve(now) if isinstance(now, str) else None
    if media is not None:
        assert key == "data"
        assert media.invalid == (decoded(was) is None)
        if not media.invalid:
            assert media.file.path.read_bytes() == decoded(was)
            assert media.mimetype == ("image/png" if was.startswith("data:image/png") else None)
    elif isinstance(was, dict):
        assert list(was) == list(now)
        for each in was:
            compare(into, was[each], now[each], each)
    elif isinstance(was, list):
        assert len(was) == len(now)
        for left, right in zip(was, now, strict=True):
            compare(into, left, right)
    else:
        assert was == now
        assert not (key == "data" and isinstance(was, str) and len(was.encode()) > HELD)


BASE64 = st.builds(
    lambda prefix, raw, padded: prefix + base64.b64encode(raw).decode().rstrip("" if padded else "="),
    st.sampled_from(["", "", "data:;base64,", "data:image/png;base64,", "data:image/png;x=y;base64,"]),
    st.binary(max_size=300),
    st.booleans(),
)
TEXTS = st.one_of(
    BASE64,
    st.text(max_size=120),
    st.text('\\"/uda:t {}[],', max_size=120),
    st.text("AZaz09+/=", max_size=120),
    st.sampled_from(['"data":"', '\\"data\\":\\"', "data", '"data', "data:image/png;base64", "\\" * 60, '"' * 60]),
)
KEYS = st.one_of(
    st.sampled_from(["data", "data", "Data", 'x"data', "x\\", '\\"data', "data\\", ""]), st.text(max_size=4)
)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@st.composite
def written(draw: st.DrawFn, documents: st.SearchStrategy[Any] = DOCUMENTS) -> bytes:
    """A document as some client's library would write it."""
    space = draw(st.sampled_from(["", " ", "\n\t "]))
    text = json.dumps(draw(documents), ensure_ascii=draw(st.booleans()), separators=("," + space, space + ":" + space))
    how = draw(st.sampled_from(["plain", "slashes", "codes", "key"]))
    if how == "slashes":
        text = text.replace("/", "\\/")
    elif how == "codes":
        text = text.replace("+", "\\u002B").replace("/", "\\u002f").replace("=", "\\u003d")
    elif how == "key":
        text = text.replace('"data"', '"d\\u0061t\\u0061"')
    return text.encode("utf-8", "replace")


CUTS = st.lists(st.integers(0, 10_000), max_size=20)


@given(written(), CUTS)
@example(b'{"data":"' + b"\\u002B" * 80 + b'"}', list(range(600)))
@example(b'{"x":"a\\\\","data" : "' + b"QUJD" * 40 + b'","y":["data","' + b"QUJD" * 40 + b'"]}', list(range(600)))
@example(b'{"x\\"data":"' + b"QUJD" * 40 + b'"}', list(range(600)))
@example(b'{"data":"' + b"QUJD" * 40 + b'\\\\"}', list(range(600)))
@example(b'{"data":"0' + b"\\ud800\\udc00" * 9 + b'"}', [])
@example(b'{"data":"' + b"\\ud041" * 12 + b'"}', [])
@example(b'{"data":"' + b"Q" * 47 + b"A" * 1 + b'"}', [9 + 48])
def test_any_document_reduces_to_an_equivalent_one(document: bytes, at: list[int]) -> None:
    with spools() as into:
        compare(into, json.loads(document), json.loads(reduced(into, cut(document, at))))


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A document with something cut out or put in."""
    document = draw(written(st.fixed_dictionaries({"data": BASE64, "x": TEXTS, "data ": TEXTS})))
    start = draw(st.integers(0, len(document)))
    end = draw(st.integers(start, len(document)))
    middle = draw(
        st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b"\\", b"\n", b'"data":"', b"\\ud800", b"\xff"]))
    )
    return document[:start] + middle + document[end if draw(st.booleans()) else start :]


def readable(document: bytes) -> bool:
    try:
        msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@given(broken(), CUTS)
@example(b'{"data":"' + b"QUJD" * 40, [])
@example(b'{"data":"' + b"QUJD" * 40 + b'\n"}', [])
@example(b'{"data":"' + b"QUJD" * 40 + b'\\x"}', [])
@example(b'{"data":"' + b"QUJD" * 40 + b'\xff"}', [])
@example(b'{"data":"data:image/png;x=\n;base64,' + b"QUJD" * 40 + b'"}', [])
@example(b'{"data":"data:image/png;x=\x80;base64,' + b"QUJD" * 40 + b'"}', [])
@example(b'{"data":"data:image/png;x\\u003d\x80;base64,' + b"QUJD" * 40 + b'"}', [])
def test_a_broken_document_stays_broken(document: bytes, at: list[int]) -> None:
    with spools() as into:
        try:
            after = readable(reduced(into, cut(document, at)))
        except BadRequest:
            after = False
        if not readable(document):
            assert not after or any(media.invalid for media in into._by_token.values())
        else:
            assert after


@given(st.binary(max_size=400), CUTS)
def test_no_bytes_break_the_scanner(document: bytes, at: list[int]) -> None:
    with spools() as into:
        kept = reduced(into, cut(document, at))
        assert into._by_token or kept == document


def test_only_what_is_long_leaves_the_document() -> None:
    short, long = b'{"data":"' + b"A" * HELD + b'"}', b'{"data":"' + b"A" * (HELD + 1) + b'"}'
    with spools() as into:
        assert reduced(into, [short]) == short
        token = json.loads(reduced(into, [long]))["data"]
        assert into.resolve(token) is not None
    with spools() as other:
        assert other.resolve(token) is None


@pytest.mark.parametrize(
    "begin", [b'{"text":"', b'{"data":["', b'{"datas":"', b'{"data":' + b" " * 100, b'{"data":"","x":"']
)
def test_what_is_no_file_must_be_small(begin: bytes) -> None:
    with spools() as into, pytest.raises(PayloadTooLarge):
        reduced(into, [begin, *[b" " * 500] * 4], limit=1000)


def test_a_file_that_is_too_large_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wagate.api.spools.FILE_BYTES", 300)
    exact = base64.b64encode(b"x" * 300)
    with spools() as into:
        for text in (exact, exact.rstrip(b"="), base64.b64encode(b"x" * 299)):
            reduced(into, [b'{"data":"', text, b'"}'])
        for text in (base64.b64encode(b"x" * 301), b"%" * 500, exact + b"A" * 8):
            with pytest.raises(PayloadTooLarge):
                reduced(into, [b'{"data":"', text])


def test_all_files_together_are_limited() -> None:
    item = b'{"data":"' + base64.b64encode(b"x" * 300) + b'"}'
    with spools(limit=899) as into, pytest.raises(PayloadTooLarge) as refused:
        reduced(into, [b"[", item, b",", item, b",", item])
    assert refused.value.details == {"limitBytes": 899}


def test_there_are_only_so_many_files() -> None:
    item = b'{"data":"' + b"QUJD" * 40 + b'"},'
    with spools() as into, pytest.raises(BadRequest):
        reduced(into, [b"[", *[item] * 33])
