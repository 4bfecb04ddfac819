"""Which operation a path and a method mean: one table by segments, so that a hundred more routes cost nothing.

Segments are taken from the raw path and decoded each by itself: an encoded slash separates nothing, and `@` may come
raw or as `%40`. A literal segment wins over a parameter. What follows the last colon of a segment is a verb only where
the table knows that verb; anywhere else the colon is part of the id. There is no magic for trailing slashes.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_LONGEST = 1024

Segment = str | None
"""A decoded parameter; None when no id can look like that (not UTF-8, control characters, too long)."""


class Place(Generic[T]):
    """A known path: what each method means there."""

    __slots__ = ("allow", "methods")

    def __init__(self) -> None:
        self.methods: dict[str, T] = {}
        self.allow = ""

    def put(self, method: str, target: T) -> None:
        """Add a method. GET brings HEAD along.

        Raises:
            ValueError: the method is taken.
        """
        if method in self.methods:
            raise ValueError(f"{method} is declared twice for one path")
        self.methods[method] = target
        known = {*self.methods, *(("HEAD",) if "GET" in self.methods else ())}
        self.allow = ", ".join(sorted(known))

    @property
    def any(self) -> T:
        """What one of the methods means here; all of a path's belong to the same API."""
        return next(iter(self.methods.values()))

    def get(self, method: str) -> T | None:
        """What `method` means here, or None."""
        return self.methods.get("GET" if method == "HEAD" else method)


class _Node(Generic[T]):
    __slots__ = ("colons", "literals", "parameter", "place", "verbs")

    def __init__(self) -> None:
        # Whether ids of any kind may hold a colon here.
        self.colons = False
        self.literals: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        # Verbs of a parameter segment: each leads to a node of its own.
        self.verbs: dict[str, _Node[T]] = {}
        self.place: Place[T] | None = None


class Table(Generic[T]):
    """The known paths."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, path: str, target: T, *, colons: bool = False) -> None:
        """Let `method` on `path` (a template with `{name}` segments) mean `target`. `colons`: its ids may hold some.

        Raises:
            ValueError: that is declared already.
        """
        node = self._root
        for segment in path[1:].split("/"):
            if segment.startswith("{"):
                verb = segment.partition("}")[2][1:]
                if verb:
                    node = node.verbs.setdefault(verb, _Node())
                else:
                    node.colons = node.colons or colons
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.place = node.place or Place()
        node.place.put(method, target)

    def reserve(self, segment: str) -> None:
        """Keep a first segment from ever being taken for a parameter."""
        self._root.literals.setdefault(segment, _Node())

    def find(self, raw_path: bytes) -> tuple[Place[T], list[Segment]] | None:
        """The place that a raw (still encoded) path names, and its parameters in order; None where nothing is."""
        node = self._root
        values: list[Segment] = []
        for raw in raw_path[1:].decode("latin-1").split("/"):
            segment = _decoded(raw) if "%" in raw else raw
            after = node.literals.get(segment) if segment is not None else None
            if after is None:
                if not raw:
                    return None
                after, segment = _parameter(node, raw)
                if after is None:
                    return None
                values.append(segment)
            node = after
        return None if node.place is None else (node.place, values)


def _parameter(node: _Node[T], raw: str) -> tuple[_Node[T] | None, Segment]:
    if node.verbs and ":" in raw:
        name, _, verb = raw.rpartition(":")
        after = node.verbs.get(verb)
        if after is not None:
            return (after, _decoded(name)) if name else (None, None)
    if ":" in raw and not node.colons and "@" not in raw and "%40" not in raw:
        # Only a JID may hold a colon; anything else with one asks for a verb that does not exist here.
        return None, None
    return node.parameter, _decoded(raw)


def _decoded(raw: str) -> Segment:
    if len(raw) > _LONGEST:
        return None
    if "%" in raw:
        try:
            raw = unquote_to_bytes(raw.encode("latin-1")).decode()
        except UnicodeDecodeError:
            return None
    return None if _CONTROL.search(raw) else raw
