"""A gateway as an operator runs it, on the real library: linked over HTTP, killed, started again, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.library import why_not
from tests.support.lives import Life
from tests.support.whatsapp import alive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

EMULATOR = Path(__file__).parents[1] / "emulator"
ANN, BEN = "99900000001", "99900000002"
LONG = 90.0


class Network:
    """The emulator in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(EMULATOR)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        told = self._line()
        self.proxy: str = told["proxy"]
        self.environment: dict[str, str] = told["environment"]

    def do(self, verb: str, *args: Any, person: str = ANN) -> Any:
        """A verb of the emulator's."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"person": person, "do": verb, "args": args}) + "\n")
        self.process.stdin.flush()
        answer = self._line()
        assert "error" not in answer, answer
        return answer["result"]

    def _line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


class Town(Life):
    """A gateway whose hosts find the emulator and nothing else."""

    def __init__(self, data_dir: Path, network: Network, **settings: str) -> None:
        super().__init__(data_dir, whatsapp="on", allowed_networks="127.0.0.1/32", log_level="debug", **settings)
        self.network = network

    def link(self, number: str) -> str:
        """A linked session that works, by HTTP and the phone alone."""
        made = self.post("/sessions", {"engine": "whatsapp", "proxyUrl": self.network.proxy, "start": True})
        assert made["hasProxy"] is True
        assert "proxyUrl" not in made
        where = f"/sessions/{made['id']}"
        self.until(lambda: self.ask("GET", f"{where}/qr").status == 200, seconds=LONG)
        self.network.do("scan", self.get(f"{where}/qr")["code"], person=number)
        self.until(lambda: self.working(made["id"]), seconds=LONG)
        return str(made["id"])

    def send(self, session: str, to: str, text: str, *, how: str = "") -> Any:
        """The answer to a send of a text."""
        return self.ask("POST", f"/sessions/{session}/messages{how}", {"type": "text", "to": to, "text": text})

    def heard(self, session: str) -> list[str]:
        """The texts that were told of as arrived, in order."""
        told = [event for event in self.log_of_events() if event["event"] == "message"]
        return [event["payload"]["body"] for event in told if event["session"] == session]

    def hosts(self) -> list[int]:
        """Its host processes."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = place.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == self.running_process.pid:
                found.append(int(place.name))
        return found


@contextmanager
def settled_town(folder: Path, **settings: str) -> Iterator[Town]:
    """A town without inhabitants, in a folder; it ends with the context."""
    network = Network()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in network.environment.items():
            path = [value, os.environ.get("PYTHONPATH", "")] if name == "PYTHONPATH" else [value]
            patch.setenv(name, os.pathsep.join(filter(None, path)))
        made = Town(folder / "data", network, default_rate_per_min="0", default_rate_per_hour="0", **settings)
        try:
            network.do("few_keys")
            made.start()
            yield made
            assert network.do("state")["unknown"] == []
        finally:
            if made.process is not None and made.process.poll() is None:
                made.kill()
            network.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with settled_town(tmp_path) as made:
        yield made


def test_two_linked_sessions_talk_and_a_killed_gateway_loses_nothing(town: Town) -> None:
    ann, ben = town.link(ANN), town.link(BEN)
    answer = town.send(ann, BEN, "hello")
    assert answer.status == 200, answer.body
    town.until(lambda: town.heard(ben) == ["hello"], seconds=LONG)
    hosts = town.hosts()
    assert hosts
    own = Path(f"/proc/{town.running_process.pid}/maps").read_text()
    assert "neonize" not in own, "the gateway's own process never loads the library"
    keys = [*(town.data_dir / "whatsapp").rglob("*")]
    assert all(file.stat().st_mode & 0o077 == 0 for file in keys)
    # Longer than the hosts may take to end: none waits for an acknowledgement.
    town.network.do("delay", 300)
    with ThreadPoolExecutor(1) as pool:
        queued = [town.send(ann, BEN, f"{number}", how="?async=true").body["outboxId"] for number in range(3)]
        pool.submit(town.try_to, "POST", f"/sessions/{ben}/messages", {"type": "text", "to": ANN, "text": "cut off"})
        town.until(lambda: "0" in town.heard(ben) and "cut off" in town.heard(ann), seconds=LONG)
        town.kill()
    deadline = time.monotonic() + LONG
    while any(map(alive, hosts)):
        assert time.monotonic() < deadline, "the hosts outlive their gateway"
        time.sleep(0.05)
    town.network.do("delay", 0)
    town.start()
    for session in (ann, ben):
        town.until(lambda id=session: town.working(id), seconds=LONG)
    ends = town.until(lambda: settled(town, ann, queued), seconds=LONG)
    assert ends[0] == "uncertain", "it went out, and nobody heard that it arrived: it is not sent again by itself"
    answer = town.send(ann, BEN, "after")
    assert answer.status == 200, answer.body
    sent = {f"{number}" for number, end in enumerate(ends) if end == "sent"}
    town.until(lambda: {"hello", "0", "after"} | sent <= set(town.heard(ben)), seconds=LONG)
    assert len(set(town.heard(ben))) == len(town.heard(ben)), "each once"
    assert town.heard(ann) == ["cut off"]


def settled(town: Town, session: str, ids: list[str]) -> list[str] | None:
    """How these sends ended, once all have."""
    found = {each["outboxId"]: each["status"] for each in town.everything(f"/sessions/{session}/outbox")}
    ends = [found[id] for id in ids]
    return ends if set(ends) <= {"sent", "failed", "uncertain"} else None


def test_keys_go_with_their_session_also_where_the_network_is_off(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "whatsapp"
    program = """
import asyncio, sys
from pathlib import Path
from wagate import bootstrap
from wagate.config import Settings
from wagate.engines.base import Account

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), port=0)
    async with bootstrap.running(settings) as gateway:
        await gateway.engines["whatsapp"].forget(Account(session_id="ses_1", organization_id="org_1"))

asyncio.run(main())
"""
    (folder / "ses_1").mkdir(parents=True)
    (folder / "ses_1" / "keys.db").write_text("keys")
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "data")], timeout=LONG, check=True)
    assert list(folder.iterdir()) == []


def test_a_gateway_that_serves_has_none_of_the_library_in_it(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from wagate import bootstrap
from wagate.config import Settings

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), port=0, whatsapp=True)
    async with bootstrap.running(settings):
        found = [name for name in sys.modules if name.partition(".")[0] in ("neonize", "google", "magic", "PIL")]
        print(found)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_gateway_without_the_library_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An empty distribution of another version stands before the installed one.
    fake = tmp_path / "path" / "neonize-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: neonize\nVersion: 0.0.1\n")
    path = [str(fake.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    one = Life(tmp_path / "data", whatsapp="on")
    one.launch()
    assert one.running_process.wait(LONG) != 0
    assert "pip install 'wagate[whatsapp]'" in one.log()
