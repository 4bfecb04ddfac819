"""The least that a web application in Python can be, on the same server and event loop: what ratios are taken against.

GET /0, /1, … answer constant bytes. POST /insert inserts its body into SQLite, durably, and answers the row's number:
the least that any gateway does which promises not to lose what it acknowledged.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def application(folder: Path) -> Starlette:
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS sends (id INTEGER PRIMARY KEY, body BLOB)")
    bodies = [body.encode() for body in json.loads((folder / "bodies.json").read_text())]

    async def insert(request: Request) -> Response:
        row = db.execute("INSERT INTO sends (body) VALUES (?)", (await request.body(),)).lastrowid
        return Response(b'{"id":%d}' % (row or 0), media_type="application/json")

    def constant(path: str, body: bytes) -> Route:
        async def answer(request: Request) -> Response:
            return Response(body, media_type="application/json")

        return Route(path, answer)

    constants = [constant(f"/{number}", body) for number, body in enumerate(bodies)]
    return Starlette(routes=[Route("/insert", insert, methods=["POST"]), *constants, constant("/healthz", b"{}")])


if __name__ == "__main__":
    uvicorn.run(
        application(Path(sys.argv[2])),
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
