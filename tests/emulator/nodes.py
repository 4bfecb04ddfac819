"""WhatsApp's binary XML: nodes with attributes, and addresses that travel as such.

What a client sends is decoded whole; what the emulator sends uses the same dictionary, so that the client's decoder is
exercised too. Bytes always travel raw: a token in the place of content would reach the client as a string.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DICTIONARY = json.loads((Path(__file__).parent / "tokens.json").read_text())
SINGLE: list[str] = _DICTIONARY["single"]
DOUBLE: list[list[str]] = _DICTIONARY["double"]
_SINGLE_OF = {word: place for place, word in enumerate(SINGLE) if word}
_DOUBLE_OF = {word: (page, place) for page, words in enumerate(DOUBLE) for place, word in enumerate(words)}

_EMPTY, _INTEROP, _FACEBOOK, _DEVICE, _LIST_8, _LIST_16, _PAIR = 0, 245, 246, 247, 248, 249, 250
_HEX, _BYTES_8, _BYTES_20, _BYTES_32, _NIBBLES = 251, 252, 253, 254, 255
_FIRST_PAGE = 236
_NIBBLE_SIGNS, _HEX_SIGNS = "0123456789-.    ", "0123456789ABCDEF"

PHONE, HIDDEN, GROUP, CHANNEL, BROADCAST = "s.whatsapp.net", "lid", "g.us", "newsletter", "broadcast"


@dataclass(frozen=True)
class Jid:
    """An address. `device` 0 is the phone itself; a server alone has an empty `user`."""

    user: str
    server: str
    device: int = 0

    def __str__(self) -> str:
        user = f"{self.user}:{self.device}" if self.device else self.user
        return f"{user}@{self.server}" if user else self.server

    @property
    def bare(self) -> Jid:
        """The same without its device."""
        return Jid(self.user, self.server)

    @property
    def with_device(self) -> str:
        """The form in which device lists are hashed."""
        return f"{self.user}.0:{self.device}@{self.server}"


SERVER = Jid("", PHONE)


def parse(text: str) -> Jid:
    """The address that a text names."""
    user, _, server = text.rpartition("@")
    user, _, device = user.partition(":")
    return Jid(user, server, int(device or 0))


class Node:
    """An element: a tag, attributes, and as content nothing, bytes, or more nodes. Attributes of None are left out."""

    __slots__ = ("attrs", "content", "tag")

    def __init__(self, tag: str, attrs: dict[str, Any] | None = None, content: Any = None) -> None:
        self.tag = tag
        self.attrs = {name: value for name, value in (attrs or {}).items() if value is not None}
        self.content = content.encode() if isinstance(content, str) else content

    @property
    def children(self) -> list[Node]:
        """The nodes inside; none when the content is bytes."""
        return self.content if isinstance(self.content, list) else []

    def all(self, tag: str) -> list[Node]:
        """The children with this tag."""
        return [child for child in self.children if child.tag == tag]

    def first(self, tag: str) -> Node | None:
        """The first child with this tag."""
        return next(iter(self.all(tag)), None)

    def need(self, tag: str) -> Node:
        """The first child with this tag; it must be there."""
        child = self.first(tag)
        if child is None:
            raise ValueError(f"<{self.tag}> lacks <{tag}>")
        return child

    @property
    def bytes(self) -> bytes:
        """The content as bytes; empty when there is none."""
        return self.content if isinstance(self.content, bytes) else b""

    def __repr__(self) -> str:
        attrs = "".join(f" {name}={str(value)!r}" for name, value in self.attrs.items())
        if isinstance(self.content, list):
            return f"<{self.tag}{attrs}>{''.join(map(repr, self.content))}</{self.tag}>"
        if self.content is None:
            return f"<{self.tag}{attrs}/>"
        shown = self.bytes if self.bytes.isascii() and len(self.bytes) < 64 else self.bytes[:12].hex()
        return f"<{self.tag}{attrs}>[{len(self.bytes)}: {shown!r}]</{self.tag}>"


def encode(node: Node) -> bytes:
    """A node as it travels, uncompressed."""
    out = bytearray(b"\0")
    _put_node(node, out)
    return bytes(out)


def decode(frame: bytes) -> Node:
    """The node that a frame holds.

    Raises:
        ValueError: it holds none.
    """
    return _Reader(zlib.decompress(frame[1:]) if frame[0] & 2 else frame[1:]).node()


def _put_node(node: Node, out: bytearray) -> None:
    _put_size(1 + 2 * len(node.attrs) + (node.content is not None), out)
    _put_text(node.tag, out)
    for name, value in node.attrs.items():
        _put_text(name, out)
        if isinstance(value, Jid):
            _put_jid(value, out)
        else:
            _put_text(str(value), out)
    if isinstance(node.content, list):
        _put_size(len(node.content), out)
        for child in node.content:
            _put_node(child, out)
    elif node.content is not None:
        _put_bytes(node.content, out)


def _put_size(size: int, out: bytearray) -> None:
    if size == 0:
        out.append(_EMPTY)
    elif size < 256:
        out += bytes((_LIST_8, size))
    else:
        out.append(_LIST_16)
        out += size.to_bytes(2, "big")


def _put_text(text: str, out: bytearray) -> None:
    if (place := _SINGLE_OF.get(text)) is not None:
        out.append(place)
    elif (pair := _DOUBLE_OF.get(text)) is not None:
        out += bytes((_FIRST_PAGE + pair[0], pair[1]))
    else:
        _put_bytes(text.encode(), out)


def _put_bytes(content: bytes, out: bytearray) -> None:
    size = len(content)
    if size < 256:
        out += bytes((_BYTES_8, size))
    elif size < 1 << 20:
        out.append(_BYTES_20)
        out += size.to_bytes(3, "big")
    else:
        out.append(_BYTES_32)
        out += size.to_bytes(4, "big")
    out += content


def _put_jid(jid: Jid, out: bytearray) -> None:
    if jid.device:
        out += bytes((_DEVICE, {PHONE: 0, HIDDEN: 1}[jid.server], jid.device))
        _put_text(jid.user, out)
        return
    out.append(_PAIR)
    if jid.user:
        _put_text(jid.user, out)
    else:
        out.append(_EMPTY)
    _put_text(jid.server, out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        if self.place + size > len(self.data):
            raise ValueError("the frame ends early")
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size), "big")

    def size(self, mark: int) -> int:
        if mark not in (_EMPTY, _LIST_8, _LIST_16):
            raise ValueError(f"{mark} begins no list")
        return 0 if mark == _EMPTY else self.number(1 if mark == _LIST_8 else 2)

    def node(self) -> Node:
        size = self.size(self.number())
        tag = str(self.value())
        attrs: dict[str, Any] = {}
        for _ in range((size - 1) // 2):
            name = str(self.value())
            attrs[name] = self.value()
        return Node(tag, attrs, self.value(raw=True) if size % 2 == 0 else None)

    def value(self, *, raw: bool = False) -> Any:
        """A text, an address, or, where `raw`, content: bytes or nodes."""
        mark = self.number()
        if mark == _EMPTY:
            return [] if raw else ""
        if raw and mark in (_LIST_8, _LIST_16):
            return [self.node() for _ in range(self.size(mark))]
        if mark in (_BYTES_8, _BYTES_20, _BYTES_32):
            size = {_BYTES_8: 1, _BYTES_20: 3, _BYTES_32: 4}[mark]
            content = self.take(self.number(size))
            return content if raw else content.decode("utf-8", "replace")
        if mark in (_PAIR, _DEVICE, _FACEBOOK, _INTEROP):
            return self.jid(mark)
        text = self.text(mark)
        return text.encode() if raw else text

    def text(self, mark: int) -> str:
        if mark in (_HEX, _NIBBLES):
            head = self.number()
            signs = _NIBBLE_SIGNS if mark == _NIBBLES else _HEX_SIGNS
            packed = "".join(signs[byte >> 4] + signs[byte & 15] for byte in self.take(head & 127))
            return packed[:-1] if head & 128 else packed
        if _FIRST_PAGE <= mark < _FIRST_PAGE + len(DOUBLE):
            return DOUBLE[mark - _FIRST_PAGE][self.number()]
        if mark < len(SINGLE):
            return SINGLE[mark]
        raise ValueError(f"no token {mark}")

    def jid(self, mark: int) -> Jid:
        if mark == _PAIR:
            user, server = self.value(), self.value()
            return Jid(str(user), str(server))
        if mark == _DEVICE:
            domain, device = self.number(), self.number()
            return Jid(str(self.value()), HIDDEN if domain & 1 else PHONE, device)
        user, device = str(self.value()), self.number(2)
        if mark == _INTEROP:
            self.number(2)
        return Jid(user, str(self.value()), device)
