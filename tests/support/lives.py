"""A data directory, and the processes that serve it one after the other: killed, stopped, started again."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from tests.support.command import PROGRAM, environment
from wagate.testing import Answer, SandboxGateway

GONE = (OSError, http.client.HTTPException)
"""What a client sees of a gateway that dies, or is not there."""

_SHIFTED = Path(__file__).with_name("shifted.py")
_START_SECONDS = 120.0


class Life(SandboxGateway):
    """`wagate serve` in a process of its own. As a client it calls the process that lives now, with the demo key."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        super().__init__("", "", cast(Any, None), cast(Any, None))
        self.data_dir = data_dir
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.logs: list[Path] = []

    def start(self, *, turned: float = 0) -> None:
        """Serve; returns when it listens. `turned`: seconds by which this process's clock is ahead (or behind)."""
        self.launch(turned=turned)
        self.url = self.until(self._address, seconds=_START_SECONDS)
        file = self.data_dir / "demo.key"
        self.key = self.key or file.read_text().strip()

    def launch(self, *, turned: float = 0) -> None:
        """As `start`, without waiting for anything."""
        log = self.data_dir.with_name(f"{self.data_dir.name}.{len(self.logs)}.log")
        self.logs.append(log)
        command = [sys.executable, str(_SHIFTED), str(turned)] if turned else [str(PROGRAM)]
        told = environment(**{"data_dir": str(self.data_dir), "port": "0", **self.settings})
        with log.open("wb") as out:
            self.process = subprocess.Popen([*command, "serve", "--json"], stdout=out, stderr=out, env=told)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        self.running_process.wait(10)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to end: its exit code, and the seconds that it took."""
        started = time.monotonic()
        self._signal(number)
        return self.running_process.wait(20), time.monotonic() - started

    @property
    def running_process(self) -> subprocess.Popen[bytes]:
        """The process of this life."""
        assert self.process is not None
        return self.process

    def log(self) -> str:
        """What the present process has logged."""
        return self.logs[-1].read_text(errors="replace")

    def try_to(self, method: str, path: str, body: Any = None, **headers: str) -> Answer | None:
        """As `ask`; None when nobody answers. `idempotency_key="x"` is the header `idempotency-key`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return self.ask(method, path, body, headers=given)
        except GONE:
            return None

    def status_of(self, path: str) -> int:
        """The status of a GET outside /api/v1."""
        place = urlsplit(self.url)
        line = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
        try:
            line.request("GET", path)
            return line.getresponse().status
        finally:
            line.close()

    def everything(self, path: str) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        mark = "&" if "?" in path else "?"
        cursor = ""
        while True:
            page = self.get(f"{path}{mark}limit=200" + (f"&cursor={cursor}" if cursor else ""))
            found += page["data"]
            if not (cursor := page["nextCursor"]):
                return found

    def log_of_events(self) -> list[Any]:
        """The organization's whole event log."""
        return whole_log(self)

    def _signal(self, number: int) -> None:
        os.kill(self.running_process.pid, number)

    def _address(self) -> str | None:
        text = self.log()
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and said.get("event") == "serving":
                    return str(said["url"])
        if self.running_process.poll() is not None:
            raise AssertionError(f"it did not start: {text[-2000:]}")
        return None


def whole_log(gateway: SandboxGateway, *, key: str | None = None) -> list[Any]:
    """An organization's events, oldest first."""
    found: list[Any] = []
    after = ""
    while True:
        answer = gateway.ask("GET", "/events?limit=200" + (f"&after={after}" if after else ""), key=key)
        assert answer.status == 200, answer.body
        found += answer.body["data"]
        if not answer.body["data"]:
            return found
        after = answer.body["nextCursor"]


@contextlib.contextmanager
def life(data_dir: Path, **settings: str) -> Iterator[Life]:
    """A first life on an empty data directory; whatever lives at the end is killed."""
    one = Life(data_dir, **{"default_rate_per_min": "0", "default_rate_per_hour": "0", **settings})
    try:
        one.start()
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.kill()
