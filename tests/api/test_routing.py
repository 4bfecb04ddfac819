"""Paths and methods find their operation, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.api.routing import Place, Table

PATHS = [
    ("GET", "/sessions"),
    ("POST", "/sessions"),
    ("GET", "/sessions/{session}"),
    ("DELETE", "/sessions/{session}"),
    ("POST", "/sessions/{session}:start"),
    ("POST", "/sessions/{session}/groups:join"),
    ("GET", "/sessions/{session}/groups/{gid}"),
    ("POST", "/sessions/{session}/groups/{gid}:leave"),
    ("GET", "/sessions/{session}/groups/{gid}/members"),
    ("POST", "/sessions/{session}/groups/{gid}/members:approve"),
    ("GET", "/sessions/{session}/contacts/check"),
    ("GET", "/sessions/{session}/contacts/{lid}"),
]


@pytest.fixture(scope="module")
def table() -> Table[str]:
    made: Table[str] = Table()
    for method, path in PATHS:
        made.add(method, path, f"{method} {path}")
    return made


def meaning(table: Table[str], method: str, path: str) -> tuple[str, list[str | None]] | None:
    found = table.find(path.encode())
    if found is None:
        return None
    place, values = found
    target = place.get(method)
    return None if target is None else (target, values)


@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/sessions/", "/sessions//groups", "//sessions", "/sessions/a/b/c", "/sessions/:start",
     "/sessions/a/groups:unknown", "/Sessions", "/sessions/a/groups/g/members/", "/sessions%2Fa"],
)  # fmt: skip
def test_what_nobody_declared_is_nowhere(table: Table[str], path: str) -> None:
    assert table.find(path.encode()) is None


def test_a_wrong_method_is_told_the_right_ones(table: Table[str]) -> None:
    for path, allow in (
        ("/sessions/x:start", "POST"),
        ("/sessions/x", "DELETE, GET, HEAD"),
        ("/sessions/x/groups:join", "POST"),
        ("/sessions/x/groups/1@g.us/members:approve", "POST"),
    ):
        found = table.find(path.encode())
        assert found is not None
        assert (found[0].get("PATCH"), found[0].allow) == (None, allow)


@pytest.mark.parametrize("segment", ["%00", "a%0Ab", "%C2%85", "%FF", "%7f", "x" * 2000])
def test_a_segment_that_is_no_id_is_marked(table: Table[str], segment: str) -> None:
    assert meaning(table, "GET", f"/sessions/{segment}") == ("GET /sessions/{session}", [None])


def test_one_path_and_method_means_one_thing() -> None:
    place: Place[str] = Place()
    place.put("GET", "one")
    with pytest.raises(ValueError, match="twice"):
        place.put("GET", "two")


@pytest.mark.parametrize(
    ("method", "path", "target", "values"),
    [
        ("GET", "/sessions", "GET /sessions", []),
        ("HEAD", "/sessions", "GET /sessions", []),
        ("GET", "/sess%69ons", "GET /sessions", []),
        ("POST", "/sessions/x:start", "POST /sessions/{session}:start", ["x"]),
        ("POST", "/sessions/%78:start", "POST /sessions/{session}:start", ["x"]),
        ("GET", "/sessions/x%3Astart", "GET /sessions/{session}", ["x:start"]),
        ("POST", "/sessions/x:y:start", "POST /sessions/{session}:start", ["x:y"]),
        ("GET", "/sessions/a%2Fb", "GET /sessions/{session}", ["a/b"]),
        ("GET", "/sessions/x/groups/1-2@g.us", "GET /sessions/{session}/groups/{gid}", ["x", "1-2@g.us"]),
        ("GET", "/sessions/x/groups/1-2%40g.us", "GET /sessions/{session}/groups/{gid}", ["x", "1-2@g.us"]),
        ("POST", "/sessions/x/groups/1%40g.us:leave", "POST /sessions/{session}/groups/{gid}:leave", ["x", "1@g.us"]),
        ("GET", "/sessions/x/contacts/check", "GET /sessions/{session}/contacts/check", ["x"]),
        ("GET", "/sessions/x/contacts/9:1@lid", "GET /sessions/{session}/contacts/{lid}", ["x", "9:1@lid"]),
        (
            "GET",
            "/sessions/x/contacts/%2B999%200000001",
            "GET /sessions/{session}/contacts/{lid}",
            ["x", "+999 0000001"],
        ),
    ],
)
def test_a_path_finds_its_operation(table: Table[str], method: str, path: str, target: str, values: list[str]) -> None:
    assert meaning(table, method, path) == (target, values)


@pytest.mark.fuzz
@given(st.binary(max_size=60))
def test_no_bytes_break_the_table(path: bytes) -> None:
    made: Table[int] = Table()
    made.add("POST", "/a/{b}:c", 1)
    made.add("GET", "/a/{b}", 2)
    made.find(b"/a/" + path)
    made.find(path)


def test_where_colons_are_allowed_they_are_part_of_the_id() -> None:
    table: Table[str] = Table()
    table.add("GET", "/a/{id}/b", "plain")
    table.add("GET", "/c/{id}/b", "colons", colons=True)
    assert table.find(b"/a/x:y/b") is None
    found = table.find(b"/c/x:y/b")
    assert found is not None
    assert found[1] == ["x:y"]


def test_a_reserved_segment_is_no_parameter() -> None:
    table: Table[str] = Table()
    table.reserve("app")
    table.add("GET", "/{id}/b", "parameter")
    assert table.find(b"/app/b") is None
    assert table.find(b"/other/b") is not None
