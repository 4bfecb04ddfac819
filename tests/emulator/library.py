"""The unmodified client library in a process of its own, as tests drive it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import platform
import sys
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.emulator.emulator import Emulator

PATIENCE = 90.0


def why_not() -> str:
    """Why the library cannot be driven here; empty when it can."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return "the key replacement works on Linux, x86-64 or aarch64, only"
    if find_spec("neonize") is None:
        return "neonize is not installed"
    if find_library("magic") is None:
        return "the library's own client needs the system's libmagic: apt-get install libmagic1"
    return ""


class LibraryError(Exception):
    """The library refused, or its process ended."""


@dataclass
class Told:
    """Something that happened: its kind (the library's name for it), its fields, and its bytes in base64."""

    kind: str
    told: Any
    raw: str = ""


@dataclass(eq=False)
class Session:
    """One session of the library: what happened to it so far, and its methods by name."""

    library: Library
    name: str
    store: str
    told: list[Told] = field(default_factory=list)

    async def call(self, method: str, *args: Any, **named: Any) -> Any:
        """A method of the library's client.

        Raises:
            LibraryError: what the library raised.
        """
        return await self.library.ask("call", session=self.name, name=method, args=args, named=named)

    async def stop(self) -> None:
        """Stop the session; its store keeps what it needs to come again."""
        await self.library.ask("stop", session=self.name)

    async def wait(self, kind: str, match: Callable[[Any], bool] = lambda _: True, *, after: int = 0) -> Told:
        """The first happening of a kind that matches, past or to come; `after`: skip so many that are past."""
        found: list[Told] = []

        def there() -> bool:
            found[:] = [each for each in self.told[after:] if each.kind == kind and match(each.told)]
            return bool(found)

        await self.library.until(
            there, lambda: f"{self.name}: no {kind} like that; {[each.kind for each in self.told[after:]]}"
        )
        return found[0]

    async def text(self, text: str) -> Told:
        """The message with this text, when it arrives."""
        return await self.wait("Message", lambda told: text_of(told) == text)

    async def qr(self) -> str:
        """The QR text that it shows first."""
        return str((await self.wait("qr")).told)


class Library:
    """The process; an async context manager.

    `trusts`: whether it trusts the emulator, as no product ever does; `proxy`: another address of the emulator's proxy.
    """

    def __init__(self, emulator: Emulator, *, trusts: bool = True, proxy: str = "") -> None:
        self.emulator = emulator
        self.proxy = proxy or emulator.proxy_url
        self.trusts = trusts
        self.log = emulator.folder / f"library-{id(self)}.log"
        self._sessions: dict[str, Session] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._news = asyncio.Condition()
        self._ready = False
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        self._pipe: int

    async def __aenter__(self) -> Library:
        out_read, out_write = os.pipe()
        in_read, self._pipe = os.pipe()
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("NEONIZE", "COVERAGE"))}
        environment.pop("PYTHONPATH", None)
        socks = self.proxy.startswith("socks")
        environment |= self.emulator.environment(trusts=self.trusts, socks=socks)
        environment["HOME"] = str(self.emulator.folder)
        arguments = [str(in_read), str(out_write), self.proxy]
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(Path(__file__).parent / "driver.py"), *arguments),
                pass_fds=(in_read, out_write),
                env=environment,
                cwd=self.emulator.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(in_read)
        os.close(out_write)
        reader = asyncio.StreamReader(limit=1 << 26)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(out_read, "rb"))
        self._reading = asyncio.ensure_future(self._read(reader))
        await self.until(lambda: self._ready, lambda: "the library's process did not start")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def kill(self) -> None:
        """End the process at once, as a native crash does."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def open(self, name: str, store: str | None = None) -> Session:
        """Start a session on a store (a file of its own by default); returns after its first sign of life."""
        session = Session(library=self, name=name, store=store or str(self.emulator.folder / f"{name}.db"))
        self._sessions[name] = session
        await self.ask("open", session=name, store=session.store)
        return session

    async def link(self, name: str, number: str) -> Session:
        """Start a session, have its QR text scanned by somebody's phone, and wait until it is connected."""
        session = await self.open(name)
        await self.emulator.person(number).scan(await session.qr())
        await session.wait("Connected")
        return session

    async def ask(self, do: str, **fields: Any) -> Any:
        """Send one request and wait for its answer."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        os.write(self._pipe, json.dumps({"id": number, "do": do, **fields}).encode() + b"\n")
        return await asyncio.wait_for(answer, PATIENCE)

    async def until(self, there: Callable[[], bool], why: Callable[[], str]) -> None:
        """Wait until something is so, looking at every piece of news.

        Raises:
            AssertionError: it never was; with `why`, and the end of what the process printed.
        """
        async with self._news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait_for(lambda: there() or self._reading.done()), PATIENCE)
        if not there():
            raise AssertionError(f"{why()}\n{self.tail()}")

    def tail(self) -> str:
        """The end of what the process printed."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._take(json.loads(line))
            async with self._news:
                self._news.notify_all()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LibraryError("the process ended"))
        await asyncio.sleep(0)

    def _take(self, line: dict[str, Any]) -> None:
        if "id" in line:
            answer = self._answers.pop(line["id"])
            if answer.done():
                return
            if "error" in line:
                answer.set_exception(LibraryError(line["error"]))
            else:
                answer.set_result(line["result"])
        elif line["event"] == "ready":
            self._ready = True
        elif line["session"] in self._sessions:
            told = Told(kind=line["event"], told=line["told"], raw=line.get("raw", ""))
            self._sessions[line["session"]].told.append(told)


async def eventually(there: Callable[[], bool]) -> None:
    """Wait until something is so on the emulator's side.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(PATIENCE):
        while not there():  # noqa: ASYNC110 - the emulator's state rings no bell
            await asyncio.sleep(0.02)


# Arguments in the forms that the driver understands.


def jid(address: str) -> dict[str, str]:
    """An address; a bare number is a phone's."""
    return {"jid": address if "@" in address else f"{address}@s.whatsapp.net"}


def raw(content: bytes) -> dict[str, str]:
    """Bytes."""
    return {"bytes": base64.b64encode(content).decode()}


def enum(kind: str, name: str) -> dict[str, list[str]]:
    """One of the library's enumerations."""
    return {"enum": [kind, name]}


def message(content: Any) -> dict[str, str]:
    """A message as protobuf."""
    return {"message": base64.b64encode(content.SerializeToString()).decode()}


def patch(content: Any) -> dict[str, str]:
    """A patch of the app state as protobuf."""
    return {"patch": base64.b64encode(content.SerializeToString()).decode()}


def text_of(told: Any) -> str:
    """The text of a message that arrived."""
    content = told.get("Message", {})
    return str(content.get("conversation") or content.get("extendedTextMessage", {}).get("text", ""))
