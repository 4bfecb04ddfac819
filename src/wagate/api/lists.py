"""Lists: `limit` and `cursor`.

A cursor is the position that a gateway's list function returned, with a tag that binds it to the operation and the
organization it was given to: a changed one, another list's, or another organization's is refused. Called by noun files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from wagate.api.operations import Call
from wagate.gateway import Window
from wagate.model import Ask, Shape

T = TypeVar("T")

USUAL, MOST = 50, 200
EVERYTHING = 1_000_000_000
"""The limit of a one-page list that was asked for without limit and cursor."""


class ListQuery(Ask, frozen=True, kw_only=True):
    """What every list takes; filters are added by subclasses."""

    limit: (
        Annotated[int, msgspec.Meta(description="How many at most: 0 or absent is 50, else clamped to 1…200.")] | None
    ) = None
    cursor: Annotated[str, msgspec.Meta(description="`nextCursor` of the page before.")] | None = None


class Page(Shape, Generic[T], frozen=True, kw_only=True):
    """A part of a list. An empty `nextCursor` means that there is no more."""

    data: list[T]
    next_cursor: str


class PlainPage(Shape, frozen=True, kw_only=True):
    """A page on its way out, whatever it holds."""

    data: Sequence[Any]
    next_cursor: str = ""


def window(call: Call, *, one_page: bool = False) -> Window:
    """What part `call.query` (a `ListQuery`) asks for. `one_page`: everything, unless limit or cursor is given.

    Raises:
        BadRequest: the cursor is broken.
    """
    query: ListQuery = call.query
    if one_page and query.limit is None and not query.cursor:
        return Window(EVERYTHING, None)
    limit = min(max(query.limit, 1), MOST) if query.limit else USUAL
    return Window(limit, call.signer.read(_scope(call), query.cursor) if query.cursor else None)


def page(call: Call, rows: Sequence[Any], following: list[Any] | None) -> PlainPage:
    """The answer: `rows`, and the cursor for position `following` (None: there is no more)."""
    return PlainPage(data=rows, next_cursor="" if following is None else call.signer.sign(_scope(call), following))


def _scope(call: Call) -> str:
    return f"{call.operation.id}\0{call.caller.organization_id}"
