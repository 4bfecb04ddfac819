"""Statement texts: from the gateway's one SQL to what a database takes.

Reads a text once, skips what is quoted or commented, and replaces fragments (`{skip_locked}`, `{each:ids}`) and, where
asked, parameters (`:name`). Called by sqlite.py and postgres.py, which keep the results: a text is translated once in a
process's life, so texts must be constants and never be built from values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ::     # quoted, commented, a cast: left alone
    | \{(?P<fragment>[a-z_]+)(?::(?P<argument>[a-z_]\w*))?\}
    | :(?P<parameter>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


def translate(sql: str, fragments: Mapping[str, str], parameter: Callable[[str], str] | None = None) -> str:
    """`sql` with its fragments replaced, and its parameters written by `parameter`.

    A fragment's text is itself translated, with `@` standing for its argument: `{each:ids}` and the text
    `SELECT value FROM json_each(:@)` give `SELECT value FROM json_each(:ids)`.

    Raises:
        LookupError: a fragment that `fragments` does not have.
    """

    def replace(found: re.Match[str]) -> str:
        name = found["fragment"]
        if name is not None:
            text = fragments[name].replace("@", found["argument"] or "")
            return translate(text, fragments, parameter)
        if parameter is not None and found["parameter"] is not None:
            return parameter(found["parameter"])
        return found[0]

    return _TOKEN.sub(replace, sql)


def opening(sql: str) -> str:
    """The first word of a statement in capitals, comments skipped."""
    found = re.match(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w*)", sql, re.DOTALL)
    return found[1].upper() if found else ""
