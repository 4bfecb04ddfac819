"""For users' tests and ours: a whole gateway on the sandbox, in this process, without a phone.

As a pytest plugin (installed with the package) it gives the fixture `wagate`:

    def test_my_bot_answers(wagate):
        session = wagate.linked("9990000001")
        wagate.post(f"/sandbox/messages", {"from": "9990000002", "to": "9990000001", "type": "text", "text": "hello"})
        wagate.until(lambda: wagate.get("/sandbox/messages?to=9990000002")["data"])

The gateway runs on an event loop in a thread of its own, so that tests of any style may call it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import pytest

from wagate import bootstrap
from wagate.config import Settings

T = TypeVar("T")

WAIT_SECONDS = 30.0
"""How long `until` waits at most."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer: status, headers (lower case), and the JSON body or the bytes."""

    status: int
    headers: dict[str, str]
    body: Any


class Failed(AssertionError):
    """An answer was not a success."""


class SandboxGateway:
    """A running gateway. `url` is its root, `key` the demo organization's key with all permissions."""

    def __init__(self, url: str, key: str, running: bootstrap.Running, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.key = key
        self.running = running
        self._loop = loop

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Answer:
        """One request below /api/v1, whatever its answer. `key`: another credential, empty for none."""
        place = urlsplit(self.url)
        line = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=60)
        sent = {"content-type": "application/json", "x-api-key": self.key if key is None else key, **(headers or {})}
        try:
            raw = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
            line.request(method, "/api/v1" + path, raw, {name: value for name, value in sent.items() if value})
            got = line.getresponse()
            data = got.read()
            told = {name.lower(): value for name, value in got.getheaders()}
        finally:
            line.close()
        json = told.get("content-type", "").startswith("application/json") and data
        return Answer(status=got.status, headers=told, body=msgspec.json.decode(data) if json else data)

    def get(self, path: str) -> Any:
        """The body of a successful GET."""
        return self._good("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """The body of a successful POST."""
        return self._good("POST", path, body)

    def linked(self, phone: str | None = None, **settings: Any) -> dict[str, Any]:
        """A session that works, linked to this number (or a free one); unlimited sends unless told otherwise."""
        session = self.post("/sessions", {"start": True})
        rates = {"ratePerMin": 0, "ratePerHour": 0, **settings}
        self._good("PATCH", f"/sessions/{session['id']}", rates)
        self.until(lambda: self.ask("GET", f"/sessions/{session['id']}/qr").status == 200)
        self.post(f"/sandbox/sessions/{session['id']}:scan", {"phone": phone} if phone else {})
        return self.until(lambda: self.working(session["id"]))

    def working(self, session: str) -> dict[str, Any] | None:
        """The session if it works now."""
        now: dict[str, Any] = self.get(f"/sessions/{session}")
        return now if now["status"] == "working" else None

    def until(self, condition: Callable[[], T | None], *, seconds: float = WAIT_SECONDS) -> T:
        """Wait until `condition` gives something true, and return it; fail at the deadline."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {condition}")
            time.sleep(0.01)
        return found

    def advance(self, seconds: float) -> None:
        """Turn the clock of a gateway with `clock="manual"`: what was due by then has begun when this returns."""
        self.post("/sandbox/clock", {"advanceSeconds": seconds})

    def run(self, work: Any) -> Any:
        """Run a coroutine on the gateway's own loop; its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    def _good(self, method: str, path: str, body: Any) -> Any:
        answer = self.ask(method, path, body)
        if not 200 <= answer.status < 300:
            raise Failed(f"{method} {path} → {answer.status}: {answer.body}")
        return answer.body


@contextlib.contextmanager
def gateway(data_dir: Path, **settings: Any) -> Iterator[SandboxGateway]:
    """A gateway on the sandbox in this process; `settings` are fields of `config.Settings`."""
    told = Settings(**{"data_dir": data_dir, "port": 0, "node_id": "test", **settings})
    started: threading.Event = threading.Event()
    box: dict[str, Any] = {}

    async def live() -> None:
        stop = asyncio.Event()
        try:
            async with bootstrap.running(told) as running:
                box["running"], box["loop"], box["stop"] = running, asyncio.get_running_loop(), stop
                started.set()
                await stop.wait()
        except BaseException as error:
            box["error"] = error
            raise
        finally:
            started.set()

    thread = threading.Thread(target=_run, args=(live, box), name="wagate")
    thread.start()
    started.wait(60)
    if "error" in box:
        thread.join()
        raise box["error"]
    try:
        key = told.demo_key_file.read_text().strip() if told.demo_key_file.exists() else ""
        yield SandboxGateway(box["running"].url, key, box["running"], box["loop"])
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join(30)
        if thread.is_alive():
            raise RuntimeError("the gateway did not stop")


def _run(live: Callable[[], Any], box: dict[str, Any]) -> None:
    try:
        asyncio.run(live())
    except BaseException as error:
        box["error"] = error


@pytest.fixture
def wagate(tmp_path: Path) -> Iterator[SandboxGateway]:
    """A fresh gateway on the sandbox."""
    with gateway(tmp_path / "wagate") as running:
        yield running
