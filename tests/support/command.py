"""The real command, in a process of its own, and a gateway that it serves."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("wagate")
SECONDS = 120

_STARTED: set[tuple[str, ...]] = set()
_LOADED = multiprocessing.get_context("forkserver")
_LOADED.set_forkserver_preload(["wagate.cli", "wagate.bootstrap"])
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without our settings, and with the given ones: `data_dir="…"`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WAGATE_")}
    return clean | {f"WAGATE_{name.upper()}": value for name, value in settings.items()}


def _around() -> dict[str, str]:
    """What a program finds around it, but for the name of the running test."""
    return {name: value for name, value in environment().items() if name != "PYTEST_CURRENT_TEST"}


_AROUND = _around()


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
    """Run the command to its end; `before`: what runs it.

    The first time that a test process asks for a command, its program is started. Every time after that it runs in a
    fork of a process that has loaded the program and done nothing else: what imports cost is paid once. A test that
    changes anything around the program but its settings starts it too.
    """
    command = tuple(word for word in arguments if not word.startswith("-"))[:2]
    if command in _STARTED and command[:1] != ("serve",) and not before and _around() == _AROUND:
        return forked(arguments, stdin, environment(**settings), cwd or Path.cwd())
    _STARTED.add(command)
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


def forked(arguments: Sequence[str], stdin: str, env: Mapping[str, str], cwd: Path) -> Ended:
    """Run the command in a process that is a fork of one that has loaded it."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("in", "out", "err")]
        streams[0].write_text(stdin)
        process = _LOADED.Process(target=_in_fork, args=(list(arguments), streams, dict(env), cwd))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"wagate {' '.join(arguments)} did not end: {streams[2].read_text()}")
        return Ended(process.exitcode, *(stream.read_text() for stream in streams[1:]))


def _in_fork(arguments: list[str], streams: list[Path], env: dict[str, str], cwd: Path) -> None:
    """Be what the program's script is, with these arguments."""
    for number, (stream, flags) in enumerate(zip(streams, (os.O_RDONLY, _WRITE, _WRITE), strict=True)):
        os.dup2(os.open(stream, flags, 0o600), number)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [str(PROGRAM), *arguments]
    from wagate.cli import app

    app(prog_name=PROGRAM.name)


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
