"""Files and functions stay short, and parameters few."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, FunctionNode, docstring_lines, files, functions, where

FILE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 5


def long_file(source: str) -> list[str]:
    lines = len(source.splitlines()) - docstring_lines(ast.parse(source))
    return [f"{lines} lines without docstrings, {FILE_LINES} is the end"] if lines > FILE_LINES else []


def unwieldy_functions(source: str) -> list[str]:
    found = []
    for function in functions(ast.parse(source)):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1 - docstring_lines(function)
        if lines > FUNCTION_LINES:
            found.append(f"{function.name} has {lines} lines, {FUNCTION_LINES} is the end")
        if (count := parameters(function)) > PARAMETERS:
            found.append(f"{function.name} takes {count} parameters; more than {PARAMETERS} is a missing struct")
    return found


def parameters(function: FunctionNode) -> int:
    # A command of the command line has one parameter an option: that is how the library reads them.
    if any(isinstance(node, ast.Call) and is_command(node.func) for node in function.decorator_list):
        return 0
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([parameter for parameter in every if parameter.arg not in ("self", "cls")])


def is_command(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Attribute) and decorator.attr in ("command", "callback")


@pytest.mark.parametrize("path", files(".py"), ids=where)
def test_a_file_ends_before_its_limit(path: Path) -> None:
    assert not long_file(path.read_text())


@pytest.mark.parametrize("path", files(".py", under=PACKAGE), ids=where)
def test_functions_are_short_and_take_few_parameters(path: Path) -> None:
    assert not unwieldy_functions(path.read_text())


def test_the_rules_can_fail() -> None:
    body = "    x = 1\n"
    assert long_file("x = 1\n" * 401)
    assert not long_file('"""Why.\n' + "and\n" * 400 + '"""\nx = 1\n')
    assert unwieldy_functions("def f():\n" + body * 60)
    assert not unwieldy_functions("def f():\n" + body * 59)
    assert not unwieldy_functions('def f():\n    """Why.\n' + "    and\n" * 80 + '    """\n' + body)
    assert unwieldy_functions("class C:\n    def f(self, a, b, c, d, *, e, f): ...")
    assert not unwieldy_functions("class C:\n    def f(self, a, b, *, c, d, e): ...")
    assert not unwieldy_functions("@app.command()\ndef f(a, b, c, d, e, f): ...")
