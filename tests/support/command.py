"""The real command, in a process of its own, and a gateway that it serves."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("wagate")
SECONDS = 120


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without our settings, and with the given ones: `data_dir="…"`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WAGATE_")}
    return clean | {f"WAGATE_{name.upper()}": value for name, value in settings.items()}


@dataclass(frozen=True)
class Ended:
    """A command that has run."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


MERE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""What takes from root its power over everybody's files; for all others it changes nothing."""


def wagate(
    *arguments: str, stdin: str = "", cwd: Path | None = None, before: Sequence[str] = (), **settings: str
) -> Ended:
    """Run the command to its end; `before`: what runs it."""
    done = subprocess.run(
        [*before, PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(**settings),
        cwd=cwd,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Served:
    """A gateway that listens."""

    url: str
    key: str
    data_dir: Path
    process: subprocess.Popen[str]

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> Ended:
        """A command on this gateway, with the demo key."""
        given = {"data_dir": str(self.data_dir), "url": self.url, **settings}
        return wagate(*arguments, stdin=stdin, **given)


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Served]:
    """`wagate serve` on an empty data directory and a free port; ended by SIGTERM."""
    chosen = {"data_dir": str(data_dir), "port": "0", **settings}
    with (data_dir.parent / f"{data_dir.name}.log").open("w+") as log:
        process = subprocess.Popen(
            [PROGRAM, "serve", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(**chosen),
        )
        try:
            first = _first_line(process, log.name)
            yield Served(url=first["url"], key=first["key"], data_dir=data_dir, process=process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()


def _first_line(process: subprocess.Popen[str], log: str) -> dict[str, str]:
    assert process.stdout is not None
    deadline = time.monotonic() + SECONDS
    while not select.select([process.stdout], [], [], 0.05)[0]:
        if process.poll() is not None or time.monotonic() > deadline:
            break
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"it did not start: {Path(log).read_text()[-2000:]}")
    found: dict[str, str] = json.loads(line)
    return found
