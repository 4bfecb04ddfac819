"""`wagate events tail` shows what is new, or what was, and nothing else."""

from __future__ import annotations

import json
import subprocess
import threading

import pytest

from tests.support.command import PROGRAM, Served, environment

pytestmark = pytest.mark.slow


def shown(served: Served, *arguments: str, count: int) -> list[str]:
    """The first lines."""
    told = environment(url=served.url, api_key=served.key)
    with subprocess.Popen(
        [PROGRAM, "events", "tail", *arguments], env=told, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            return [running.stdout.readline().rstrip("\n") for _ in range(count)]
        finally:
            running.kill()


def happen(served: Served) -> None:
    """A session is linked and deleted: codes and statuses."""
    made = served.run("sessions", "create").out.strip()
    assert served.run("sessions", "link", made, "--scan").code == 0
    assert served.run("sessions", "delete", made, "--yes").code == 0


def test_all_begins_with_the_oldest_and_after_behind_an_event(served: Served) -> None:
    happen(served)
    happen(served)
    first, second = (json.loads(line) for line in shown(served, "--all", "--json", count=2))
    assert first["id"] < second["id"]
    (line,) = shown(served, "--after", first["id"], count=1)
    assert line.split()[:2] == [second["id"], second["event"]]


def test_otherwise_it_begins_with_what_is_new(served: Served) -> None:
    happen(served)
    (old,) = shown(served, "--all", count=1)
    stop = threading.Event()

    def go_on() -> None:
        # From outside it cannot be seen when it has begun to wait.
        while not stop.is_set():
            happen(served)

    going = threading.Thread(target=go_on)
    going.start()
    try:
        (new,) = shown(served, count=1)
    finally:
        stop.set()
        going.join(30)
    assert new.split()[0] > old.split()[0]


def test_a_cursor_that_is_none_is_told(served: Served) -> None:
    ended = served.run("events", "tail", "--after", "evt_x")
    assert (ended.code, ended.out) == (1, "")
    assert "event id" in ended.err
