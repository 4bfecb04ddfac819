"""One SQL text becomes two."""

from __future__ import annotations

import pytest

from wagate.backends.statements import opening, translate


def number(name: str) -> str:
    return f"<{name}>"


def test_an_unknown_fragment_is_refused() -> None:
    with pytest.raises(LookupError):
        translate("SELECT {skip_lokced}", {"skip_locked": ""})


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a :b {c}'",
        "SELECT 'it''s :b'",
        'SELECT ":b" FROM "a""b :c"',
        "SELECT 1 -- :b's {c}\n",
        "SELECT /* :b\n' {c} */ 1",
        "SELECT 1::bigint",
        "SELECT '{}', '{\"a\": 1}'",
        "SELECT {}",
    ],
)
def test_what_is_no_parameter_stays(text: str) -> None:
    assert translate(text, {}, number) == text


def test_parameters_and_fragments_are_replaced_everywhere() -> None:
    fragments = {"each": "SELECT value FROM json_each(:@)", "greatest": "max"}
    text = "UPDATE t SET n = {greatest}(n, :n), x=:x_1 WHERE id IN ({each:ids}) AND s = ':n' -- :n"
    assert translate(text, fragments, number) == (
        "UPDATE t SET n = max(n, <n>), x=<x_1> WHERE id IN (SELECT value FROM json_each(<ids>)) AND s = ':n' -- :n"
    )
    assert translate(text, fragments).count(":ids") == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [("SELECT 1", "SELECT"), ("\n -- why\n/* and\n how */ with due", "WITH"), ("", ""), ("-- only", "")],
)
def test_the_first_word_is_found_behind_comments(text: str, word: str) -> None:
    assert opening(text) == word
