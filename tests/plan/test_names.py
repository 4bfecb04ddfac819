"""Names say what a thing is, in the words of docs/glossary.md, and the same word never means two things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, ROOT, files, functions, where, words

EMPTY = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "core",
    "manager",
    "handler",
    "service",
    "data",
    "info",
    "misc",
}
"""Words that could stand on any file or class."""

SAID_OTHERWISE = {
    "tenant": "organization",
    "team": "organization",
    "instance": "session",
    "txn": "tx",
    "trx": "tx",
    "transaction": "tx",
}
"""Words for which the glossary has another, refused in the names of files, classes, functions and parameters."""


def empty_names(path: Path, source: str) -> list[str]:
    names = [part for part in path.with_suffix("").parts if not part.startswith("__")]
    names += [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return [f"{name}: {word!r} says nothing" for name in names for word in words(name) if word in EMPTY]


def wrong_words(path: Path, source: str) -> list[str]:
    named = [path.stem, *identifiers(ast.parse(source))]
    found = [(name, word) for name in named for word in words(name) if word in SAID_OTHERWISE]
    return [f"{name}: {word!r} is called {SAID_OTHERWISE[word]!r} here" for name, word in found]


def identifiers(tree: ast.Module) -> Iterator[str]:
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for function in functions(tree):
        yield function.name
        arguments = function.args
        yield from (each.arg for each in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])


@pytest.mark.parametrize("path", files(".py"), ids=where)
def test_no_file_or_class_has_an_empty_name(path: Path) -> None:
    assert not empty_names(path.relative_to(ROOT), path.read_text())


@pytest.mark.parametrize("path", files(".py", under=PACKAGE), ids=where)
def test_one_thing_has_one_word(path: Path) -> None:
    assert not wrong_words(path.relative_to(PACKAGE), path.read_text())


def test_the_rules_can_fail() -> None:
    assert empty_names(Path("gateway/message_utils.py"), "")
    assert empty_names(Path("common/jid.py"), "")
    assert empty_names(Path("gateway/keys.py"), "class KeyManager: ...")
    assert not empty_names(Path("gateway/__init__.py"), "class Keys: ...\nmanager = 1")
    assert wrong_words(Path("gateway/tenants.py"), "class TenantKeys: ...")
    assert wrong_words(Path("keys.py"), "def f(*, transaction): ...")
    assert wrong_words(Path("keys.py"), "async def start_instance(): ...")
    assert not wrong_words(Path("keys.py"), "def f(tx, organization): return isinstance(tx, int)")
