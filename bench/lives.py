"""A gateway that dies and comes back: one data directory, one process after the other, each on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from bench.machine import resident
from bench.servers import PROGRAM, WAIT_SECONDS

GONE = (aiohttp.ClientError, OSError, TimeoutError)
"""What a client sees of a gateway that dies, or is not there."""


class Life:
    """`wagate serve` for as long as it lives; clients find it at `url`, which changes with every start.

    `environment`: variables that it is given besides its settings.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, **settings: str) -> None:
        self._folder = folder
        self._environment = environment or {}
        self._settings = {f"WAGATE_{name.upper()}": value for name, value in settings.items()}
        self._logs: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.http: aiohttp.ClientSession
        self.url = ""
        self.key = ""
        self.up = asyncio.Event()

    async def start(self) -> float:
        """Serve again; the moment (of `time.monotonic`) at which it was healthy."""
        log = self._folder.with_name(f"{self._folder.name}.{len(self._logs)}.log")
        self._logs.append(log)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WAGATE_")}
        command = [str(PROGRAM), "serve", "--json", "--port", "0", "--data-dir", str(self._folder)]
        with log.open("wb") as out:
            given = {**kept, **self._environment, **self._settings}
            # Starting it takes a millisecond.
            self._process = subprocess.Popen(command, stdout=out, stderr=out, env=given)  # noqa: ASYNC220
        self.url = await self._until(self._address)
        await self._until(self._healthy)
        healthy = time.monotonic()
        self.key = self.key or (self._folder / "demo.key").read_text().strip()
        self.up.set()
        return healthy

    async def end(self, number: signal.Signals) -> None:
        """End it, as a power cut (SIGKILL) or as an operator (SIGTERM)."""
        self.up.clear()
        self.process.send_signal(number)
        await asyncio.to_thread(self.process.wait, WAIT_SECONDS)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of this life."""
        assert self._process is not None
        return self._process

    def taken(self) -> tuple[float, int]:
        """What the process has now: mebibytes in memory, and descriptors."""
        return resident(self.process.pid), len(os.listdir(f"/proc/{self.process.pid}/fd"))

    async def ask(self, method: str, path: str, body: Any = None, *, seconds: float = 30) -> tuple[int, bytes]:
        """Status and body of an answer.

        Raises:
            GONE: nobody answered.
        """
        async with self.http.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body,
            headers={"x-api-key": self.key},
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as answer:
            return answer.status, await answer.read()

    async def must(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a request that succeeds."""
        status, found = await self.ask(method, path, body)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path} → {status}: {found[:500]!r}")
        return json.loads(found) if found else None

    async def linked(self, phone: str) -> str:
        """The id of a new session that works with this number."""
        id: str = (await self.must("POST", "/sessions", {"start": True}))["id"]

        async def ready() -> bool:
            return (await self.ask("GET", f"/sessions/{id}/qr"))[0] == 200

        async def working() -> bool:
            return (await self.must("GET", f"/sessions/{id}"))["status"] == "working"  # type: ignore[no-any-return]

        await self._until(ready)
        await self.must("POST", f"/sandbox/sessions/{id}:scan", {"phone": phone})
        await self._until(working)
        return id

    async def _address(self) -> str | None:
        text = self._logs[-1].read_text(errors="replace")
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and said.get("event") == "serving":
                    return str(said["url"])
        if self.process.poll() is not None:
            raise RuntimeError(f"it did not start: {text[-2000:]}")
        return None

    async def _healthy(self) -> bool:
        with contextlib.suppress(*GONE):
            async with self.http.get(f"{self.url}/healthz", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                return answer.status == 200
        return False

    async def _until(self, condition: Any) -> Any:
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := await condition()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {WAIT_SECONDS:g} s: {condition.__name__}")
            await asyncio.sleep(0.005)
        return found


@contextlib.asynccontextmanager
async def life(folder: Path, environment: Mapping[str, str] | None = None, **settings: str) -> AsyncIterator[Life]:
    """A first life on an empty data directory, budgets 0; whatever lives at the end is ended."""
    one = Life(folder, environment, default_rate_per_min="0", default_rate_per_hour="0", **settings)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as one.http:
        try:
            await one.start()
            yield one
        finally:
            if one._process is not None and one.process.poll() is None:
                await one.end(signal.SIGKILL)
