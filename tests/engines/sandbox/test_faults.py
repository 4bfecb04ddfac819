from __future__ import annotations

from wagate.engines.sandbox.faults import Faults
from wagate.model.sandbox import Fault


def test_no_fault_strikes_unasked() -> None:
    assert not Faults().take("refuse", "s1", 0)


def test_a_fault_strikes_once_unless_told() -> None:
    faults = Faults()
    faults.add(Fault(kind="refuse"), 0)
    assert not faults.take("disconnect", "s1", 0)
    assert faults.take("refuse", "s1", 0)
    assert not faults.take("refuse", "s1", 0)


def test_a_fault_strikes_only_its_session() -> None:
    faults = Faults()
    faults.add(Fault(kind="refuse", session="s1"), 0)
    assert not faults.take("refuse", "s2", 0)
    assert faults.take("refuse", "s1", 0)


def test_a_fault_of_some_seconds_strikes_until_they_are_over() -> None:
    faults = Faults()
    faults.add(Fault(kind="refuse", seconds=2), 1000)
    assert all(faults.take("refuse", "s1", 1000 + 400 * turn) for turn in range(5))
    assert not faults.awaits("refuse", "s1", 3000)
    assert not faults.take("refuse", "s1", 3000)


def test_count_and_seconds_end_whichever_is_first() -> None:
    faults = Faults()
    faults.add(Fault(kind="refuse", count=2, seconds=5), 0)
    assert [faults.take("refuse", "s1", 0) for _ in range(3)] == [True, True, False]
    faults.add(Fault(kind="refuse", count=2, seconds=5), 0)
    assert not faults.take("refuse", "s1", 5000)


def test_what_is_kept_is_what_is_left() -> None:
    faults, again = Faults(), Faults()
    faults.add(Fault(kind="refuse", count=2), 0)
    assert faults.changed
    faults.take("refuse", "s1", 0)
    again.load(faults.changes()["faults"])
    assert not faults.changed
    assert [again.take("refuse", "s1", 0) for _ in range(2)] == [True, False]
    assert again.changes() == {"faults": None}
