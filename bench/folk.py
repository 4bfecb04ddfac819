"""People in a process of their own who write to a session under test: they are not touched when a gateway is killed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bench.lives import Life
from bench.network import EMULATOR, Network

_LONG = 1 << 26
_PATIENCE = 60.0


class People:
    """Sessions of the library in one process, by name; each says one thing after the other."""

    def __init__(self, network: Network, process: asyncio.subprocess.Process, pipe: int) -> None:
        self._network = network
        self._process = process
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._told: list[tuple[str, str, Any]] = []
        self._news = asyncio.Event()

    async def link(self, name: str, number: str, folder: Path) -> None:
        """A new session, linked and connected."""
        await self._ask("open", session=name, store=str(folder / f"{name}.db"))
        qr = await self._wait(lambda told: told[:2] == ("qr", name))
        await self._network.do(number, "scan", qr[2])
        await self._wait(lambda told: told[:2] == ("Connected", name))

    async def say(self, name: str, to: str, text: str) -> None:
        """Send a text; returns when the network has it."""
        jid = {"jid": f"{to}@s.whatsapp.net"}
        await self._ask("call", session=name, name="send_message", args=[jid, text], named={})

    async def _ask(self, do: str, **fields: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        os.write(self._pipe, json.dumps({"id": number, "do": do, **fields}).encode() + b"\n")
        return await asyncio.wait_for(answer, _PATIENCE)

    async def _wait(self, match: Callable[[tuple[str, str, Any]], bool]) -> tuple[str, str, Any]:
        async with asyncio.timeout(_PATIENCE):
            while not (found := [each for each in self._told if match(each)]):
                self._news.clear()
                await self._news.wait()
        return found[0]

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Take what the process tells, until it ends."""
        while line := await reader.readline():
            told = json.loads(line)
            if "id" in told:
                answer = self._answers.pop(told["id"])
                if answer.done():
                    continue
                if "error" in told:
                    answer.set_exception(RuntimeError(told["error"]))
                else:
                    answer.set_result(told["result"])
            elif told["event"] in ("qr", "Connected"):
                self._told.append((told["event"], told["session"], told["told"]))
                self._news.set()


@contextlib.asynccontextmanager
async def people(here: Network, folder: Path) -> AsyncIterator[People]:
    """The process that the people's sessions are in."""
    in_read, pipe = os.pipe()
    out_read, out_write = os.pipe()
    environment = {**os.environ, **here.environment, "HOME": str(folder)}
    with (folder / "people.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EMULATOR / "driver.py"), str(in_read), str(out_write), here.proxy),
            pass_fds=(in_read, out_write),
            env=environment,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(in_read)
    os.close(out_write)
    reader = asyncio.StreamReader(limit=_LONG)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(out_read, "rb"))
    made = People(here, process, pipe)
    reading = asyncio.ensure_future(made.read(reader))
    try:
        yield made
    finally:
        process.kill()
        await process.wait()
        await reading
        os.close(pipe)


async def linked(here: Network, one: Life, number: str) -> str:
    """The id of a new session of the gateway that works with this number."""
    made = await one.must("POST", "/sessions", {"engine": "whatsapp", "proxyUrl": here.proxy, "start": True})
    where = f"/sessions/{made['id']}"

    async def shown() -> bool:
        return (await one.ask("GET", f"{where}/qr"))[0] == 200

    await until(shown)
    await here.do(number, "scan", (await one.must("GET", f"{where}/qr"))["code"])
    await until(lambda: works(one, made["id"]))
    return str(made["id"])


async def works(one: Life, session: str) -> bool:
    """Whether a session works now."""
    return bool((await one.must("GET", f"/sessions/{session}"))["status"] == "working")


async def until(condition: Callable[[], Any], *, seconds: float = _PATIENCE) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what others do rings no bell here
            await asyncio.sleep(0.05)


def hosts(parent: int) -> list[int]:
    """The host processes of a gateway."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(place.name))
    return found
