"""Everything public says what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, Documented, files, where


def undocumented(source: str) -> list[str]:
    module = ast.parse(source)
    found = [] if ast.get_docstring(module) else ["the module"]
    return found + [name for name, node in public(module) if not ast.get_docstring(node)]


def public(parent: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        # A setter and an overload are explained where the thing itself is.
        if any(
            isinstance(mark, ast.Attribute | ast.Name) and last(mark) in UNEXPLAINED for mark in node.decorator_list
        ):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node, f"{prefix}{node.name}.")


UNEXPLAINED = {"setter", "overload"}


def last(mark: ast.Attribute | ast.Name) -> str:
    return mark.attr if isinstance(mark, ast.Attribute) else mark.id


SOURCES = [path for path in files(".py", under=PACKAGE) if "versions" not in path.parts]
"""Migrations are steps, not things: their module says what they change, alembic's names say the rest."""


@pytest.mark.parametrize("path", SOURCES, ids=where)
def test_everything_public_has_a_docstring(path: Path) -> None:
    assert not undocumented(path.read_text())


def test_the_rule_can_fail() -> None:
    assert undocumented("") == ["the module"]
    assert undocumented('"""M."""\nclass C:\n    """C."""\n    def f(self): ...') == ["C.f"]
    assert undocumented('"""M."""\nasync def f(): ...') == ["f"]
    assert not undocumented('"""M."""\nclass _C:\n    def f(self): ...\ndef _g(): ...')
