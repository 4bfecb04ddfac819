"""The repository as text: what the tests of the plan read."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "wagate"

# What is made here and never committed.
NOT_OURS = {".git", ".venv", ".venv-lock", "data", "dist", "build", "node_modules", "__pycache__"}
CACHES = re.compile(r"\..*_cache|\.hypothesis|.*\.egg-info")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def files(*suffixes: str, under: Path = ROOT) -> list[Path]:
    """Files of ours below `under` with one of the suffixes; all of them when none is named. Sorted."""
    found = []
    for folder, folders, names in os.walk(under):
        folders[:] = [name for name in folders if name not in NOT_OURS and not CACHES.fullmatch(name)]
        found += [Path(folder, name) for name in names if not suffixes or name.endswith(suffixes)]
    return sorted(found)


def where(path: Path) -> str:
    """The path as a reader names it, from the root of the repository."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    """Every function and method, at any depth."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def docstring_lines(tree: ast.AST) -> int:
    """How many lines the docstrings of `tree` and of everything in it take."""
    total = 0
    for node in ast.walk(tree):
        if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            total += (text.end_lineno or text.lineno) - text.lineno + 1
    return total


def words(name: str) -> list[str]:
    """The words of an identifier or file name, in lower case: `SessionRow` and `session_row` are the same two."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
