"""Who killed a host: suspects live alone, three sure deaths are enough, and nobody is blamed for a neighbour."""

from __future__ import annotations

from wagate.engines.whatsapp.blame import DEATHS, PROBATION_SECONDS, Blame


def test_neighbours_of_a_death_are_never_given_up_for_it() -> None:
    blame = Blame()
    for now in range(20):
        assert blame.died(["a", "b", "c"], [], now) == []


def test_whoever_dies_alone_three_times_is_given_up() -> None:
    blame = Blame()
    assert [blame.died(["a"], ["a"], now) for now in range(DEATHS)] == [[], [], ["a"]]


def test_whoever_had_something_under_way_is_the_suspect() -> None:
    blame = Blame()
    blame.died(["a", "b", "c"], ["b"], 0)
    assert [blame.alone(id, 1) for id in "abc"] == [False, True, False]


def test_without_a_sign_who_was_there_twice_is_a_suspect() -> None:
    blame = Blame()
    blame.died(["a", "b", "c"], [], 0)
    assert not any(blame.alone(id, 1) for id in "abc"), "once may be the machine's doing"
    blame.died(["a", "b", "d"], [], 2)
    assert [blame.alone(id, 3) for id in "abcd"] == [True, True, False, False]


def test_two_deaths_without_a_sign_that_lie_far_apart_make_nobody_a_suspect() -> None:
    blame = Blame()
    blame.died(["a", "b"], [], 0)
    blame.died(["a", "b"], [], PROBATION_SECONDS)
    assert not blame.alone("a", PROBATION_SECONDS)


def test_a_quiet_time_alone_restores_trust() -> None:
    blame = Blame()
    blame.died(["a"], [], 0)
    blame.died(["a"], [], 1)
    assert not blame.alone("a", PROBATION_SECONDS + 1)
    assert blame.died(["a"], [], PROBATION_SECONDS + 2) == []


def test_given_up_and_tried_again_by_hand_counts_anew() -> None:
    blame = Blame()
    for now in range(DEATHS):
        blame.died(["a"], [], now)
    assert not blame.alone("a", DEATHS)
    assert blame.died(["a"], [], DEATHS) == []
