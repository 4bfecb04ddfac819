"""`wagate events tail` shows what is new, or what was, and nothing else."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.command import PROGRAM, Served, environment, wagate

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


def test_a_gateway_that_cannot_answer_is_asked_again_and_one_that_refuses_is_not() -> None:
    said = iter([503, 200, 500, 401])

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next(said)
            event = {"id": "evt_1", "event": "message", "session": "ses_1", "payload": {}}
            page = {"data": [event], "nextCursor": "evt_1"}
            body = page if status == 200 else {"error": {"code": "told", "message": f"that is {status}"}}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        ended = wagate("events", "tail", "--after", "evt_0", url=url, api_key="wa_" + "0" * 43)
    finally:
        server.shutdown()
        server.server_close()
    assert ended.out.split()[:2] == ["evt_1", "message"]
    assert [f"that is {status}" in ended.err for status in (503, 500)] == [True] * 2
    assert ended.code != 0
    assert list(said) == []
