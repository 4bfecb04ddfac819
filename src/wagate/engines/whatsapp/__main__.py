"""Starts a host: `python -m wagate.engines.whatsapp --socket FD`; what it does stands in host.py."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # The log's library loads it for colours, if it is there: 4 MB, and a quarter of what a host's start takes. A host
    # writes JSON.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from wagate.engines.whatsapp.host import run

    run()
