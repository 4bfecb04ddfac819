"""What the library tells of one beginning of a session: passed on as long as that beginning is the present one.

The library may be slow to let a session go, and what it says of a dead line must not be taken for the next one's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from wagate.engines.whatsapp import ends
from wagate.engines.whatsapp.library import Heard

log = structlog.get_logger(__name__)


class Listening(Protocol):
    """Whom an ear tells, on the event loop but for `keep_event`; `begun` is the ear's number."""

    def about(self, begun: int, code: int, body: bytes) -> None:
        """How the line stands."""
        ...

    def show(self, begun: int, code: str) -> None:
        """A code to scan."""
        ...

    def timed_out(self, begun: int) -> None:
        """Nobody scanned."""
        ...

    def over(self, begun: int) -> None:
        """The library has let the session go."""
        ...

    def keep_event(self, code: int, body: bytes) -> None:
        """What came over the line; on disk when it returns. Called on the library's threads."""
        ...


class Ear(Heard):
    """See the module. `soon`: calls on the event loop from any thread."""

    def __init__(self, line: Listening, begun: int, soon: Callable[..., object], name: str) -> None:
        self._line = line
        self._begun = begun
        self._soon = soon
        self._name = name

    def event(self, code: int, body: bytes) -> None:
        """What came over the line is on disk when this returns."""
        if code in ends.ABOUT_THE_LINE:
            self._later(self._line.about, code, body)
        else:
            self._line.keep_event(code, body)

    def qr(self, code: str) -> None:
        """Show a code."""
        self._later(self._line.show, code)

    def status(self, word: str) -> None:
        """Nobody scanned in time, perhaps."""
        if word == "timeout":
            self._later(self._line.timed_out)

    def over(self, error: str) -> None:
        """The library has let the session go."""
        if error:
            # Of WhatsApp that is not reached the gateway tells; of a store that is full, or too new, only this.
            tell = log.warning if "database" in error else log.info
            tell("line ended", session=self._name, error=error[:300])
        self._later(self._line.over)

    def _later(self, call: Callable[..., None], *about: object) -> None:
        try:
            self._soon(call, self._begun, *about)
        except RuntimeError:
            return  # the host is ending, and its loop with it
