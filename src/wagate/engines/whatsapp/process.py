"""One host process, as the gateway sees it: started, asked, heard, and gone.

Promises: every ask is answered, refused or lost; after `gone` is set nothing is heard from it any more, and its process
does not exist. Called by fleet.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.child import Child
from wagate.errors import Internal, NoAnswer, WagateError, from_wire

log = structlog.get_logger(__name__)

_HELLO_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LOG_LINES = 40
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_LAST_WORDS = re.compile(r"fatal error:|panic:|SIG[A-Z]+:|unexpected fault")
_decode = msgspec.msgpack.Decoder(wire.FromHost).decode

Hears = Callable[[wire.Told], None]
"""Takes what a line is told, in order; must not block."""


class Answer:
    """An answered want: its body, and how far the line was told before it."""

    __slots__ = ("after", "body")

    def __init__(self, body: msgspec.Raw, after: int) -> None:
        self.body = body
        self.after = after


class Lost(base.ConnectionLost):
    """The host did not answer; `sent` says whether it may have got the question."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class HostProcess:
    """A child process and the socket to it. `proxied`: by the environment's proxies, where it names some; `begun`: how
    often a session began in it, as its callers count.
    """

    def __init__(self, *, proxied: bool = True) -> None:
        self.proxied = proxied
        self.gone = asyncio.Event()
        self.lines: dict[int, Hears] = {}
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.library = ""
        self.begun = 0
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._writing = asyncio.Lock()
        self._count = 0
        self._process: Child | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        """The process's number."""
        return 0 if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """It can be asked."""
        return self._process is not None and not self.gone.is_set()

    async def start(self, command: Sequence[str], *, patience: float = 20.0) -> None:
        """Start it; returns when it has loaded the library. `patience`: seconds without a word of ours, and it ends.

        Raises:
            ConnectionLost: it cannot be started, or ended before; the log says why.
        """
        try:
            ours = await self._begin(command, patience)
        except OSError as error:
            # No more processes or descriptors than this is given: it may be well in a while.
            log.error("a host cannot be started", error=str(error))
            raise base.ConnectionLost from None
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._hear(reader, hello), name=f"host {self.pid}"),
            asyncio.create_task(self._read_log(), name=f"host {self.pid} log"),
            asyncio.create_task(self._reassure(patience / 5), name=f"host {self.pid} here"),
        ]
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                await hello
        except (TimeoutError, base.ConnectionLost):
            await self.stop()
            log.error("a host did not start", pid=self.pid, said=list(self.log)[-3:])
            raise base.ConnectionLost from None
        except BaseException:
            await self.stop()
            raise

    async def _begin(self, command: Sequence[str], patience: float) -> socket.socket:
        """The process, and our end of the line to it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        try:
            self._process = await Child.start(
                [*command, "--socket", str(theirs.fileno()), "--patience", str(patience)],
                pass_fds=(theirs.fileno(),),
                env=_environment(proxied=self.proxied),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    async def ask(self, line: int, want: wire.AnyWant, *, seconds: float) -> Answer:
        """Ask, and wait for the answer.

        Raises:
            Lost: the host is gone, or the line there.
            LinkEnded: the network ended the link.
            NoAnswer: none within `seconds`; certain where the host did not even take the question.
            WagateError: as the host says.
        """
        writer = self._writer
        if writer is None or self.gone.is_set():
            raise Lost(sent=False)
        self._count += 1
        id = self._count
        answer = self._asked[id] = asyncio.get_running_loop().create_future()
        written = False
        try:
            async with asyncio.timeout(seconds + 1.0):
                # One after the other, and where there is room: a host that reads nothing costs a buffer and a frame.
                async with self._writing:
                    await writer.drain()
                    if writer.is_closing():
                        raise Lost(sent=False)
                    writer.write(wire.framed(wire.Asked(id=id, line=line, want=want, seconds=seconds)))
                    written = True
                answered: Answer = await answer
                return answered
        except TimeoutError:
            raise NoAnswer(certain=not written) from None
        except ConnectionError:
            raise Lost(sent=written) from None
        finally:
            self._asked.pop(id, None)

    async def feel(self, every: float) -> bool:
        """Ask for a sign of life again and again; true when it hangs, false when it is gone.

        Two in a row must be missing: after the machine has slept, one deadline is over before its answer is read.
        """
        missed = 0
        while missed < 2:
            await asyncio.sleep(every)
            try:
                await self.ask(0, wire.Ping(), seconds=every)
                missed = 0
            except NoAnswer:
                missed += 1
            except (base.ConnectionLost, WagateError):
                return False
        return True

    async def _reassure(self, every: float) -> None:
        """From this loop, so that a gateway that stands still is silent."""
        while self._writer is not None and not self._writer.is_closing():
            self._writer.write(wire.framed(wire.Here()))
            await asyncio.sleep(every)

    def taken(self, line: int, number: int) -> None:
        """What was told up to this is committed. Nothing where the host has hung up: uvloop fails on a closed line."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(wire.framed(wire.Taken(line=line, number=number)))

    async def stop(self, *, at_once: bool = False) -> None:
        """End it, by closing the socket and at the latest by force; returns when the process is gone. Idempotent."""
        process, writer = self._process, self._writer
        if process is None:
            return
        if writer is not None:
            writer.close()
        if at_once:
            _kill(process)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            _kill(process)
            await process.wait()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._over()

    async def _hear(self, reader: asyncio.StreamReader, hello: asyncio.Future[None]) -> None:
        try:
            while (frame := await wire.next_frame(reader)) is not None:
                self._take(_decode(frame), hello)
        except (ValueError, msgspec.MsgspecError) as error:
            log.error("a host speaks nonsense", pid=self.pid, error=str(error))
        finally:
            if not hello.done():
                hello.set_exception(base.ConnectionLost())
            if self._process is not None:
                # A host whose socket is closed is of no use to anybody, and must not hold its sessions' keys.
                _kill_soon(self._process)
                with contextlib.suppress(asyncio.CancelledError):
                    await self._process.wait()
            self._over()

    def _take(self, message: wire.FromHost, hello: asyncio.Future[None]) -> None:
        match message:
            case wire.Hello():
                self.library = message.library
                if not hello.done():
                    hello.set_result(None)
            case wire.Told():
                if hears := self.lines.get(message.line):
                    hears(message)
            case wire.Answered():
                self._settle(message.id, Answer(message.body, message.after))
            case wire.Failed():
                self._settle(message.id, _failure(message))

    def _settle(self, id: int, outcome: Answer | Exception) -> None:
        asked = self._asked.get(id)
        if asked is None or asked.done():
            return
        if isinstance(outcome, Exception):
            asked.set_exception(outcome)
        else:
            asked.set_result(outcome)

    async def _read_log(self) -> None:
        """The library writes to its standard output as it likes: kept for a post-mortem, told at debug."""
        process = self._process
        if process is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # a line of more than 64 KiB is nobody's reading
            if not line:
                return
            self._note(line.decode(errors="replace").rstrip()[:500])

    def _note(self, line: str) -> None:
        if len(self.log) < _LOG_LINES or not _LAST_WORDS.match(self.log[0]):
            # What native code says as it dies begins with the reason and ends with every thread's stack.
            if _LAST_WORDS.match(line):
                self.log.clear()
            self.log.append(line)
        troubled = any(f'"level":"{level}"' in line for level in ("warning", "error", "critical"))
        (log.warning if troubled else log.debug)("host", pid=self.pid, line=line)

    def _over(self) -> None:
        if self.gone.is_set():
            return
        self.gone.set()
        for asked in list(self._asked.values()):
            if not asked.done():
                asked.set_exception(Lost(sent=True))
                asked.exception()  # whoever asked may be gone: nobody else needs to hear of it


def names_proxies() -> bool:
    """Whether this process's environment names a proxy."""
    return any(value for name, value in os.environ.items() if name.lower() in _PROXIES)


def _environment(*, proxied: bool) -> dict[str, str]:
    """The process's own without what is no business of the library's: our settings, and its own switches but one.

    Left to itself it marks every message to a person as a bot's, and phones show it with the label "AI".
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAGATE_", "NEONIZE_"))}
    kept["NEONIZE_BOT_TAG"] = "off"
    return kept if proxied else {name: value for name, value in kept.items() if name.lower() not in _PROXIES}


def _failure(message: wire.Failed) -> Exception:
    if message.ended is not None:
        return base.LinkEnded(message.ended.status, message.ended.reason, message.ended.until)
    if message.error is None:
        return Lost(sent=False)
    error: WagateError = from_wire(message.error)
    return error if isinstance(error, WagateError) else Internal()


def _kill(process: Child) -> None:
    if process.returncode is None:
        process.kill()


def _kill_soon(process: Child) -> None:
    """It has seen that the socket is closed and stops its sessions; if it hangs, it is killed."""
    asyncio.get_running_loop().call_later(_STOP_SECONDS, _kill, process)
