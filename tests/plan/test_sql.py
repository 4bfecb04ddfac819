"""A statement on an organization's table names the organization, or says why it stands above them."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, files, where

STATEMENT = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(?:select\b.*\bfrom\b|insert\s+into\b|update\s+\w+\s+set\b|delete\s+from\b|with\s+\w+\s+as\b)",
    re.IGNORECASE | re.DOTALL,
)
TABLE = re.compile(r"(?:\bfrom|\bjoin|\binto|\bupdate|\busing|,)\s+(\w+)", re.IGNORECASE)
EXCUSE = re.compile(r"-- any organization: *\S")


def unowned(source: str, tables: set[str]) -> list[str]:
    """The statements of `source` that touch one of `tables` and name no organization."""
    found = []
    for line, text in statements(ast.parse(source)):
        touched = {name.lower() for name in TABLE.findall(text)} & tables
        if touched and "organization_id" not in text and not EXCUSE.search(text):
            found.append(f"line {line}: a statement on {', '.join(sorted(touched))} names no organization_id")
    return found


def statements(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string that is SQL, put together as far as it can be known without running: `+`, f-strings, constants."""
    constants: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            value = text_of(node.value, constants)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            constants |= {target.id: value for target in targets if isinstance(target, ast.Name) and value is not None}
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        text = text_of(node, constants) if isinstance(node, ast.expr) and not isinstance(node, ast.Name) else None
        if text is None:
            waiting.extend(ast.iter_child_nodes(node))
        elif STATEMENT.match(text):
            yield getattr(node, "lineno", 0), text


def text_of(node: ast.AST, constants: dict[str, str]) -> str | None:
    """The text of an expression of strings; what cannot be known is a `?`. None when it is no string at all."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, constants) or "?" for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, constants)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left, constants), text_of(node.right, constants)
        return None if left is None and right is None else (left or "?") + (right or "?")
    return None


def organizations_tables() -> set[str]:
    if importlib.util.find_spec("wagate.backends.schema") is None:
        pytest.skip("the tables are not drawn yet")
    metadata = importlib.import_module("wagate.backends.schema").metadata
    return {table.name for table in metadata.tables.values() if "organization_id" in table.columns}


@pytest.mark.parametrize("path", files(".py", under=PACKAGE / "gateway"), ids=where)
def test_statements_name_the_organization(path: Path) -> None:
    assert not unowned(path.read_text(), organizations_tables())


def test_there_are_tables_that_belong_to_an_organization() -> None:
    assert {"sessions", "outbox"} <= organizations_tables()


@pytest.mark.parametrize(
    "source",
    [
        "tx.all('SELECT id FROM sessions WHERE id = :id', id=1)",
        "tx.all('''\n -- the lot\n select id\n from sessions''')",
        "S = 'DELETE FROM sessions' ' WHERE id = :id'",
        "S = 'UPDATE sessions SET a = 1'",
        "S = 'INSERT INTO sessions (id) VALUES (:id)'",
        "S = 'SELECT id FROM nodes n JOIN sessions s ON s.id = n.id'",
        "S = 'SELECT id FROM nodes n, sessions s'",
        "S = 'WITH due AS MATERIALIZED (SELECT id FROM sessions) SELECT id FROM due'",
        "COLUMNS = 'id, label'\ndef f(x): return f'SELECT {COLUMNS} FROM sessions WHERE {x}'",
        "T = 'sessions'\nS = 'SELECT id FROM ' + T",
        "T: str = 'sessions'\nF = f' FROM {T}'\nS = 'SELECT id' + F",
        "S = 'SELECT id FROM sessions -- any organization:'",
    ],
)
def test_the_rule_can_fail(source: str) -> None:
    assert unowned(source, {"sessions"})


@pytest.mark.parametrize(
    "source",
    [
        "S = 'SELECT id FROM sessions WHERE organization_id = :organization AND id = :id'",
        "S = 'SELECT id FROM nodes'",
        "S = '''SELECT id FROM sessions -- any organization: a lease is the node's, not the customer's\n'''",
        "WHERE = ' WHERE organization_id = :o'\nS = 'SELECT id FROM sessions' + WHERE",
    ],
)
def test_the_rule_lets_pass_what_names_it(source: str) -> None:
    assert not unowned(source, {"sessions"})
