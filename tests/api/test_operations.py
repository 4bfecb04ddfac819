"""An operation's texts and names come from where they are written anyway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.serving import SIGNER
from wagate.api.operations import NOBODY, OPEN, RESERVED, Call, Operation


async def find_it(call: Call) -> None:
    """Find it; the first
    paragraph goes on.

    And more is told

    here.
    """


async def say_two(call: Call) -> None:
    """Say one thing. Then another."""


async def silent(call: Call) -> None: ...


def operation(run: Any) -> Operation:
    path = "/a/{one}:verb/b/{two}/c:verb"
    return Operation(id="findIt", method="POST", path=path, run=run, tag="t", capability=OPEN)


@pytest.mark.parametrize(
    ("run", "summary", "description"),
    [
        (find_it, "Find it; the first paragraph goes on", "And more is told\n\nhere."),
        (say_two, "Say one thing. Then another.", ""),
        (silent, "findIt", ""),
    ],
)
def test_the_docstring_speaks_for_the_operation(run: Any, summary: str, description: str) -> None:
    assert (operation(run).summary, operation(run).description) == (summary, description)


def test_parameters_are_named_by_the_path() -> None:
    assert operation(find_it).names == ("one", "two")


def test_a_call_knows_its_headers_by_any_case() -> None:
    gw: Any = None
    call = Call(operation(find_it), gw, SIGNER)
    call.headers = {b"idempotency-key": b"k\xe9"}
    assert (call.header("Idempotency-Key"), call.header("Prefer"), call.caller) == ("ké", None, NOBODY)


def test_the_gateways_own_segments_are_reserved() -> None:
    assert {"api", "app", "docs", "healthz", ".well-known"} <= RESERVED
