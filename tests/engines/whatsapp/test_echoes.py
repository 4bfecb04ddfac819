"""A change told by its action's answer and by the network's notice is told once; two changes are told twice."""

from __future__ import annotations

import pytest

from wagate.engines.whatsapp.echoes import Echoes


@pytest.mark.parametrize("first", [True, False])
def test_the_second_side_is_silent(first: bool) -> None:
    echoes = Echoes()
    assert echoes.tell("subject", ours=first, now=0)
    assert not echoes.tell("subject", ours=not first, now=1)


def test_the_same_change_twice_is_told_twice() -> None:
    echoes = Echoes()
    told = [echoes.tell("subject", ours=ours, now=0) for ours in (True, True, False, False)]
    assert told == [True, True, False, False]


def test_another_change_is_told() -> None:
    echoes = Echoes()
    assert echoes.tell("subject a", ours=True, now=0)
    assert echoes.tell("subject b", ours=False, now=0)


def test_much_later_it_is_another_change() -> None:
    echoes = Echoes()
    assert echoes.tell("subject", ours=True, now=0)
    assert echoes.tell("subject", ours=False, now=61)


def test_what_nobody_answers_is_forgotten() -> None:
    echoes = Echoes()
    for number in range(5000):
        echoes.tell(number, ours=True, now=float(number))
    assert len(echoes._waiting) <= 1001
