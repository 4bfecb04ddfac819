"""Dialects: another product's HTTP, spoken on top of the same gateway.

A dialect has operations of its own and its own way to say what went wrong; route, gate and bodies are the app's. Its
files are in compat/. Called by app, and by compat/ to declare one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wagate.api.operations import Headers, Operation, Reply
from wagate.errors import WagateError


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """What a dialect is.

    `operations` are mounted below each of `bases` (an empty one is the root, where no reserved first segment is ever
    taken for a parameter); their ids differ from everybody else's. `home` is the base below which also unknown paths
    are answered in the dialect. `refuse` makes the answer of an error. `kept` are headers of every answer after which
    the connection stays open: they promise nothing that api/wire does not hold.
    """

    name: str
    home: str
    bases: tuple[str, ...]
    operations: tuple[Operation, ...]
    refuse: Callable[[WagateError], Reply]
    kept: Headers

    def owns(self, raw_path: bytes) -> bool:
        """Whether an unknown path is below `home`."""
        home = self.home.encode()
        return raw_path == home or raw_path.startswith(home + b"/")
