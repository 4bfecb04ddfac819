"""Reads, by how much of a core they take: requests for each second of the server's CPU, all its threads."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.counting import Count
from bench.load import Load, closed
from bench.machine import loop_milliseconds
from bench.report import Figure, Workload
from bench.sends import shares
from bench.servers import PROGRAM, bare, gateway, linked, until
from bench.wire import Caller, connect

MANY, FEW, PAGE = 1000, 60, 50
MESSAGES = 100
CALLERS = 8
ROUND_SECONDS = 1.5


async def run(folder: Path, rounds: int) -> Workload:
    """A session; 50 sessions of many and of few; 20 messages of a chat: against constant bytes of the same size."""
    place, loops = folder / "reads", list[float]()
    async with gateway(place) as server:
        requests = await _prepared(server.caller, Caller(server.port, _other_organization(place)))
        lines = {name: await answer(server.port, request) for name, request in requests.items()}
        loads: dict[str, list[Load]] = {name: [] for name in requests}
        plain: dict[str, list[Load]] = {name: [] for name in requests}
        async with bare(folder, list(lines.values())) as constant:
            for _ in range(rounds):
                loops.append(loop_milliseconds())
                for number, (name, request) in enumerate(requests.items()):
                    loads[name].append(await closed(server, _same(request), callers=CALLERS, seconds=ROUND_SECONDS))
                    other = f"GET /{number} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
                    plain[name].append(await closed(constant, _same(other), callers=CALLERS, seconds=1.0))
    targets = {"get a session": 5000, f"list {PAGE} of {MANY:,} sessions": 1000}
    return Workload(
        name="Reads",
        reference="the bare application answering constant bytes of the same size",
        figures=[
            Figure(
                name=f"{name} ({len(lines[name]):,} bytes)",
                unit="requests per server CPU-second",
                rounds=[each.per_cpu_second for each in loads[name]],
                target=targets.get(name),
                reference=[each.per_cpu_second for each in plain[name]],
                **shares(loads[name]),
            )
            for name in requests
        ],
        counts={"answers 200, byte for byte what is stored": answers_as_stored(loads, lines)},
        loops=loops,
    )


async def _prepared(caller: Caller, other: Caller) -> dict[str, bytes]:
    """Sessions of two organizations and a chat with messages, all read; the requests for them."""
    [session] = await linked(caller, 1)
    chat = "99900000001@s.whatsapp.net"
    for number in range(MESSAGES):
        body = {"type": "text", "to": chat, "text": f"message {number} of a chat that somebody reads"}
        await caller.must("POST", f"/sessions/{session}/messages", body)
    await asyncio.gather(_made(caller, MANY - 1), _made(other, FEW))

    async def read() -> bool:
        rows = await caller.everything(f"/sessions/{session}/chats/{chat}/messages")
        return [row["status"] for row in rows] == ["read"] * MESSAGES

    await until(read)
    sessions = f"/sessions?limit={PAGE}"
    return {
        "get a session": caller.request("GET", f"/sessions/{session}"),
        f"list {PAGE} of {MANY:,} sessions": caller.request("GET", sessions),
        f"list {PAGE} of {FEW} sessions": other.request("GET", sessions),
        "20 messages of a chat": caller.request("GET", f"/sessions/{session}/chats/{chat}/messages?limit=20"),
    }


async def _made(caller: Caller, count: int) -> None:
    for _ in range(count):
        await caller.must("POST", "/sessions", {"label": "not linked"})


def _other_organization(place: Path) -> str:
    """A key of an organization made beside the running server."""
    at = ["--data-dir", str(place)]
    _command("orgs", "create", "other", *at)
    return _command("keys", "create", "--name", "bench", "--permission", "all", "--org", "other", *at).strip()


def _command(*words: str) -> str:
    return subprocess.run([PROGRAM, *words], check=True, capture_output=True, text=True).stdout


async def answer(port: int, request: bytes) -> bytes:
    """The body of an answer 200."""
    line = await connect(port)
    status, body = await line.ask(request)
    line.close()
    if status != 200:
        raise RuntimeError(f"{status}: {body[:500]!r}")
    return body


def _same(request: bytes) -> Callable[[int], Iterator[bytes]]:
    return lambda caller: itertools.repeat(request)


def answers_as_stored(loads: dict[str, list[Load]], lines: dict[str, bytes]) -> Count:
    """How many answers are byte for byte what was stored; others count as lost."""
    answers = [(body, lines[name]) for name, each in loads.items() for load in each for body in load.bodies]
    return Count(acknowledged=len(answers), missing=sum(body != stored for body, stored in answers))
