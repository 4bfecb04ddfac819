"""Lists of what is stored: 50 of a million must cost what 50 of a thousand do, in CPU of the server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.counting import Count, exactly_once
from bench.load import Load, closed
from bench.machine import loop_milliseconds
from bench.reads import answer, answers_as_stored
from bench.report import Figure, Workload
from bench.sends import shares
from bench.servers import Gateway, gateway, linked, until
from bench.wire import connect

FEW, MANY = 1_000, 1_000_000
OTHERS = {FEW: 1_000, MANY: 100_000}
"""How many chats with a message, each of a contact, there are beside the chat with all those messages."""

DEEP = {FEW: 400, MANY: 100_000}
"""How far into a list its deep page is, or half of the list."""

PAGE, LONGEST_PAGE = 50, 200
CALLERS = 4
SLICE_SECONDS = 0.35
"""Little, much, much, little: so that a machine that changes its speed meanwhile does so for both."""
CHAT = "99900000001@s.whatsapp.net"

_ID = re.compile(rb'"waMessageId":"([^"]*)"')
_INSERT = "INSERT INTO {table} ({columns}) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
_DIGITS = "substr('0000000' || n.i, -7)"


@dataclass(frozen=True, kw_only=True)
class _Store:
    """A gateway on so many messages; the session that has them, the lists to ask for, and the answers."""

    server: Gateway
    requests: dict[str, bytes]
    lines: dict[str, bytes]
    walked: Count


async def run(folder: Path, rounds: int) -> Workload:
    """CPU of each list out of much, against the same list out of little, on two servers in the same rounds."""
    loops = list[float]()
    async with _store(folder / "few", FEW) as few, _store(folder / "many", MANY) as many:
        loads: dict[_Which, list[Load]] = {}
        for _ in range(rounds):
            loops.append(loop_milliseconds())
            for name in many.requests:
                for store in (few, many, many, few):
                    requests = _same(store.requests[name])
                    load = await closed(store.server, requests, callers=CALLERS, seconds=SLICE_SECONDS)
                    loads.setdefault((store is many, name), []).append(load)
        return Workload(
            name="Lists of much",
            reference=f"the same list on a server that stores {FEW:,} messages in the chat and {OTHERS[FEW]:,} other"
            " chats and contacts",
            figures=[
                Figure(
                    name=f"{name} ({len(many.lines[name]):,} bytes)",
                    unit="ms of server CPU",
                    rounds=_milliseconds(loads[True, name]),
                    reference=_milliseconds(loads[False, name]),
                    target_ratio=1.2,
                    lower_is_better=True,
                    **shares(loads[True, name]),
                )
                for name in many.requests
            ],
            counts={
                f"messages of the {DEEP[FEW]:,} newest, walked through by cursor": few.walked,
                f"messages of the {DEEP[MANY]:,} newest, walked through by cursor": many.walked,
                "lists of little, byte for byte the first answer": _all_alike(few, False, loads),
                "lists of much, byte for byte the first answer": _all_alike(many, True, loads),
            },
            loops=loops,
            remarks=[
                f"Much: {MANY:,} messages in one chat, {OTHERS[MANY]:,} other chats and as many contacts; a deep page"
                f" begins {DEEP[MANY]:,} rows behind the first or in the middle, of little {DEEP[FEW]:,}. Lists are of"
                f" {PAGE}."
            ],
        )


_Which = tuple[bool, str]


def _milliseconds(loads: list[Load]) -> list[float]:
    """CPU of each answer, by round: two slices make one."""
    pairs = zip(loads[::2], loads[1::2], strict=True)
    return [
        1e3 * (one.server_seconds + other.server_seconds) / (len(one.latencies) + len(other.latencies))
        for one, other in pairs
    ]


def _all_alike(store: _Store, much: bool, loads: dict[_Which, list[Load]]) -> Count:
    return answers_as_stored({name: loads[much, name] for name in store.requests}, store.lines)


@contextlib.asynccontextmanager
async def _store(place: Path, messages: int) -> AsyncIterator[_Store]:
    """A gateway on a new data directory with so many messages; the directory goes with it."""
    try:
        async with gateway(place) as server:
            session = await _said_once(server)
        await asyncio.to_thread(fill, place / "wagate.db", messages)
        async with gateway(place) as server:
            yield await _looked_at(server, session, messages)
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


async def _said_once(server: Gateway) -> str:
    """A session that has said one message, as the gateway writes it down: the pattern for all others."""
    [session] = await linked(server.caller, 1)
    body = {"type": "text", "to": CHAT, "text": "a message of a chat that somebody reads"}
    await server.caller.must("POST", f"/sessions/{session}/messages", body)

    async def read() -> bool:
        [row] = await server.caller.everything(f"/sessions/{session}/chats/{CHAT}/messages")
        return bool(row["status"] == "read")

    await until(read)
    return session


def fill(place: Path, messages: int) -> None:
    """Make the one stored message this many, and its chat and contact as many as `OTHERS` says beside them.

    The indexes are made anew afterwards: that is faster.
    """
    others = OTHERS[messages]
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as db:
        # If this is cut short, the whole is thrown away: no journal is needed.
        for pragma in ("journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF"):
            db.execute(f"PRAGMA {pragma}")
        indexes = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('messages', 'chats', 'contacts')"
        ).fetchall()
        db.execute("BEGIN")
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        at = {name: f"t.{name} - {messages} * 1000 + n.i * 1000" for name in ("timestamp", "created_at")}
        said = {
            "id": "'msg_' || lower(hex(randomblob(13)))",
            "wire_id": "'3EB0' || hex(randomblob(9))",
            "position": None,
        }
        _multiply(db, "messages", messages - 1, {**said, **at})
        jid = f"'9990001' || {_DIGITS} || '@s.whatsapp.net'"
        _multiply(db, "messages", others, {**said, "chat_jid": jid})
        _multiply(db, "chats", others, {"id": None, "jid": jid, "last_message_at": "t.last_message_at - n.i"})
        names = {"lid": f"'8880001' || {_DIGITS} || '@lid'", "search": f"'somebody 9990001' || {_DIGITS}"}
        _multiply(db, "contacts", others, {"id": None, "jid": jid, "push_name": "'Somebody'", **names})
        for _, sql in indexes:
            db.execute(sql)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")


def _multiply(db: sqlite3.Connection, table: str, count: int, changed: dict[str, str | None]) -> None:
    """Insert the table's first row so many times again, changed; None leaves a column to the database."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if changed.get(row[1], "") is not None]
    values = ", ".join(str(changed.get(column, f"t.{column}")) for column in columns)
    insert = _INSERT.format(table=table, columns=", ".join(columns))
    first = f"(SELECT * FROM {table} WHERE rowid = (SELECT MIN(rowid) FROM {table})) AS t"
    db.execute(f"{insert} SELECT {values} FROM {first}, n", (count,))


