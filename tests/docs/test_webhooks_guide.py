"""The guide to webhooks: its receiver runs as it stands, and takes what is signed and nothing else."""

from __future__ import annotations

import http.client
import re
import threading
import time
from http.server import HTTPServer
from typing import Any

import pytest

from tests.support.source import ROOT
from wagate.model.signatures import headers_of

GUIDE = (ROOT / "docs/guides/webhooks.md").read_text()


@pytest.fixture
def place() -> Any:
    (program,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {"__name__": "guide"}
    exec(program, found)
    found["Receiver"].log_message = lambda *_: None
    server = HTTPServer(("127.0.0.1", 0), found["Receiver"])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, found["SECRET"]
    server.shutdown()
    thread.join()
    server.server_close()


def posted(port: int, body: bytes, headers: dict[str, str]) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request("POST", "/hook", body, headers)
        return line.getresponse().status
    finally:
        line.close()


def test_the_guides_receiver_checks_what_comes(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    port, secret = place
    body = b'{"id":"evt_1","event":"message","payload":{}}'
    now = int(time.time() * 1000)
    assert posted(port, body, headers_of("evt_1", body, now, ["another"])) == 401
    assert posted(port, body, headers_of("evt_1", body, now - 600_000, [secret])) == 401
    assert posted(port, body + b" ", headers_of("evt_1", body, now, [secret])) == 401
    assert posted(port, body, headers_of("evt_1", body, now, ["new", secret])) == 204
    assert capsys.readouterr().out == "evt_1 message {}\n"
