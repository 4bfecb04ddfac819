"""The child program: what it writes into its log."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import structlog
from wagate.engines.whatsapp.host import log_as_the_gateway

log_as_the_gateway()

def read(message):
    raise ValueError("cannot be read")

try:
    read("what somebody said to somebody")
except ValueError:
    structlog.get_logger("test").exception("an event could not be read", event_code=17)
"""


def test_an_error_is_logged_with_its_place_and_without_what_was_said() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"], told["event_code"]) == ("an event could not be read", "error", 17)
    assert "ValueError: cannot be read" in told["exception"]
    assert "what somebody said" not in done.stderr
