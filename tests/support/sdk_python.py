"""The program in which the unmodified Python SDK runs: a call on each line in, its outcome on a line out.

Run by tests/support/sdk.py. It imports nothing of ours, and what it prints of an answer is what the SDK gave: every
declared field was read through the SDK's own checks by then.
"""

from __future__ import annotations

import enum
import inspect
import json
import sys
from typing import Any

import wasend

_clients: dict[tuple[str, str], Any] = {}


def plain(value: Any) -> Any:
    """An SDK's value as JSON can hold it: structs by their Python field names."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if hasattr(value, "_values"):
        return {name: plain(each) for name, each in value._values.items()}
    return value


def rich(value: Any) -> Any:
    """An argument as the SDK wants it: `{"$": name, …}` is its struct of that name, with `is` the word of an enum."""
    if isinstance(value, list):
        return [rich(each) for each in value]
    if isinstance(value, dict) and "$" in value:
        of = getattr(wasend, value["$"])
        given = {name: rich(each) for name, each in value.items() if name != "$"}
        return of[given["is"]] if issubclass(of, enum.Enum) else of(**given)
    return value


def method(call: dict[str, Any]) -> Any:
    """What is called: a method of the client for this URL and key, or of the utilities if there is no URL."""
    if not call["url"]:
        return getattr(wasend.WasendUtils, call["method"])
    whose = (call["url"], call["key"])
    if whose not in _clients:
        _clients[whose] = wasend.WasendClient(api_key=call["key"], base_url=call["url"], timeout=20_000)
    return getattr(_clients[whose], call["method"])


def outcome(call: dict[str, Any]) -> dict[str, Any]:
    """What became of a call. Any error is the SDK's word to its user, and goes to the test as it is."""
    if not call["method"]:
        return {"ok": [name for name, _ in inspect.getmembers(wasend.WasendClient) if not name.startswith("_")]}
    try:
        named = {name: rich(value) for name, value in call["named"].items()}
        return {"ok": plain(method(call)(*rich(call["args"]), **named))}
    except Exception as error:
        return {"error": {"type": type(error).__name__, "text": str(error)}}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(outcome(json.loads(line))), flush=True)
