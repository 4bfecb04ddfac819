"""No method of the SDK is forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.sdk import Program, Sdk
from wagate.api.compat import wasend

HERE = Path(__file__).parent


def named(source: str) -> set[str]:
    """The names of all methods of `sdk` that are called or taken."""
    attributes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "sdk"}


def test_every_method_of_the_sdk_is_called(sdk: Sdk) -> None:
    methods = sdk.methods()
    assert len(methods) == 56
    assert set(methods) <= set().union(*(named(path.read_text()) for path in HERE.glob("test_*.py")))


def test_the_compatibility_table_names_every_method_that_asks_a_server(javascript_program: Program) -> None:
    methods = set(Sdk(javascript_program, "", "").methods())
    told = {each.sdk for section in wasend.SECTIONS.values() for each in section}
    # The first asks nobody, the second asks several others.
    assert told - {""} == methods - {"constructor", "retrieveConfig", "sendMessage"}


def test_the_search_can_fail() -> None:
    assert named("sdk.get_group(other.join_group())\nfor step in (sdk.with_key,): step()") == {"get_group", "with_key"}
