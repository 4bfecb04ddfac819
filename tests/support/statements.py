"""Every SQL statement of `gateway/`, found in its modules."""

from __future__ import annotations

import importlib
import pkgutil
import re

from wagate import gateway

_STATEMENT = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\s", re.IGNORECASE)


def collected() -> dict[str, str]:
    """SQL by where it stands: `groups._LIST`, `purges._PIECES[0]`."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(gateway.__path__):
        for name, value in vars(importlib.import_module(f"wagate.gateway.{module.name}")).items():
            texts = value if isinstance(value, tuple) else (value,)
            for number, text in enumerate(texts):
                if isinstance(text, str) and _STATEMENT.match(text):
                    found[f"{module.name}.{name}" + (f"[{number}]" if isinstance(value, tuple) else "")] = text
    return found


def names(sql: str) -> list[str]:
    """The parameters of a statement."""
    code = re.sub(r"'[^']*'|--[^\n]*", "", sql)
    lists = re.findall(r"\{each:([a-z_]\w*)\}", code)
    return list(dict.fromkeys([*re.findall(r"(?<!:):([a-z_]\w*)", re.sub(r"\{[^}]*\}", "", code)), *lists]))
