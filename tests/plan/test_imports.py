"""Who may import whom: the contracts of .importlinter hold, and each of them can be broken."""

from __future__ import annotations

import configparser
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from importlinter import configuration
from importlinter.application.use_cases import lint_imports

from tests.support.source import PACKAGE, ROOT

configuration.configure()
CONTRACTS = (ROOT / ".importlinter").read_text()
_numbers = itertools.count(1)


def kept(contracts: str, folder: Path, contract: str = "") -> bool:
    """Run the contracts, or one of them; raises when they cannot be run as they are written."""
    config = folder / "contracts.ini"
    config.write_text(contracts)
    only = (contract,) if contract else ()
    return lint_imports(str(config), limit_to_contracts=only, cache_dir=None, is_debug_mode=True, no_logo=True)


def exists(module: str) -> bool:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return "*" in module or path.is_dir() or path.with_suffix(".py").is_file()


def only_existing(contracts: str) -> str:
    """The contracts without the lines that name a module of ours that is not written yet."""
    lines = contracts.splitlines()
    return "\n".join(line for line in lines if not re.fullmatch(r"\s+wagate\.\S+", line) or exists(line.strip()))


def named_modules() -> set[str]:
    """Every module of ours that a contract names, as a floor or in full."""
    ini = configparser.ConfigParser()
    ini.read_string(CONTRACTS)
    named = set(re.findall(r"^ +(wagate\.[\w.]+)$", CONTRACTS, re.MULTILINE))
    for section in ini.values():
        floors = re.findall(r"\w+", section.get("layers", ""))
        named |= {f"{section['containers'].strip()}.{floor}" for floor in floors}
    return named


def test_imports_go_where_the_plan_allows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kept(only_existing(CONTRACTS), tmp_path), capsys.readouterr().out


BREAKS = [
    ("floors", ["model.jid: wagate.gateway.keys"]),
    ("floors", ["api.keys: wagate.workers.runner"]),
    ("floors", ["storey: wagate.errors"]),
    ("gateway", ["gateway.organizations: wagate.gateway.outbox"]),
    ("gateway", ["gateway.annex: wagate.errors"]),
    ("engines-known", ["testing: wagate.engines.base"]),
    ("adapters", ["cli: wagate.backends.sqlite"]),
    ("adapters", ["workers.runner: wagate.engines.sandbox.network"]),
    ("settings", ["gateway.keys: wagate.config"]),
    ("web", ["gateway.keys: starlette.requests"]),
    ("drivers", ["gateway.keys: sqlite3"]),
    ("drivers", ["api.keys: aiohttp"]),
    ("tokens", ["gateway.people: jwt"]),
    ("whatsapp", ["engines.sandbox.network: neonize"]),
    ("tracing", ["gateway.keys: opentelemetry"]),
    ("cycles", ["model.jid: wagate.model.chats", "model.chats: wagate.model.jid"]),
    ("cycles", ["engines.sandbox.a: wagate.engines.sandbox.b", "engines.sandbox.b: wagate.engines.sandbox.a"]),
]


@pytest.mark.parametrize(("contract", "imports"), BREAKS, ids=[f"{name}-{lines[0]}" for name, lines in BREAKS])
def test_each_contract_can_be_broken(
    contract: str, imports: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    sound, broken = f"house{next(_numbers)}", f"house{next(_numbers)}"
    build(tmp_path, sound, [])
    build(tmp_path, broken, imports)
    assert kept(CONTRACTS.replace("wagate", sound), tmp_path, contract)
    assert not kept(CONTRACTS.replace("wagate", broken), tmp_path, contract)


def build(folder: Path, package: str, imports: Iterable[str]) -> None:
    """A house of empty modules, all that the contracts name and a few more, with the given imports in it."""
    more = ["wagate.api.keys", "wagate.workers.runner", "wagate.model.jid", "wagate.model.chats"]
    rooms = {*named_modules(), *more, "wagate.engines.sandbox.network"}
    lines = {
        f"wagate.{importer}": f"import {imported}\n" for importer, imported in (each.split(": ") for each in imports)
    }
    for module in rooms | lines.keys():
        parts = module.replace("wagate", package).split(".")
        is_room = any(other.startswith(f"{module}.") for other in rooms | lines.keys())
        path = folder.joinpath(*parts, "__init__.py") if is_room else folder.joinpath(*parts).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in path.parents[: len(parts)]:
            if parent != folder and parent.is_relative_to(folder):
                (parent / "__init__.py").touch()
        path.write_text(lines.get(module, "").replace("wagate", package))
