"""JSON on its way in: all of it goes on, except that a long string under a key `data` goes to a file.

The scanner does not judge the document, the decoder does, over what is left; it only has to know for certain where such
a string begins and ends. That needs no parser. A quote with no backslash before it, `data`, a quote, a colon, a quote:
in a valid document this is a key and the begin of its value, nowhere else; in any other document what comes before is
kept as it was and refuses the whole. Everything runs at the speed of the regular expressions' and the library's C.
Called by bodies, in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from wagate.api.spools import MediaFile, Spools
from wagate.errors import BadRequest, PayloadTooLarge

HELD_BYTES = 64 * 1024
"""A string up to this long stays in the document."""

# The quote first: what a pattern begins with literally is searched for fastest.
_KEY = re.compile(
    rb'"(?<!\\")(?:d|\\u0064)(?:a|\\u0061)(?:t|\\u0074)(?:a|\\u0061)"[ \t\n\r]*:[ \t\n\r]*"',
)
_KEY_BEGUN = re.compile(rb'"(?<!\\")[dat\\u0-9]{0,24}"?\Z|\\\Z')
_KEY_BYTES = 28
_BETWEEN = b" \t\n\r:"
_ESCAPE_BEGUN = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x1f]")
_ASCII = bytes(byte if byte < 128 else 127 for byte in range(256))
"""Bytes beyond ASCII made a control character, which JSON lets stand and neither base64 nor a data: URI has."""


class Scanner:
    """One document, fed in pieces that may be cut anywhere.

    What is kept of it may have `limit` bytes; a string of up to `held` bytes is kept, and what may stand before the
    base64 of a longer one must be within them.
    """

    def __init__(self, spools: Spools, *, limit: int, held: int = HELD_BYTES) -> None:
        self._spools = spools
        self._limit = limit
        self._longest = held
        self._kept = bytearray()
        # What cannot be told before more has come: the begin of a key, of an escape.
        self._carry = b""
        self._step: Callable[[Scanner, bytes, int], int] = Scanner._outside
        self._value = 0
        self._media: MediaFile | None = None
        self._malformed = False

    def feed(self, piece: bytes) -> None:
        """The document goes on: blocks.

        Raises:
            PayloadTooLarge: too much of it is no file, or a file is too large.
            StorageUnavailable: the disk is full or gone.
        """
        text, self._carry = self._carry + piece, b""
        at = 0
        while at < len(text):
            at = self._step(self, text, at)
        if len(self._kept) + len(self._carry) > self._limit + self._longest:
            self._refuse()

    def finish(self) -> bytes:
        """The document as it is without the long strings, as broken as it came.

        Raises:
            PayloadTooLarge: too much of it is no file.
            BadRequest: a string that is no longer in it was not JSON.
        """
        self._kept += self._carry
        if len(self._kept) > self._limit:
            self._refuse()
        if self._malformed:
            raise BadRequest.field("", "the body is not valid JSON: invalid character or escape in a string")
        return bytes(self._kept)

    def _outside(self, text: bytes, at: int) -> int:
        """Not in a value of `data`: keep everything up to the next one."""
        found = _KEY.search(text, at)
        if found is None:
            end = _before_key_begun(text, at)
            self._kept += memoryview(text)[at:end]
            self._carry = text[end:]
            return len(text)
        self._kept += memoryview(text)[at : found.end()]
        self._value = len(self._kept)
        self._step = Scanner._short
        return found.end()

    def _short(self, text: bytes, at: int) -> int:
        """In a value of `data` that is short so far: keep it; when it turns out to be long, take it out again."""
        end = _end_of_string(text, at)
        stop = _before_escape_begun(text, at) if end < 0 else end
        if len(self._kept) - self._value + stop - at > self._longest:
            return self._divert(text, at)
        self._kept += memoryview(text)[at:stop]
        if end < 0:
            self._carry = text[stop:]
            return len(text)
        self._step = Scanner._outside
        return end

    def _divert(self, text: bytes, at: int) -> int:
        token, self._media = self._spools.begin()
        begun = bytes(self._kept[self._value :])
        del self._kept[self._value :]
        self._kept += token.encode("ascii")
        self._step = Scanner._long
        # The first piece must hold what may stand before the base64.
        first = _before_escape_begun(text[: at + self._longest], at)
        end = _end_of_string(text[:first], at)
        first = first if end < 0 else end
        self._give(begun + text[at:first])
        return first

    def _long(self, text: bytes, at: int) -> int:
        """In a long value of `data`: it goes to its file."""
        end = _end_of_string(text, at)
        stop = _before_escape_begun(text, at) if end < 0 else end
        self._give(text[at:stop])
        if end < 0:
            self._carry = text[stop:]
            return len(text)
        if self._media is not None:
            self._media.end()
        self._media = None
        self._step = Scanner._outside
        return end

    def _give(self, text: bytes) -> None:
        assert self._media is not None
        plain = text
        if b"\\" in text:
            # A piece of a string, cut between its escapes, is a string, once what may belong to a character that is cut
            # in two is made another one: bytes beyond ASCII, halves of surrogate pairs. None of these is base64.
            whole = text.translate(_ASCII).replace(b"\\ud", b"\\u1").replace(b"\\uD", b"\\u1")
            try:
                plain = msgspec.json.decode(b'"' + whole + b'"', type=str).encode()
            except msgspec.DecodeError:
                self._malformed = True
        self._media.feed(plain)
        if self._media.invalid and _CONTROL.search(text):
            self._malformed = True

    def _refuse(self) -> None:
        raise PayloadTooLarge(f"the body without its files is larger than {self._limit} bytes", limitBytes=self._limit)


def _before_key_begun(text: bytes, at: int) -> int:
    """Where the end of `text` may be the begin of a key `data` and what follows it, or of an escape; else its end."""
    stem = text.rstrip(_BETWEEN)
    found = _KEY_BEGUN.search(stem, max(at, len(stem) - _KEY_BYTES))
    return len(text) if found is None else found.start()


def _before_escape_begun(text: bytes, at: int) -> int:
    """Where an escape begins that `text` cuts off, else the end of `text`; at `at` no escape is open."""
    window = max(at, len(text) - 5)
    found = _ESCAPE_BEGUN.search(text, window)
    if found is None:
        return len(text)
    before = text[at : found.start()]
    return len(text) if (len(before) - len(before.rstrip(b"\\"))) % 2 else found.start()


def _end_of_string(text: bytes, at: int) -> int:
    """Where the quote is that ends a string; -1 if it has not come. At `at` no escape is open."""
    end = text.find(b'"', at)
    if end < 0 or text[end - 1 : end] != b"\\" or end == at:
        return end
    # Matched in its place: a copy of what follows, for each of many short strings, would cost their square.
    found = _END.match(text, at)
    return -1 if found is None else found.end() - 1
