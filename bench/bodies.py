"""Documents of 16 MiB, four at a time: what they take of memory, and how long somebody else waits meanwhile."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from bench.counting import Count, exactly_once
from bench.load import Load, opened
from bench.machine import forget_peak, loop_milliseconds, on_the_servers_core, peak, resident
from bench.reads import answer, answers_as_stored
from bench.report import Figure, Workload
from bench.sends import ids, shares
from bench.servers import gateway, linked
from bench.uploads import CALLERS, EACH, Documents
from bench.wire import Caller, connect

PROBES_PER_SECOND = 100
IDLE_SECONDS = 3.0
SETTLE_SECONDS = 0.5
PIECE = 256 * 1024


async def run(folder: Path, rounds: int) -> Workload:
    """Extra memory; p99 of get-session beside it, against the same probe with nothing beside it; documents/s."""
    place = folder / "bodies"
    loops, extra, speed, plain = list[float](), list[float](), list[float](), list[float]()
    idle, busy, sent = list[Load](), list[Load](), dict[str, str]()
    try:
        async with gateway(place) as server:
            [session] = await linked(server.caller, 1)
            probe = server.caller.request("GET", f"/sessions/{session}")
            stored = await answer(server.port, probe)
            probes = itertools.repeat(probe)
            at_rest = resident(server.pid)
            async with _sender(server.caller, session) as sender:
                for _ in range(rounds):
                    loops.append(loop_milliseconds())
                    plain.append(_plain_loop(folder / "plain.bin"))
                    idle.append(await opened(server, probes, per_second=PROBES_PER_SECOND, seconds=IDLE_SECONDS))
                    forget_peak(server.pid)
                    started, sending = time.perf_counter(), asyncio.ensure_future(_sent(sender))
                    busy.append(await opened(server, probes, per_second=PROBES_PER_SECOND, during=sending))
                    sent |= (found := await sending)
                    speed.append(len(found) / (time.perf_counter() - started))
                    extra.append(peak(server.pid) - at_rest)
                    await asyncio.sleep(SETTLE_SECONDS)
            counts = await _counts(server.caller, session, sent)
    finally:
        # Other workloads get their disk back.
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
    counts["answers to the probe, byte for byte what is stored"] = answers_as_stored({"": busy}, {"": stored})

    def latency(share: float, target: float | None) -> Figure:
        return Figure(
            name=f"get a session meanwhile, p{share * 100:.0f}",
            unit="ms",
            rounds=[each.milliseconds(share) for each in busy],
            target=target,
            lower_is_better=True,
            reference=[each.milliseconds(share) for each in idle],
            **shares(busy),
        )

    return Workload(
        name="Large bodies",
        reference="for the latency, the same probe on the same server with no documents; for the rate, a plain loop"
        " that decodes the same text, takes its SHA-256 and stores it durably, one document after the other",
        figures=[
            Figure(
                name=f"{CALLERS} documents of 16 MiB at once, memory above idle (peak RSS)",
                unit="MiB",
                rounds=extra,
                target=64,
                lower_is_better=True,
            ),
            latency(0.5, None),
            latency(0.99, 15),
            Figure(name=f"{CALLERS} callers", unit="documents/s", rounds=speed, reference=plain),
        ],
        counts=counts,
        loops=loops,
        remarks=[
            f"The probe asks {PROBES_PER_SECOND} times a second, whatever became of its earlier requests; the documents"
            f" ({CALLERS * EACH} each round) come from another process."
        ],
    )


@contextlib.asynccontextmanager
async def _sender(caller: Caller, session: str) -> AsyncIterator[Process]:
    """The process that sends documents when it is told to."""
    command = [sys.executable, "-m", "bench.uploads", str(caller.port), caller.key, session]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _sent(sender: Process) -> dict[str, str]:
    """Have a round's documents sent; their wire ids by number."""
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdin.write(b"\n")
    found: dict[str, str] = json.loads(await sender.stdout.readline() or b"{}")
    return found


async def _counts(caller: Caller, session: str, sent: dict[str, str]) -> dict[str, Count]:
    """Every document against what getMedia gives back and what phones showed."""
    documents, back, line = Documents(), list[str](), await connect(caller.port)
    for number, id in sent.items():
        status, body = await line.ask(caller.request("GET", f"/sessions/{session}/messages/{id}/media"))
        if status == 200 and body == documents.content(int(number)):
            back.append(id)
    line.close()
    shown = await caller.everything("/sandbox/messages")
    return {
        "documents answered 200 that getMedia gives back byte for byte": exactly_once(sent.values(), back),
        "documents answered 200 among the messages that phones show": exactly_once(sent.values(), ids(shown)),
    }


def _plain_loop(place: Path) -> float:
    """Documents a second that this machine decodes, hashes and stores durably, on the server's core, one by one."""
    [head, rest], done = Documents().base64(0), 0
    text = head + rest
    with on_the_servers_core():
        started = time.perf_counter()
        while (took := time.perf_counter() - started) < 1.0:
            digest = hashlib.sha256()
            with place.open("wb", buffering=0) as file:
                for start in range(0, len(text), PIECE):
                    piece = binascii.a2b_base64(text[start : start + PIECE], strict_mode=True)
                    digest.update(piece)
                    file.write(piece)
                os.fsync(file.fileno())
            done += 1
    place.unlink()
    return done / took
