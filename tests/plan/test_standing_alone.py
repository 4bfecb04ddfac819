"""The repository stands alone: nothing in it names the machine it was written on, or where packages come from."""

from __future__ import annotations

import re

from tests.support.source import files, where

# Brackets around one letter keep each pattern from matching itself.
MACHINE = re.compile(r"(?<![\w.~-])/(?:[w]ork|[r]oot|[h]ome/\w+|[U]sers/\w+|opt/[p]ypi\S*)/")
REGISTRY = re.compile(
    r"[p]ypi\.org|[p]ythonhosted\.|[r]egistry\.npmjs|[n]pmjs\.org|--(?:extra-)?[i]ndex-url \S|--[f]ind-links \S"
)


def strays(text: str) -> list[str]:
    """What in `text` holds only on one machine."""
    return [match.group() for pattern in (MACHINE, REGISTRY) for match in pattern.finditer(text)]


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = {}
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if strange := strays(text):
            found[where(path)] = strange
    assert not found


def test_the_rule_can_fail() -> None:
    for stray in ("cd /wor" + "k/main", "/roo" + "t/.cache", "'/hom" + "e/ann/wagate'", "https://py" + "pi.org/simple"):
        assert strays(stray), stray
    for fine in (
        "/usr/lib/postgresql/15/bin",
        f"docs/{'work'}/notes",
        f"~/{'work'}/x",
        "/homely",
        "a framework / root / home",
    ):
        assert not strays(fine), fine
