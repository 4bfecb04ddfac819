"""The emulator of the real network, in a process of its own: what it uses is not counted as ours."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

EMULATOR = Path(__file__).parents[1] / "tests" / "emulator"


class Network:
    """Its process. `proxy`: what sessions must be given; `environment`: what a gateway must be started with, so that
    its hosts find the emulator and nothing else.
    """

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.proxy: str = told["proxy"]
        self.environment: dict[str, str] = told["environment"]
        path = [self.environment["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        self._turn = asyncio.Lock()

    async def do(self, person: str, verb: str, *args: Any) -> Any:
        """Let somebody do something on their phone; a verb of the emulator's."""
        assert self.process.stdin is not None
        async with self._turn:
            self.process.stdin.write(json.dumps({"person": person, "do": verb, "args": args}).encode() + b"\n")
            answer = await _line(self.process)
        if "error" in answer:
            raise RuntimeError(f"{person} cannot {verb}: {answer['error']}")
        return answer["result"]


@asynccontextmanager
async def network(*, last: bool = False) -> AsyncIterator[Network]:
    """An emulator for as long as the context lasts. `last`: it yields to everybody, as it is elsewhere in truth."""
    yielding = ("nice", "-n", "19") if last else ()
    process = await asyncio.create_subprocess_exec(
        *(*yielding, sys.executable, str(EMULATOR)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    try:
        yield Network(process, await _line(process))
    finally:
        process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the emulator ended")
    return json.loads(line)
