"""A trace is continued where its caller says so in due form, and begun everywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from wagate.telemetry import traces

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01more",
    ],
    ids=repr,
)
def test_what_is_not_in_due_form_is_ignored(header: str) -> None:
    assert traces.continued(header.encode()) is None


def test_no_header_is_none() -> None:
    assert traces.continued(None) is None


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-01"),
        (f"01-{TRACE}-{SPAN}-03-and-more", f"00-{TRACE}-{SPAN}-01"),
    ],
)
def test_what_is_in_due_form_is_continued(header: str, place: str) -> None:
    assert traces.continued(header.encode()) == place
    assert traces.trace_id(place) == TRACE


def test_each_trace_that_begins_is_another_one_and_in_due_form() -> None:
    begun = {traces.begin() for _ in range(1000)}
    assert len({traces.trace_id(each) for each in begun}) == 1000
    assert all(traces.continued(each.encode()) == each for each in begun)
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", each) for each in begun)


def test_where_spans_are_not_recorded_work_stands_where_it_came_from() -> None:
    place = f"00-{TRACE}-{SPAN}-00"
    with traces.span("x", place) as here:
        assert (here.traceparent, here.recorded) == (place, False)
        here.tell({"a": 1}, name="y")
    with traces.span("x", None) as here:
        assert traces.continued(here.traceparent.encode()) == here.traceparent


class Kept:
    """A recorder that remembers."""

    def __init__(self, name: str, parent: str | None, kind: str) -> None:
        self.said: dict[str, Any] = {"name": name, "parent": parent, "kind": kind}
        self.traceparent = f"00-{TRACE}-00000000000000aa-01"
        self.ended: list[Any] = []

    def tell(self, attributes: Any, name: str | None) -> None:
        self.said |= attributes
        self.said["name"] = name or self.said["name"]

    def end(self, error: Any) -> None:
        self.ended.append(error)


@pytest.fixture
def kept() -> Iterator[list[Kept]]:
    found: list[Kept] = []

    def record(*told: Any) -> Kept:
        found.append(Kept(*told))
        return found[-1]

    traces.record_with(record)
    yield found
    traces.record_with(None)


def test_where_they_are_each_becomes_the_place_of_what_follows(kept: list[Kept]) -> None:
    with traces.span("x", f"00-{TRACE}-{SPAN}-01", kind="client") as here:
        assert here.traceparent == f"00-{TRACE}-00000000000000aa-01"
        here.tell({"a": 1})
        here.tell({"b": 2}, name="y")
        assert kept[0].ended == []
    (span,) = kept
    assert span.said == {"name": "y", "parent": f"00-{TRACE}-{SPAN}-01", "kind": "client", "a": 1, "b": 2}
    assert span.ended == [None]


def test_a_span_tells_of_failure_once(kept: list[Kept]) -> None:
    broke = ValueError("secret")
    with pytest.raises(ValueError), traces.span("x", None):
        raise broke
    with traces.span("x", None) as here:
        here.error = "timed_out"
    assert [span.ended for span in kept] == [[broke], ["timed_out"]]
