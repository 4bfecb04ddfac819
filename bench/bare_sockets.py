"""The least that a WebSocket server in Python can be: `websockets` with uvloop, no compression, nothing stored.

`/N` is a reader of group N. `/N/cause`: whatever is said there, the group is sent the constant bytes of its number.
`/log/ID`: the rows of a log behind that id, a thousand at a time out of the gateway's own database, each as a message.

    python -m bench.bare_sockets PORT FOLDER
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

_READ = (
    "SELECT id, session_id, event, timestamp, payload FROM events WHERE organization_id = ? AND id > ?"
    " ORDER BY id LIMIT 1000"
)
_ENVELOPE = '{"schema":"v1","id":"%s","event":"%s","session":"%s","organization":"%s","timestamp":%d,"payload":%s}'


class Groups:
    """Who reads what. `texts`: what each group is sent."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._readers: list[set[ServerConnection]] = [set() for _ in texts]

    async def serve(self, line: ServerConnection) -> None:
        """One connection."""
        request = line.request
        assert request is not None
        number, _, cause = request.path.strip("/").partition("/")
        if cause:
            async for _ in line:
                broadcast(self._readers[int(number)], self._texts[int(number)])
            return
        self._readers[int(number)].add(line)
        await line.wait_closed()
        self._readers[int(number)].discard(line)


async def replay(line: ServerConnection, db: sqlite3.Connection, organization_id: str, after: str) -> None:
    """The rows of a log, as messages."""
    while rows := db.execute(_READ, (organization_id, after)).fetchall():
        for id, session_id, name, timestamp, payload in rows:
            await line.send(_ENVELOPE % (id, name, session_id, organization_id, timestamp, payload))
        after = rows[-1][0]


async def main(port: int, folder: Path) -> None:
    """Serve until the process is ended. `sockets.json` in the folder says what there is to be sent."""
    told = json.loads((folder / "sockets.json").read_text())
    groups = Groups(told["texts"])
    db = sqlite3.connect(f"file:{told['database']}?mode=ro", uri=True) if told["database"] else None

    async def one(line: ServerConnection) -> None:
        assert line.request is not None
        if db is not None and line.request.path.startswith("/log/"):
            await replay(line, db, told["organization"], line.request.path.removeprefix("/log/"))
        else:
            await groups.serve(line)

    async with serve(one, "127.0.0.1", port, compression=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2])))
