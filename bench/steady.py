"""A steady load for a long time, watching memory, descriptors and loss; a line every ten seconds. Called by soak."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench import machine
from bench.load import Load, opened
from bench.sends import SESSIONS, Sender, counts
from bench.servers import Gateway, gateway, linked

SLICE_SECONDS = 10.0
SPARE_DESCRIPTORS = 40
"""How many more than after the first slice are no leak: connections of the client's that still linger."""


async def run(folder: Path, *, minutes: float, per_second: int) -> bool:
    """Send at this rate for so long; whether nothing acknowledged was lost or repeated, and no descriptors leaked."""
    machine.stay_on(machine.CLIENT_CORE)
    async with gateway(folder / "steady") as server:
        sender = Sender(server.caller, await linked(server.caller, SESSIONS))
        requests, loads, open_files = sender.all_in_turn(), list[Load](), list[int]()
        started = time.monotonic()
        print("  minutes      sent   p99 ms  server CPU   RSS MB  descriptors", flush=True)
        while time.monotonic() - started < minutes * 60:
            load = await opened(server, requests, per_second=per_second, seconds=SLICE_SECONDS)
            loads.append(load)
            open_files.append(_descriptors(server))
            print(
                f"{(time.monotonic() - started) / 60:9.1f} {sum(len(each.bodies) for each in loads):9,} "
                f"{load.milliseconds(0.99):8.1f} {load.server_cpu:11.0%} {machine.memory(server.pid)[0]:8.1f} "
                f"{open_files[-1]:12}",
                flush=True,
            )
        found = await counts(server.caller, loads)
    for what, count in found.items():
        print(f"{what}: {count}")
    leaked = open_files[-1] - open_files[0] > SPARE_DESCRIPTORS
    if leaked:
        print(f"descriptors grew from {open_files[0]} to {open_files[-1]}")
    return all(count.good for count in found.values()) and not leaked


def _descriptors(server: Gateway) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))
