"""`python -m bench`: run the workloads, print what they found."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import uvloop

from bench import (
    accepts,
    bodies,
    fanout,
    lists,
    machine,
    profiling,
    reads,
    resume,
    sends,
    starts,
    tokens,
    webhooks,
    whatsapp,
)
from bench.report import Workload, as_json, markdown, renewed
from bench.servers import PROGRAM

WORKLOADS: dict[str, ModuleType] = {
    "sync": sends,
    "accept": accepts,
    "reads": reads,
    "lists": lists,
    "bodies": bodies,
    "fanout": fanout,
    "webhooks": webhooks,
    "resume": resume,
    "starts": starts,
    "tokens": tokens,
    "whatsapp": whatsapp,
}
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
MARK = "<!-- what the last run printed -->\n"
PROFILE_MARK = "<!-- what the last --profile printed -->\n"


def main() -> int:
    """0 when everything acknowledged was there exactly once, else 1. Missed targets are told, not punished."""
    chosen = _arguments()
    if reason := machine.missing() or (None if PROGRAM.exists() else f"There is no {PROGRAM.name}: `make .venv`."):
        print(reason, file=sys.stderr)
        return 2
    machine.stay_on(machine.CLIENT_CORE)
    with tempfile.TemporaryDirectory(prefix="wagate-bench-", dir=chosen.dir) as folder:
        if chosen.profile:
            told = "\n\n".join(uvloop.run(profiling.run(Path(folder), name)) for name in chosen.profile)
            print(text := f"{_line()}\n\n```\n{told}\n```\n")
            if chosen.write:
                _write(PROFILE_MARK, lambda _: text)
            return 0
        names = chosen.only or list(WORKLOADS)
        found, head = _run(Path(folder), names, chosen.rounds)
    if chosen.json:
        print(json.dumps(as_json(found, head), indent=2))
    else:
        print(text := markdown(found, head))
        if chosen.write:
            _write(MARK, lambda old: renewed(old, found, head) if chosen.only else text)
    return 0 if all(workload.good for workload in found) else 1


def _write(mark: str, renew: Callable[[str], str]) -> None:
    """Put what `renew` makes of the old text into the page, behind the mark and up to the page's next heading."""
    before, _, after = PAGE.read_text().partition(mark)
    old, heading, rest = after.partition("\n## ")
    PAGE.write_text(f"{before}{mark}\n{renew(old.lstrip())}{heading}{rest}")


def _line() -> str:
    """Machine and date."""
    return f"{machine.described()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {_speed(PAGE.parent)}."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the gateway on this machine.")
    parser.add_argument("--only", action="append", choices=WORKLOADS, help="this workload; may be given again")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each; the median counts (3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"also put it into {PAGE.parent.name}/{PAGE.name}")
    parser.add_argument("--dir", type=Path, help="where the databases are made, instead of the temporary directory")
    parser.add_argument(
        "--profile", action="append", choices=profiling.WORKLOADS, help="instead, print where the time of a load goes"
    )
    return parser.parse_args()


def _run(folder: Path, names: list[str], rounds: int) -> tuple[list[Workload], list[str]]:
    begun, before = time.perf_counter(), _speed(folder)
    found = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        found.append(uvloop.run(WORKLOADS[name].run(folder, rounds)))
    only = "".join(f" --only {name}" for name in names) if names != list(WORKLOADS) else ""
    more = f" --rounds {rounds}" if rounds != 3 else ""
    head = [
        f"machine: {machine.described()}",
        f"date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; the run took {time.perf_counter() - begun:.0f} s",
        f"command: `python -m bench{only}{more}`, {rounds} rounds",
        f"speed before: {before}",
        f"speed after: {_speed(folder)}",
    ]
    return found, head


def _speed(folder: Path) -> str:
    """How fast the server's core and the disk are just now."""
    loop, write = machine.loop_milliseconds(), machine.fsync_milliseconds(folder)
    return f"a fixed loop of plain Python {loop:.1f} ms; a 4 KiB append made durable {write:.3f} ms"


if __name__ == "__main__":
    sys.exit(main())
