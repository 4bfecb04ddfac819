"""How the dialect declares an operation: as the native API does, with what the compatibility table says of it.

Its ids begin with `wasend.`; nothing of it is in the OpenAPI document, which is the native API's. Called by the noun
files beside this one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wagate.api.compat.wasend import naming
from wagate.api.operations import Operation, Run
from wagate.api.sessions import LIVE
from wagate.errors import NotAMember, NotFound, NotGroupAdmin
from wagate.model import Ask

ADMIN = (*LIVE, NotAMember, NotGroupAdmin)
"""What anything live about a group may raise."""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """An operation of the dialect. `sdk`: the SDK's method, empty for what only the documentation has.

    `difference`: how it differs from what a program may expect; empty where it does not.
    """

    operation: Operation
    sdk: str
    difference: str


class Sorting(Ask, frozen=True, kw_only=True):
    """What part of a list is wanted, and in what order: filters are added by subclasses."""

    sort_by: str | None = None
    sort_order: str | None = None
    limit: int | None = None
    offset: int | None = None


def served(id: str, request: str, run: Run, *, sdk: str = "", difference: str = "", **more: Any) -> Served:
    """One operation. `request` is its method and path; below a session, `find` is the dialect's own."""
    method, _, path = request.partition(" ")
    if "{session}" in path:
        more = {"find": naming.find, "errors": (NotFound,), **more}
    operation = Operation(id=f"wasend.{id}", method=method, path=path, run=run, tag="wasend", **more)
    return Served(operation=operation, sdk=sdk, difference=difference)


def part(found: list[Any], query: Sorting, *, usual: int | None = None) -> list[Any]:
    """The part of a sorted list that is asked for; `usual`: how many where no limit is given, None: all."""
    start = max(query.offset or 0, 0)
    limit = query.limit or usual
    return found[start:] if limit is None else found[start : start + max(limit, 1)]
