"""Readers and the server are killed while events are made: who resumes has exactly the log, each event once."""

from __future__ import annotations

import json
import random
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.support.lives import GONE, Life, life
from tests.support.readers import Stream, cut

SECONDS = 8
KILLS = 3
READERS = 3


class Resuming(threading.Thread, ABC):
    """Reads live until it is told to stop and has everything; goes away and comes back as it likes."""

    def __init__(self, gateway: Life, *, seed: int) -> None:
        super().__init__(daemon=True)
        self.gateway = gateway
        self.chance = random.Random(seed)
        self.found: list[Any] = []
        self.resumed = 0
        self.until: str | None = None

    @property
    def complete(self) -> bool:
        return self.until is not None and bool(self.found) and self.found[-1]["id"] >= self.until

    def run(self) -> None:
        while not self.complete:
            try:
                self.read(self.chance.randint(1, 150))
            except (*GONE, WebSocketException, TimeoutError, AssertionError, json.JSONDecodeError):
                # Nobody there, or cut off in the middle: the same in the next life.
                time.sleep(0.02)
            self.resumed += 1

    @abstractmethod
    def read(self, most: int) -> None:
        """Read at most so many events; may end in any way."""


class BySocket(Resuming):
    def read(self, most: int) -> None:
        wish = {"since": self.found[-1]["id"]} if self.found else {}
        answer = self.gateway.try_to("POST", "/realtime/ticket", wish)
        assert answer is not None
        assert answer.status == 200
        with connect(answer.body["url"], open_timeout=5) as line:
            while most and not self.complete:
                frame = json.loads(line.recv(1))
                if "id" in frame:
                    self.found.append(frame)
                    most -= 1
            cut(line)


class ByStream(Resuming):
    def read(self, most: int) -> None:
        with Stream(self.gateway, self.gateway.key, since=self.found[-1]["id"]) as stream:
            while most and not self.complete:
                self.found += stream.events(1)
                most -= 1


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_who_resumes_has_exactly_the_log(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway:
        session = gateway.linked("9990000001")["id"]
        first = gateway.log_of_events()[0]
        readers = [kind(gateway, seed=n) for kind in (BySocket, ByStream) for n in range(READERS)]
        for each in readers:
            each.found = [first]
            each.start()
        stop = threading.Event()

        def talk() -> None:
            number = 0
            while not stop.wait(0.01):
                body = {"type": "text", "to": "9990000002", "text": str(number)}
                gateway.try_to("POST", f"/sessions/{session}/messages?async=true", body)
                number += 1

        talking = threading.Thread(target=talk, daemon=True)
        talking.start()
        for _ in range(KILLS):
            time.sleep(random.uniform(0.5, 1) * SECONDS / KILLS)
            gateway.kill()
            gateway.start()
        stop.set()
        talking.join(70)
        gateway.until(lambda: gateway.working(session))
        # Quiet when a second brings nothing new.
        whole = gateway.log_of_events()
        while len(later := (time.sleep(1), gateway.log_of_events())[1]) > len(whole):
            whole = later
        for each in readers:
            each.until = whole[-1]["id"]
        for each in readers:
            each.join(30)
        whole = gateway.log_of_events()
        for each in readers:
            assert each.resumed > KILLS
            assert each.found == whole[: len(each.found)]
            assert len(each.found) >= len(later)