async def _looked_at(server: Gateway, session: str, messages: int) -> _Store:
    """The requests and what is answered to each; the newest messages, walked through and counted."""
    lists = {
        "messages of a chat": f"/sessions/{session}/chats/{CHAT}/messages",
        "chats": f"/sessions/{session}/chats",
        "contacts": f"/sessions/{session}/contacts",
    }
    requests, walked = dict[str, bytes](), list[str]()
    for name, path in lists.items():
        deep = DEEP[messages] if name == "messages of a chat" else min(DEEP[messages], OTHERS[messages] // 2)
        cursor, seen = await _walk(server, path, deep)
        requests[f"{name}, the first page"] = server.caller.request("GET", f"{path}?limit={PAGE}")
        requests[f"{name}, a deep page"] = server.caller.request("GET", f"{path}?limit={PAGE}&cursor={cursor}")
        walked += seen
    lines = {name: await answer(server.port, request) for name, request in requests.items()}
    short = [name for name, line in lines.items() if len(json.loads(line)["data"]) != PAGE]
    if short:
        raise RuntimeError(f"less than {PAGE} rows: {', '.join(short)}")
    stored = _newest(server.folder / "wagate.db", DEEP[messages])
    return _Store(server=server, requests=requests, lines=lines, walked=in_order(stored, walked))


async def _walk(server: Gateway, path: str, count: int) -> tuple[str, list[str]]:
    """The cursor behind so many rows, and the messages among them."""
    line, cursor, found = await connect(server.port), "", list[str]()
    for _ in range(count // LONGEST_PAGE):
        more = f"&cursor={cursor}" if cursor else ""
        status, page = await line.ask(server.caller.request("GET", f"{path}?limit={LONGEST_PAGE}{more}"))
        if status != 200:
            raise RuntimeError(f"{status}: {page[:500]!r}")
        cursor = page.rpartition(b'"nextCursor":"')[2].partition(b'"')[0].decode()
        found += [id.decode() for id in _ID.findall(page)]
    line.close()
    return cursor, found


def _newest(place: Path, count: int) -> list[str]:
    """What is stored, read past the gateway."""
    with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as db:
        newest = "SELECT wire_id FROM messages WHERE chat_jid = ? ORDER BY timestamp DESC, position DESC LIMIT ?"
        return [row[0] for row in db.execute(newest, (CHAT, count - count % LONGEST_PAGE))]


def in_order(stored: list[str], walked: list[str]) -> Count:
    """Each once, and where it belongs; what stands elsewhere counts as lost."""
    count = exactly_once(stored, walked)
    misplaced = sum(one != other for one, other in zip(stored, walked, strict=False))
    return count if misplaced == 0 or not count.good else Count(acknowledged=count.acknowledged, missing=misplaced)


def _same(request: bytes) -> Callable[[int], Iterator[bytes]]:
    return lambda caller: itertools.repeat(request)
