"""The gate: calls side by side, changes alone, and neither waits for a call that merely lasts."""

from __future__ import annotations

import threading
import time

import pytest

from wagate.engines.whatsapp import gate as gates
from wagate.engines.whatsapp.gate import Gate

PATIENCE = 30.0


def test_nobody_enters_while_something_changes() -> None:
    gate, entered, done = Gate(), threading.Event(), threading.Event()

    def call() -> None:
        with gate.call():
            entered.set()
        done.set()

    with gate.change():
        threading.Thread(target=call, daemon=True).start()
        assert not entered.wait(0.05)
    assert done.wait(PATIENCE)


def test_changes_go_one_after_the_other() -> None:
    gate, inside, most = Gate(), [0], [0]

    def change() -> None:
        with gate.change():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            inside[0] -= 1

    threads = [threading.Thread(target=change) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == [1]


def test_a_change_waits_for_a_call_that_has_just_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_ENTERED_SECONDS", PATIENCE)  # however long a busy machine takes for what follows
    gate, entered, release, order = Gate(), threading.Event(), threading.Event(), list[str]()

    def call() -> None:
        with gate.call():
            entered.set()
            release.wait(PATIENCE)
            order.append("call")

    def change() -> None:
        with gate.change():
            order.append("change")

    caller = threading.Thread(target=call)
    caller.start()
    assert entered.wait(PATIENCE)
    changer = threading.Thread(target=change)
    changer.start()
    release.set()
    changer.join(PATIENCE)
    caller.join(PATIENCE)
    assert order == ["call", "change"]


def test_a_change_does_not_wait_for_a_call_that_lasts() -> None:
    gate, entered, release, changed = Gate(), threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        with gate.call():
            entered.set()
            release.wait(2 * PATIENCE)

    caller = threading.Thread(target=call)
    caller.start()
    assert entered.wait(PATIENCE)

    def change() -> None:
        with gate.change():
            changed.set()

    threading.Thread(target=change, daemon=True).start()
    assert changed.wait(gates._ENTERED_SECONDS + PATIENCE)
    assert caller.is_alive()
    release.set()
    caller.join(PATIENCE)


def test_an_error_inside_lets_the_next_in() -> None:
    gate = Gate()
    for entry in (gate.call, gate.change):
        try:
            with entry():
                raise ValueError
        except ValueError:
            pass
    with gate.change():
        pass
