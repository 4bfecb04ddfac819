"""The command with the machine's clock turned: `python shifted.py SECONDS serve …`.

The product has no such switch. What it asks for the time is moved before it is loaded.
"""

from __future__ import annotations

import sys
import time


def turn(seconds: float) -> None:
    """Move the clock of this process."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + round(seconds * 1e9)


if __name__ == "__main__":
    turn(float(sys.argv.pop(1)))
    from wagate.cli import app

    app()
