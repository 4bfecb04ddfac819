"""Which operation asks what of an engine, and which engine gives it: docs/reference/capabilities.md.

Nothing here is a list by hand. What an operation asks is found by following its function through `api` and `gateway` to
the live actions and the changes that it makes; what is to be sent is read from its body's type; engines are found in
their packages. A new engine gets a column, a new action a row.
"""

from __future__ import annotations

import dis
import importlib
import inspect
import pkgutil
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, get_args

import wagate.engines
from wagate.api.operations import Operation
from wagate.bootstrap import OPERATIONS
from wagate.engines.base import Engine
from wagate.model.actions import Action, SessionAction
from wagate.model.contents import Change
from wagate.model.sends import PostStatus

LIVE = frozenset(get_args(SessionAction))
CHANGES = frozenset(get_args(Change))

YES, NO = "yes", "501"


def engines() -> dict[str, type[Engine]]:
    """Every engine by its name, the sandbox first."""
    found: dict[str, type[Engine]] = {}
    for package in pkgutil.iter_modules(wagate.engines.__path__):
        if package.ispkg:
            module = importlib.import_module(f"wagate.engines.{package.name}.engine")
            for kind in vars(module).values():
                if inspect.isclass(kind) and kind.__module__ == module.__name__ and hasattr(kind, "contents"):
                    found[kind.name] = kind
    return dict(sorted(found.items(), key=lambda each: (each[0] != "sandbox", each[0])))


def capabilities_page() -> str:
    """Which operation works on which engine."""
    known = engines()
    text = f"""# Capabilities

This page is printed from the operations and the engines. A session speaks to its network through an engine, named in
its field `engine`. An operation of this table asks something of it: to send a content, or to perform an action. Where
the table says `{NO}` the engine does not do that, and the operation answers `501` `not_implemented` with the reason
`unsupported_by_engine` before anything is sent. All other operations are the gateway's own, and work with every engine.

| operation | asks for | {" | ".join(known)} |
|---|---|{"---|" * len(known)}
"""
    for operation in OPERATIONS:
        for row in asked(operation):
            marks = [YES if gives(engine, row) else NO for engine in known.values()]
            text += f"| `{operation.id}` | `{word(row)}` | {' | '.join(marks)} |\n"
    text += "\n`forwardMessage` asks for the content that it forwards. "
    text += "What starts, stops and links a session every engine does.\n"
    text += f"\n## What engines promise\n\n| | {' | '.join(known)} |\n|---|{'---|' * len(known)}\n"
    for field, said in _PROMISES.items():
        marks = ["yes" if getattr(engine.promises, field) else "no" for engine in known.values()]
        text += f"| {said} | {' | '.join(marks)} |\n"
    return text


_PROMISES = {
    "chooses_wire_id": "the wire id is chosen before the send: after a crash the same one goes out again",
    "acks_after_commit": "the network is told that something arrived only when it is stored",
}


def asked(operation: Operation) -> list[type[Action] | str]:
    """What the operation asks of an engine: actions, and the words of contents."""
    found: list[Any] = [each for each in reached(operation.run) if each in LIVE]
    found += [tag(each) for each in reached(operation.run, depth=1) if each in CHANGES]
    if operation.id == "sendMessage":
        found += [tag(form) for form in get_args(operation.body)]
    if operation.body is PostStatus:
        found += get_args(get_args(inspect.get_annotations(PostStatus, eval_str=True)["type"])[0])
    return found


def gives(engine: type[Engine], row: type[Action] | str) -> bool:
    """Whether the engine performs this action, or sends this content."""
    return row in engine.contents if isinstance(row, str) else row in engine.actions


def word(row: type[Action] | str) -> str:
    """The action or content as the table names it."""
    return row if isinstance(row, str) else row.__name__


def tag(kind: Any) -> str:
    """The word of a content or of a form."""
    return str(kind.__struct_config__.tag)


def reached(start: Any, *, depth: int = 9) -> list[type]:
    """The classes that a function names, itself or through functions of `api` and `gateway`, so many calls away."""
    found: dict[type, None] = {}
    seen, waiting = {start}, [(start, 0)]
    while waiting:
        function, far = waiting.pop(0)
        for value in _named(function):
            if inspect.isclass(value):
                found[value] = None
            elif _is_ours(value) and value not in seen and far < depth:
                seen.add(value)
                waiting.append((value, far + 1))
    return list(found)


def _is_ours(value: Any) -> bool:
    return isinstance(value, FunctionType) and value.__module__.startswith(("wagate.api", "wagate.gateway"))


@cache
def _named(function: FunctionType) -> list[Any]:
    """What the code of a function names in its module and in modules: `live.GetAbout`, `_ask`."""
    known = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    found: list[Any] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop(0)
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        at: Any = None
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_DEREF"):
                at = known.get(step.argval)
                found.append(at)
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(at, ModuleType):
                at = getattr(at, step.argval, None)
                found.append(at)
            else:
                at = None
    return found
