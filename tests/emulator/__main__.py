"""The emulator as a process: one line of JSON says where it is, and lines of JSON on the standard input move it.

    python tests/emulator

A line is `{"person": "99900000001", "do": "scan", "args": ["<QR text>"]}`, any verb of `Person`, or one of these:

- `{"do": "state"}`: who is linked and online, what nobody understood, and which names were asked for;
- `{"do": "delay", "args": [5]}`: acknowledge sends so many seconds late;
- `{"do": "few_keys"}`: let who is linked make 50 one-time keys instead of 812, which takes seconds;
- `{"do": "settled", "person": …}`: the messages that the companion linked last was sent, each with when it went out and
  when it was acknowledged, as `[id, sent, acknowledged or null]`, in nanoseconds of the monotonic clock.

Each is answered by a line, `{"result": …}` or `{"error": …}`. It ends with its input.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def _find_tests() -> None:
    """Let `tests` be this folder's parent, whatever package of that name is installed."""
    root = Path(__file__).resolve().parents[2]
    package = ModuleType("tests")
    package.__path__ = [str(root / "tests")]
    sys.modules["tests"] = package
    sys.path.insert(0, str(root / "src"))
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != root / "tests" / "emulator"]


async def _obey(emulator: Any, request: dict[str, Any]) -> Any:
    if request["do"] == "state":
        people = {
            account.number: {
                "devices": [*account.devices],
                "online": [device.place for device in account.online],
                "collisions": sum(device.collisions for device in account.devices.values()),
            }
            for account in emulator.accounts
        }
        return {"people": people, "unknown": emulator.unknown, "asked": emulator.proxy.asked}
    if request["do"] == "delay":
        (emulator.messages.ack_delay,) = request["args"]
        return None
    if request["do"] == "few_keys":
        emulator.first_count = 1
        return None
    if request["do"] == "settled":
        device = emulator.person(request["person"]).devices[-1]
        return [[id, sent, device.settled_at.get(id)] for id, sent in device.sent_at.items()]
    verb = getattr(emulator.person(request["person"]), request["do"])
    result = verb(*request.get("args", []))
    return str(await result if inspect.isawaitable(result) else result)


async def main() -> None:
    """Serve until the input ends."""
    from tests.emulator.emulator import Emulator

    async with Emulator() as emulator:
        print(json.dumps({"proxy": emulator.proxy_url, "environment": emulator.environment()}), flush=True)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            try:
                answer = {"result": await _obey(emulator, json.loads(line))}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _find_tests()
    asyncio.run(main())
