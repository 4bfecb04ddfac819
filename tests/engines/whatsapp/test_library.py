"""The door to the library: a session that ends by itself is not taken for gone before its connection is."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from tests.support.engines import ORG
from wagate.engines.whatsapp.gate import Gate
from wagate.engines.whatsapp.library import Library, _Session


class Deaf:
    """Whom nothing is told."""

    def over(self, _: str) -> None:
        """It is over."""


def test_a_session_that_ends_by_itself_is_let_go_only_when_its_connection_is() -> None:
    # Without the native part, which a process loads once and for all.
    library: Any = object.__new__(Library)
    stopped, left = threading.Event(), threading.Event()
    library._gate, library._present, library._leaving = Gate(), {}, {}
    library._go = SimpleNamespace(Stop=lambda _: stopped.set(), Disconnect=lambda _: None)

    def run(_: object) -> str:
        left.set()
        return "it cannot connect"

    library.run = run
    session = _Session(library, ORG, store="", heard=Deaf(), proxy=None)  # type: ignore[arg-type]
    library._present[ORG] = session
    let_go = list[bool]()
    with library._gate.change():
        session.thread.start()
        assert left.wait(60)
        while ORG in library._present:
            pass
        ending = threading.Thread(target=lambda: let_go.append(library.end(ORG) and stopped.is_set()))
        ending.start()
        # Whoever takes it for gone does so now.
        ending.join(0.2)
    ending.join(60)
    assert let_go == [True]
