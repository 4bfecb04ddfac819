"""A child process: its end is found, and its last words are read, on either event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Any

import pytest

from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.child import Child
from wagate.engines.whatsapp.process import HostProcess, Lost

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The gateway runs on uvloop, which ends pipes in another way."""
    return "asyncio", {"use_uvloop": request.param}


async def started(script: str) -> Child:
    return await Child.start(["/bin/sh", "-c", script], pass_fds=(), env={"PATH": os.environ["PATH"]})


async def test_who_is_killed_has_ended_and_its_output_with_it() -> None:
    child = await started("echo last words; exec sleep 600")
    assert await child.stdout.readline() == b"last words\n"
    assert child.returncode is None
    child.kill()
    async with asyncio.timeout(60):
        await child.wait()
    assert child.returncode == -signal.SIGKILL
    # Not because nobody wanted to wait for it any longer.
    assert child._written.over.is_set()
    assert await child.stdout.read() == b""


async def test_who_ends_by_itself_says_how() -> None:
    child = await started("echo; exit 3")
    async with asyncio.timeout(60):
        await child.wait()
    assert child.returncode == 3
    child.kill()


async def test_somebody_else_who_has_the_output_is_not_waited_for() -> None:
    child = await started("sleep 600 & echo; exec sleep 600")
    try:
        await child.stdout.readline()
        child.kill()
        async with asyncio.timeout(60):
            await child.wait()
        assert not child._written.over.is_set()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


HANGS_UP = """
import os, socket, sys, time
from wagate.engines.whatsapp import wire
line = socket.socket(fileno=int(sys.argv[sys.argv.index("--socket") + 1]))
line.sendall(wire.framed(wire.Hello(library="none")))
line.close()
time.sleep(600)
"""


async def test_a_host_that_has_hung_up_and_lives_is_told_nothing_and_nobody_fails_for_it() -> None:
    host = HostProcess()
    await host.start([sys.executable, "-c", HANGS_UP])
    assert host._writer is not None
    async with asyncio.timeout(60):
        while not host._writer.is_closing():
            host.taken(1, 1)
            await asyncio.sleep(0.01)
    assert not host.gone.is_set()
    host.taken(1, 2)
    with pytest.raises(Lost):
        await host.ask(1, wire.Ping(), seconds=60)
    await host.stop(at_once=True)
