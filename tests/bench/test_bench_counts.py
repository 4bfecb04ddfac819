"""The bench's counters see every loss, and a figure that was bought with one is worth nothing."""

from __future__ import annotations

import re

import pytest

from bench.__main__ import MARK, PAGE, PROFILE_MARK, WORKLOADS
from bench.counting import Count, exactly_once
from bench.load import Load
from bench.reads import answers_as_stored
from bench.report import Figure, Workload, as_json, markdown, renewed


@pytest.mark.parametrize(
    ("acknowledged", "found", "unanswered", "bad"),
    [
        (["a", "b"], ["a"], 0, {"missing": 1}),
        (["a", "b"], ["c", "a"], 1, {"missing": 1}),
        (["a"], ["a", "a"], 0, {"repeated": 1}),
        (["a"], ["a", "x", "x"], 1, {"repeated": 1}),
        (["a", "a"], ["a"], 0, {"repeated": 1}),
        (["a"], ["a", "b"], 0, {"unasked": 1}),
        (["a"], ["a", "b", "c"], 1, {"unasked": 1}),
    ],
)
def test_a_loss_a_repetition_and_a_stranger_are_seen(
    acknowledged: list[str], found: list[str], unanswered: int, bad: dict[str, int]
) -> None:
    count = exactly_once(acknowledged, found, unanswered=unanswered)
    assert not count.good
    assert {name: number for name in ("missing", "repeated", "unasked") if (number := getattr(count, name))} == bad


def test_nothing_acknowledged_proves_nothing() -> None:
    assert not exactly_once([], []).good


def test_all_there_once_is_good_whatever_became_of_requests_that_were_cut_off() -> None:
    assert exactly_once(["a", "b"], ["b", "a"]).good
    assert exactly_once(["a"], ["a", "b"], unanswered=1).good
    assert exactly_once(["a"], ["a"], unanswered=1).good


def test_an_answer_that_differs_by_a_byte_is_a_loss() -> None:
    loads = {"get": [Load(bodies=[b"{}", b"{}"]), Load(bodies=[b"{]"])]}
    assert answers_as_stored(loads, {"get": b"{}"}) == Count(acknowledged=3, missing=1)


def test_a_run_that_loses_one_scores_nothing() -> None:
    fast = Figure(name="sends", unit="requests/s", rounds=[5000.0], target=900)
    quick = Figure(name="p99", unit="ms", rounds=[1.0], target=12, lower_is_better=True)
    counts = {"sends": exactly_once(["a"], ["a"])}
    good = Workload(name="x", figures=[fast, quick], counts=counts)
    bad = Workload(name="x", figures=[fast, quick], counts={**counts, "events": exactly_once(["a"], [])})
    assert [(good.score(each), good.met(each)) for each in good.figures] == [(5000.0, True), (1.0, True)]
    assert [(bad.score(each), bad.met(each)) for each in bad.figures] == [(0.0, False), (0.0, False)]
    assert "1 lost" in markdown([bad], [])
    assert "scores 0" in markdown([bad], [])
    assert as_json([bad], [])["workloads"][0]["good"] is False


def test_targets_are_met_from_the_right_side_and_by_the_median() -> None:
    assert Figure(name="p99", unit="ms", rounds=[5, 13, 99], target=12, lower_is_better=True).met is False
    assert Figure(name="rate", unit="1/s", rounds=[1, 901, 902], target=900).met is True
    assert Figure(name="rate", unit="1/s", rounds=[1]).met is None
    assert Figure(name="rate", unit="1/s", rounds=[50], reference=[100]).ratio == 0.5


def test_a_target_may_be_of_the_ratio() -> None:
    def costs(value: float) -> Figure:
        return Figure(name="list", unit="ms", rounds=[value], reference=[2], target_ratio=1.2, lower_is_better=True)

    assert [costs(value).met for value in (2.3, 2.5)] == [True, False]
    assert "ratio ≤ 1.20" in markdown([Workload(name="x", figures=[costs(2.5)])], [])


def test_a_run_of_some_workloads_renews_these_and_leaves_the_others() -> None:
    def found(name: str, value: float) -> Workload:
        return Workload(name=name, figures=[Figure(name="x", unit="1/s", rounds=[value])])

    old = markdown([found("One", 1), found("Two", 2)], ["date: then"])
    new = renewed(old, [found("Two", 7), found("Three", 3)], ["date: now"])
    sections = new.split("### ")
    assert [each.partition("\n")[0] for each in sections] == ["- date: then", "One", "Two", "Three"]
    assert [("**7**" in each, "date: now" in each) for each in sections[1:]] == [
        (False, False),
        (True, True),
        (False, True),
    ]
    assert renewed(new, [], []) == new


def test_the_page_has_a_head_and_the_tables_of_a_whole_run() -> None:
    head, mark, printed = PAGE.read_text().partition(MARK)
    assert mark
    assert all(f"`--only {name}`" in head for name in WORKLOADS)
    printed, mark, profile = printed.partition(PROFILE_MARK)
    assert mark
    assert len(re.findall(r"^### ", printed, re.MULTILINE)) == len(WORKLOADS)
    assert "by own time" in profile
    assert "exactly once" in printed
