"""What is measured, on a core of its own: `wagate serve` on a data directory, and the bare application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from bench.machine import SERVER_CORE, cpu_seconds, stay_on
from bench.wire import Caller, Gone, connect

PROGRAM = Path(sys.executable).with_name("wagate")
WAIT_SECONDS = 60.0
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


class Process:
    """A server on its core, or on those that are named. `port` is chosen before it starts, so that its first answer can
    be timed; it stands for the word PORT in the command.
    """

    def __init__(
        self, command: list[str], log: Path, *, cores: Collection[int] = (SERVER_CORE,), **variables: str
    ) -> None:
        self.port = free_port()
        self._log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WAGATE_")}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(self.port) if part == "PORT" else part for part in command],
                stdout=out,
                stderr=out,
                env={**kept, **variables},
                preexec_fn=lambda: stay_on(*cores),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> float:
        """Seconds of CPU used so far."""
        return cpu_seconds(self.pid)

    async def healthy(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with contextlib.suppress(OSError, Gone):
                line = await connect(self.port)
                await line.ask(HEALTH)
                line.close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.002)

    async def listening(self) -> None:
        """Wait until it takes connections."""

        async def taken() -> bool:
            with contextlib.suppress(OSError):
                (await connect(self.port)).close()
                return True
            return False

        await until(taken)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Gateway(Process):
    """`wagate serve` on a data directory, budgets 0. `profile`: a file for the profile of its event loop. `variables`:
    settings besides.
    """

    def __init__(
        self, folder: Path, *, profile: Path | None = None, cores: Collection[int] = (SERVER_CORE,), **variables: str
    ) -> None:
        self.folder = folder
        program = [sys.executable, "-m", "bench.profiled", str(profile)] if profile else [str(PROGRAM)]
        super().__init__(
            [*program, "serve", "--json", "--port", "PORT", "--data-dir", str(folder)],
            folder.with_suffix(".log"),
            WAGATE_DEFAULT_RATE_PER_MIN="0",
            WAGATE_DEFAULT_RATE_PER_HOUR="0",
            cores=cores,
            **variables,
        )

    @property
    def caller(self) -> Caller:
        """Who calls with the demo key."""
        return Caller(self.port, (self.folder / "demo.key").read_text().strip())


@contextlib.asynccontextmanager
async def gateway(folder: Path, *, profile: Path | None = None, **variables: str) -> AsyncIterator[Gateway]:
    """A gateway that answers, for as long as the context lasts."""
    server = Gateway(folder, profile=profile, **variables)
    try:
        await server.healthy()
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def bare(folder: Path, bodies: list[bytes]) -> AsyncIterator[Process]:
    """The bare application: GET /0, /1, … answer these bodies, POST /insert is one durable insert."""
    (folder / "bodies.json").write_text(json.dumps([body.decode() for body in bodies]))
    server = Process([sys.executable, "-m", "bench.bare", "PORT", str(folder)], folder / "bare.log")
    try:
        await server.healthy()
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def bare_sockets(folder: Path, **told: Any) -> AsyncIterator[Process]:
    """The bare WebSocket server; `told`: what it has to send, see there."""
    (folder / "sockets.json").write_text(json.dumps({"texts": [], "database": "", "organization": ""} | told))
    server = Process([sys.executable, "-m", "bench.bare_sockets", "PORT", str(folder)], folder / "bare.log")
    try:
        await server.listening()
        yield server
    finally:
        server.stop()


async def linked(caller: Caller, count: int, *, at_once: int = 16) -> list[str]:
    """Ids of this many new sessions, linked to phones of their own and working."""
    waiting = iter(range(count))
    made: list[str] = []

    async def link() -> None:
        for _ in waiting:
            id = (await caller.must("POST", "/sessions", {"start": True}))["id"]
            await until(partial(_answers, caller, f"/sessions/{id}/qr"))
            await caller.must("POST", f"/sandbox/sessions/{id}:scan", {})
            made.append(id)

    await asyncio.gather(*(link() for _ in range(at_once)))
    await until(lambda: working(caller, count))
    return sorted(made)


async def working(caller: Caller, count: int) -> bool:
    """Whether this many sessions work. The organization has no others."""
    rows = await caller.everything("/sessions")
    return [row["status"] for row in rows].count("working") == count


async def until(
    condition: Callable[[], Awaitable[bool]], *, seconds: float = WAIT_SECONDS, every: float = 0.01
) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not come about")
        await asyncio.sleep(every)


async def _answers(caller: Caller, path: str) -> bool:
    return (await caller.ask("GET", path))[0] == 200
