"""`wagate` with a profile of its event loop's thread: SIGUSR1 begins it, SIGUSR2 ends it and writes the file.

    python -m bench.profiled FILE serve --data-dir DIR

What other threads do (the database's writer) does not appear; their CPU does, beside it, in the process's times.
"""

from __future__ import annotations

import cProfile
import signal
import sys
from types import FrameType

from wagate.cli import app


def main(file: str) -> None:
    """Run the command line that remains."""
    profile = cProfile.Profile()

    def end(number: int, frame: FrameType | None) -> None:
        profile.disable()
        profile.dump_stats(file)

    signal.signal(signal.SIGUSR1, lambda number, frame: profile.enable())
    signal.signal(signal.SIGUSR2, end)
    app()


if __name__ == "__main__":
    path = sys.argv.pop(1)
    main(path)
