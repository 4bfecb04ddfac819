"""docs/reference/commands.md, printed from the commands themselves. Called by its test."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

_HEAD = """# Commands

This page is printed from `src/wagate/cli/`. A command ends with 0 when it did what it was told, with 1 when it could
not, with 2 when it was told wrongly; an error is one sentence on standard error. `--json` answers with JSON.
"""


def commands_page(app: typer.Typer) -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    sections = [_section(name, command) for name, command in _commands(root, "wagate")]
    return _HEAD + "".join(sections)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name, in the order of `wagate --help`."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child_name, child in children.items():
        yield from _commands(child, f"{name} {child_name}")


def _section(name: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([name, *map(_called, arguments), *map(_needed, options)])
    usage = " ".join(usage.split())
    rows = [(f"`{_called(each)}`", each.help) for each in arguments]
    rows += [(_spelt(each), _explained(each)) for each in options]
    lines = [f"\n## {name}\n", f"`{usage}`\n", inspect.cleandoc(command.help or ""), "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {left} | {right} |" for left, right in rows)]) + "\n"


def _called(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _needed(option: Any) -> str:
    return f"{option.opts[0]} …" if option.required else ""


def _spelt(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*sorted(option.opts, key=len, reverse=True), *option.secondary_opts])
    return names if option.is_flag else f"{names} …"


def _explained(option: Any) -> str:
    default = option.default
    shown = isinstance(default, int | str) and not option.is_flag
    return f"{option.help or ''}{' Needed.' if option.required else f' Default: {default}.' if shown else ''}"
