"""The reference of the real engine: one process with the library and all the sessions, and nothing else.

    python -m bench.bare_sessions FOLDER PROXY

It says READY when it has loaded the library, and ONLINE with the seconds that the sessions below FOLDER took to be so.
It keeps nothing, tells nobody, and a crash would take all of them; it ends with its input.
"""

from __future__ import annotations

import queue
import sys
import time
from pathlib import Path

from wagate.engines.whatsapp.library import Heard, Library
from wagate.engines.whatsapp.stored import FILE

_CONNECTED = 3


class _Session(Heard):
    """Counts itself when it is connected."""

    def __init__(self, name: str, online: queue.SimpleQueue[str]) -> None:
        self.name = name
        self.online = online

    def event(self, code: int, body: bytes) -> None:
        if code == _CONNECTED:
            self.online.put(self.name)

    def qr(self, code: str) -> None:
        self.over("it has no keys")

    def status(self, word: str) -> None:
        pass

    def log(self, level: str, text: str) -> None:
        pass

    def over(self, error: str) -> None:
        if error:
            sys.stderr.write(f"{self.name}: {error}\n")


def main(folder: Path, proxy: str) -> None:
    """Bring them online, one after the other as the library's maps demand."""
    library = Library()
    print("READY", flush=True)
    began, online = time.perf_counter(), queue.SimpleQueue[str]()
    stores = sorted(folder.glob(f"*/{FILE}"))
    for store in stores:
        name = store.parent.name
        library.begin(name, store=str(store), heard=_Session(name, online), proxy=proxy)
    waiting = {store.parent.name for store in stores}
    while waiting:
        waiting.discard(online.get(timeout=60))
    print(f"ONLINE {time.perf_counter() - began}", flush=True)
    sys.stdin.read()
    for store in stores:
        library.end(store.parent.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
