"""A child process, begun without stopping the event loop.

The loop's own way copies this process's page tables and waits for the copy to become the program: 8 to 30 ms on a busy
machine in which nobody is answered. `subprocess` lends the child this memory until then (vfork), which is over in one.
Used by process.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence

_LAST_WORDS_SECONDS = 1.0
"""After its end, for what it wrote before: somebody whom it started may hold the pipe for ever."""


class _Written(asyncio.StreamReaderProtocol):
    """Its output; `over` when it is closed."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.over = asyncio.Event()
        super().__init__(self.reader)

    def eof_received(self) -> bool:
        super().eof_received()
        self.over.set()
        # Nothing is written on it: uvloop would keep it open else.
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.over.set()


class Child:
    """A process in a session of its own. What it writes is read from `stdout`, which it has for its errors too."""

    def __init__(self, process: subprocess.Popen[bytes], written: _Written) -> None:
        self.stdout = written.reader
        self._process = process
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._status: int | None = None
        # Not one of a pool's, which others would wait for: a child lives for days.
        threading.Thread(target=self._reap, name=f"child {process.pid}", daemon=True).start()

    @classmethod
    async def start(cls, command: Sequence[str], *, pass_fds: Collection[int], env: Mapping[str, str]) -> Child:
        """Begin it.

        Raises:
            OSError: the program cannot be started.
        """
        process = subprocess.Popen(  # noqa: ASYNC220 - see above
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
            env=env,
        )
        written = _Written()
        child = cls(process, written)
        await asyncio.get_running_loop().connect_read_pipe(lambda: written, process.stdout)
        return child

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it lives."""
        return self._status

    async def wait(self) -> None:
        """Return when it has ended, and what it wrote was read."""
        await self._over.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._written.over.wait()

    def kill(self) -> None:
        """End it by force. Nothing where it has ended."""
        self._process.kill()

    def _reap(self) -> None:
        status = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._ended, status)

    def _ended(self, status: int) -> None:
        self._status = status
        self._over.set()
