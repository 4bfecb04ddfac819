"""The child program that holds sessions: `python -m wagate.engines.whatsapp --socket FD --patience SECONDS`.

The only process that loads the WhatsApp library. It speaks frames (`wire.py`) with the gateway over a socket that it
inherits; its standard output and errors are a log, for the library writes there as it likes. When the gateway's end is
gone, or stands still for as long as others may need to take its sessions, it stops them and ends; what was not taken
stays in the spools for the next host.
Started by process.py; nobody else runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import os
import select
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import msgspec
import structlog

from wagate import telemetry
from wagate.engines import base
from wagate.engines.whatsapp import inbound, performing, refusals, sending, wire
from wagate.engines.whatsapp.installed import NAME, VERSION, CannotLoad
from wagate.engines.whatsapp.library import Library
from wagate.engines.whatsapp.line import Around, Busy, Line, Stuck
from wagate.errors import Internal, NoAnswer, WagateError, to_wire

log = structlog.get_logger(__name__)

_THREADS, _CALLS = 24, 64
"""Threads for what is short, and for calls that wait for WhatsApp: those must not hold up what is heard meanwhile."""

_LAST_SECONDS, _END_SECONDS = 3.0, 10.0
_decode = msgspec.msgpack.Decoder(wire.FromGateway).decode


class Host:
    """The lines of this process, and the socket to the gateway."""

    def __init__(self, library: Library, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._library = library
        self._around = Around(
            library=library,
            calls=ThreadPoolExecutor(_CALLS, thread_name_prefix="call"),
            tell=self._tell,
            translate=inbound.reports,
            stuck=self._stuck,
        )
        self._reader = reader
        self._writer = writer
        self._lines: dict[int, Line] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def serve(self, patience: float) -> None:
        """Do what is wanted until the gateway is gone, or silent for `patience` seconds.

        Raises:
            TimeoutError: it was.
        """
        self._tell(wire.Hello(library=f"{NAME} {VERSION} sha256:{self._library.digest}"))
        while True:
            async with asyncio.timeout(patience):
                frame = await wire.next_frame(self._reader)
            if frame is None:
                return
            message = _decode(frame)
            if isinstance(message, wire.Here):
                continue
            if isinstance(message, wire.Taken):
                if line := self._lines.get(message.line):
                    line.taken(message.number)
                continue
            task = asyncio.create_task(self._answer(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def close(self) -> None:
        """Stop every line, as far as the library lets us."""
        # Pieces of history that are on their way get less time than we have: what was acknowledged must be heard.
        for line in self._lines.values():
            line.hurry()
        closing = [line.close() for line in self._lines.values()]
        await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), _LAST_SECONDS)

    async def _answer(self, asked: wire.Asked) -> None:
        try:
            answer = await self._do(asked)
        except base.LinkEnded as ended:
            self._fail(asked, ended=base.Ended(status=ended.status, reason=ended.reason, until=ended.until))
        except (base.ConnectionLost, Busy, Stuck):
            self._fail(asked)
        except WagateError as error:
            self._fail(asked, error=error)
        except Exception:
            log.exception("a want failed", want=type(asked.want).__name__)
            self._fail(asked, error=Internal())
        else:
            self._answered(asked, answer)

    def _answered(self, asked: wire.Asked, answer: Any) -> None:
        try:
            self._tell(wire.Answered(id=asked.id, body=wire.body(answer), after=self._told(asked.line)))
        except ValueError:
            log.exception("an answer is too large", want=type(asked.want).__name__)
            self._fail(asked, error=Internal())

    def _fail(
        self, asked: wire.Asked, *, error: WagateError | None = None, ended: base.Ended | None = None
    ) -> None:  # fmt: skip
        wired = None if error is None else to_wire(error)
        self._tell(wire.Failed(id=asked.id, error=wired, ended=ended, after=self._told(asked.line)))

    async def _do(self, asked: wire.Asked) -> Any:
        want = asked.want
        if isinstance(want, wire.Ping):
            return None
        if isinstance(want, wire.Open):
            # There from now on: who asks for it to be closed again before it is open must find it.
            line = self._lines[asked.line] = Line(self._around, asked.line, want)
            try:
                await line.open()
            except BaseException:
                self._lines.pop(asked.line, None)
                raise
            return None
        line_or_none = self._lines.get(asked.line)
        if line_or_none is None:
            raise base.ConnectionLost
        line = line_or_none
        match want:
            case wire.Close():
                await line.close()
                if line.let_go:
                    self._lines.pop(asked.line, None)
                return None
            case wire.Link():
                return await line.link(want.proxy)
            case wire.Connect():
                return await line.connect(want.proxy, seconds=asked.seconds)
        return await _on_the_wire(line, want, asked.seconds)

    def _stuck(self) -> None:
        """A session is kept by the library and cannot be ended but with this process: the others come back elsewhere.

        Not at once: what comes over their lines in this moment is on disk a moment later.
        """
        log.critical("the host ends, for the library keeps a session")
        asyncio.get_running_loop().call_later(0.2, os._exit, 4)

    def _told(self, line: int) -> int:
        return self._lines[line].last if line in self._lines else 0

    def _tell(self, message: wire.FromHost) -> None:
        self._writer.write(wire.framed(message))


async def _on_the_wire(line: Line, want: wire.AnyWant, seconds: float) -> Any:
    """What is asked of WhatsApp through a line that is connected; nobody waits for it any longer than `seconds`.

    Raises:
        NoAnswer: it takes longer; certain where the library was not even asked.
    """
    try:
        match want:
            case wire.LinkByCode():
                return await line.link_by_code(want.phone, want.proxy, seconds=seconds)
            case wire.Logout():
                return await line.logout()
        async with asyncio.timeout(seconds):
            match want:
                case wire.Send():
                    return await sending.send(line, want)
                case wire.Look():
                    return await performing.look(line)
                case wire.Perform():
                    return await performing.perform(line, want)
                case wire.Read():
                    return await performing.read(line, want)
    except TimeoutError:
        raise NoAnswer from None
    except refusals.Complaint as complaint:
        raise refusals.meant(complaint, want) from None
    raise base.ConnectionLost


async def main(descriptor: int, patience: float) -> None:
    """Serve the gateway at the other end of the inherited socket; the process ends with it."""
    loop = asyncio.get_running_loop()
    # The default pool has a handful of threads, too few for sessions that begin and end together.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="work"))
    library = await asyncio.to_thread(Library)
    connection = socket.socket(fileno=descriptor)
    connection.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    host = Host(library, reader, writer)
    status = 0
    try:
        await host.serve(patience)
    except TimeoutError:
        log.error("the gateway is silent, and the host ends")
        status = 1
    except Exception:
        log.exception("the host ends")
        status = 1
    # The gateway is gone, and its next life waits for the folders. The timer is a thread of C, which needs no lock that
    # native code may hold.
    faulthandler.dump_traceback_later(_END_SECONDS, exit=True)
    _speak_to_nobody()
    with contextlib.suppress(TimeoutError):
        await host.close()
    # Not by the loop's own end: that waits for threads, and native code need not return.
    _leave(status)


def _speak_to_nobody() -> None:
    """Where whoever read our log is gone, let it go nowhere: native code that writes to a broken pipe may be ended."""
    for descriptor in (1, 2):
        watched = select.poll()
        watched.register(descriptor, 0)
        if any(what & select.POLLERR for _, what in watched.poll(0)):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def log_as_the_gateway() -> None:
    """JSON on standard error; no exception shows what is in its variables, which may be what people say."""
    telemetry.setup(level="info", format="json", stream=sys.stderr)


def run() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m wagate.engines.whatsapp")
    parser.add_argument("--socket", type=int, required=True, metavar="FD")
    parser.add_argument("--patience", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--nice", type=int, default=0, metavar="N")
    given = parser.parse_args()
    os.umask(0o077)
    os.nice(given.nice)
    log_as_the_gateway()
    try:
        asyncio.run(main(given.socket, given.patience))
    except CannotLoad as reason:
        sys.stderr.write(f"{reason}\n")
        _leave(3)
    except OSError as error:
        sys.stderr.write(f"the host ends: {error}\n")
        _leave(1)


def _leave(status: int) -> NoReturn:
    # A session that nobody scanned cannot be stopped in the library: only the end of the process frees its threads.
    # Nobody may be left to read the log.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
