"""Limits are clamped, cursors cannot be forged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.api.cursors import Signer, derive
from wagate.api.lists import EVERYTHING, ListQuery, page, window
from wagate.api.operations import READ, Call, Operation
from wagate.errors import BadRequest
from wagate.model.organizations import Caller

SIGNER = Signer(bytes(range(32)))


async def nothing(call: Call) -> None:
    """Nothing."""


def call(query: ListQuery, *, id: str = "listThings", organization: str = "org_1", signer: Signer = SIGNER) -> Call:
    operation = Operation(id=id, method="GET", path="/things", run=nothing, tag="things", capability=READ)
    gw: Any = None
    made = Call(operation, gw, signer)
    made.caller = Caller(organization_id=organization, capabilities=frozenset())
    made.query = query
    return made


CURSOR = page(call(ListQuery()), [], [17, "b"]).next_cursor


@pytest.mark.parametrize("place", range(len(CURSOR)))
def test_a_changed_cursor_is_refused(place: int) -> None:
    changed = CURSOR[:place] + ("A" if CURSOR[place] != "A" else "B") + CURSOR[place + 1 :]
    with pytest.raises(BadRequest):
        window(call(ListQuery(cursor=changed)))


@pytest.mark.parametrize("text", ["x", "é", "=", CURSOR + "=", CURSOR + "A", CURSOR[:-1], "A" * 10_000, "evt_1", " "])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        window(call(ListQuery(cursor=text)))
    assert refused.value.details["fields"][0]["path"] == "cursor"


def test_a_cursor_is_good_only_where_it_was_given() -> None:
    for elsewhere in (
        call(ListQuery(cursor=CURSOR), id="listOthers"),
        call(ListQuery(cursor=CURSOR), organization="org_2"),
        call(ListQuery(cursor=CURSOR), signer=Signer(bytes(32))),
    ):
        with pytest.raises(BadRequest):
            window(elsewhere)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        Signer(b"short")


@pytest.mark.parametrize(
    ("limit", "found"), [(None, 50), (0, 50), (1, 1), (200, 200), (201, 200), (10**30, 200), (-5, 1)]
)
def test_limits_are_clamped(limit: int | None, found: int) -> None:
    assert window(call(ListQuery(limit=limit))).limit == found


def test_one_page_lists_page_only_when_asked() -> None:
    assert window(call(ListQuery()), one_page=True).limit == EVERYTHING
    assert window(call(ListQuery(cursor="")), one_page=True).limit == EVERYTHING
    assert window(call(ListQuery(limit=0)), one_page=True).limit == 50
    paged = window(call(ListQuery(cursor=CURSOR)), one_page=True)
    assert (paged.limit, paged.after) == (50, [17, "b"])


def test_the_last_page_has_an_empty_cursor() -> None:
    assert page(call(ListQuery()), [1], None).next_cursor == ""


@given(st.lists(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), max_size=4))
def test_a_position_comes_back_as_it_was(position: list[Any]) -> None:
    assert SIGNER.read("scope", SIGNER.sign("scope", position)) == position


def test_sub_keys_differ_by_label_and_stay_the_same() -> None:
    assert derive(b"secret", "cursors") == derive(b"secret", "cursors")
    assert len({derive(b"secret", "cursors"), derive(b"secret", "secrets"), derive(b"other", "cursors")}) == 3
