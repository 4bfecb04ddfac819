"""What things are: frozen shapes without any I/O, the very ones that clients see."""

from __future__ import annotations

from typing import Annotated, TypeVar, Union

import msgspec

T = TypeVar("T")

Maybe = Union[T, msgspec.UnsetType]  # noqa: UP007 - a generic alias, which `|` does not make
"""A field that is absent from JSON when there is nothing to say; never `null`."""

Line = Annotated[str, msgspec.Meta(pattern=r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])")]
"""Text of one line: no control characters."""

Prose = Annotated[str, msgspec.Meta(pattern=r"^(?![\s\S]*[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f])")]
"""Text of many lines: tabs and line ends, no other control characters."""

Millis = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""A moment in epoch milliseconds, up to the year 9999."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something clients see: camelCase, always complete, `Maybe` fields absent when unset."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Something clients send: camelCase, unknown fields refused, `null` counts as absent (and is written back so)."""
