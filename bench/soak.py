"""`python -m bench.soak`: the long runs. Ends with 1 when a promise was not kept.

`steady` sends for half an hour and watches memory, descriptors and loss. `faults` kills the gateway and its readers for
five minutes while events are made. `window` measures what the WhatsApp library acknowledges before it is on disk,
`hosts` and `gateways` kill these while messages come and count what was lost; they run when they are named.
`--write` puts what all but the first found into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import faults, machine, steady, window
from bench.servers import PROGRAM

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
MARK = "<!-- what the last soak printed -->\n"
MARKS = {name: f"<!-- what the last run of {name} printed -->\n" for name in ("window", "hosts", "gateways")}
KILLED_AT = 50
"""Messages a second while hosts or gateways are killed."""
DEFAULTS = {"steady": (30.0, 50), "faults": (5.0, 200)}
"""Minutes, and sends or events a second."""
KILL_EVERY = (4.0, 12.0)


def main() -> int:
    """0 when all is well."""
    chosen = _arguments()
    if reason := machine.missing() or (None if PROGRAM.exists() else f"There is no {PROGRAM.name}: `make .venv`."):
        print(reason, file=sys.stderr)
        return 2
    well = True
    with tempfile.TemporaryDirectory(prefix="wagate-soak-", dir=chosen.dir) as folder:
        # The steady one keeps to one core from then on; so it comes last.
        for name in ("faults", "steady"):
            if name in (chosen.only or DEFAULTS):
                minutes, per_second = chosen.minutes or DEFAULTS[name][0], chosen.per_second or DEFAULTS[name][1]
                if name == "steady":
                    well &= uvloop.run(steady.run(Path(folder), minutes=minutes, per_second=per_second))
                else:
                    well &= _faults(Path(folder), minutes, per_second, chosen)
        for name in MARKS:
            if name in (chosen.only or ()):
                well &= _lines(Path(folder), name, chosen)
    return 0 if well else 1


def _lines(folder: Path, name: str, chosen: argparse.Namespace) -> bool:
    before = os.getloadavg()
    command = f"python -m bench.soak --only {name}"
    if name == "window":
        found = uvloop.run(window.measured(folder / name, messages=chosen.messages))
        told, well = window.described(found), True
        command += f" --messages {chosen.messages}"
    else:
        killing = window.killed(
            folder / name, name[:-1], kills=chosen.kills, per_second=KILLED_AT, seed=chosen.seed
        )  # fmt: skip
        losses = uvloop.run(killing)
        # A host that is killed may lose what it was just handed; a gateway must lose nothing, and nobody repeat.
        told, well = losses.lines(), not losses.repeated and (name == "hosts" or not losses.lost)
        command += f" --kills {chosen.kills} --seed {chosen.seed}"
    lines = [*_head(command, before), *told]
    print("\n".join(lines))
    if chosen.write:
        _put(MARKS[name], lines)
    return well


def _head(command: str, before: tuple[float, float, float]) -> list[str]:
    return [
        f"machine: {machine.described()}",
        f"date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; load average of the last 5 minutes {os.getloadavg()[1]:.1f}, "
        f"before {before[1]:.1f}",
        f"command: `{command}`",
    ]


def _put(mark: str, lines: list[str]) -> None:
    """In the place of the list under its mark, if there is one."""
    head, _, after = PAGE.read_text().partition(mark)
    rest = after.lstrip("\n").splitlines(keepends=True)
    while rest and rest[0].startswith("- "):
        del rest[0]
    told = "".join(f"- {line}\n" for line in lines)
    PAGE.write_text(f"{head}{mark}\n{told}\n{''.join(rest).lstrip()}")


def _faults(folder: Path, minutes: float, per_second: int, chosen: argparse.Namespace) -> bool:
    plan = faults.Plan(seconds=minutes * 60, per_second=per_second, kill_every=KILL_EVERY, seed=chosen.seed)
    print(f"faults: seed {plan.seed}", flush=True)
    before = os.getloadavg()
    outcome = uvloop.run(faults.run(folder / "faults", plan))
    late = [f"LATE: {each:.2f} s, {faults.BACKLOG_SECONDS:g} s at most" for each in outcome.late]
    command = f"python -m bench.soak --only faults --minutes {minutes:g} --per-second {per_second} --seed {plan.seed}"
    lines = [*_head(command, before), *outcome.lines(), *late]
    print("\n".join(lines))
    if chosen.write:
        _put(MARK, lines)
    return not outcome.wrong and not late and not outcome.leaked


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Run for a long time under load.")
    parser.add_argument("--only", action="append", choices=[*DEFAULTS, *MARKS], help="this one; may be given again")
    parser.add_argument("--minutes", type=float, help="how long (steady 30, faults 5)")
    parser.add_argument("--per-second", type=int, help="sends (steady, 50) or events (faults, 200) a second")
    parser.add_argument("--messages", type=int, default=1000, help="in each phase of the window")
    parser.add_argument("--kills", type=int, default=40, help="of hosts or gateways")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16), help="of the faults; else by chance")
    parser.add_argument("--write", action="store_true", help=f"put what the faults found into docs/{PAGE.name}")
    parser.add_argument("--dir", type=Path, help="where the databases are made, instead of the temporary directory")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
