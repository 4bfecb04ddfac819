"""A session's side of the wall, a program in the host's place: what a host says, and whoever gives up meanwhile."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.engines import ORG, Recorder, settle, until
from tests.support.hosts import HEAD
from tests.support.whatsapp import alive
from wagate.backends.blobs import DiskBlobs
from wagate.engines.base import Account, ConnectionLost, LineLost
from wagate.engines.whatsapp.connection import WhatsAppConnection
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.engines.whatsapp.fleet import Hosts

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

BREAKS_AT_ONCE = """
connects = 0
while (asked := heard()) is not None:
    if isinstance(asked.want, wire.Connect):
        connects += 1
        lost = wire.Told(line=asked.line, number=0, reports=[wire.report(base.LineLost())])
        answer = wire.Answered(id=asked.id, body=wire.body(None))
        line.sendall(wire.framed(answer) + (wire.framed(lost) if connects == 1 else b""))
    elif isinstance(asked.want, wire.Look):
        if connects > 1:
            done(asked, base.Snapshot(groups=[], people=[]))
        else:
            say(wire.Failed(id=asked.id))
    else:
        done(asked)
"""
LETS_GO_SLOWLY = """
from pathlib import Path
place = Path(sys.argv[1])
while (asked := heard()) is not None:
    if isinstance(asked.want, wire.Close):
        (place / "asked").touch()
        while not (place / "go").exists():
            time.sleep(0.01)
    done(asked)
"""
REFUSES_TO_UNLINK = """
while (asked := heard()) is not None:
    if isinstance(asked.want, wire.Logout):
        say(wire.Failed(id=asked.id, error=to_wire(Refused(waCode=400))))
    else:
        done(asked)
"""


@asynccontextmanager
async def engine(folder: Path, command: list[str]) -> AsyncIterator[WhatsAppEngine]:
    """An engine whose hosts are a program of ours."""
    files = DiskBlobs(folder / "blobs")
    made = WhatsAppEngine(folder / "sessions", files, hosts=Hosts(command=command))
    try:
        yield made
    finally:
        await made.close()
        await files.close()


def program(text: str, *told: Path) -> list[str]:
    return [sys.executable, "-c", HEAD + textwrap.dedent(text), *map(str, told)]


async def opened(made: WhatsAppEngine) -> tuple[WhatsAppConnection, Recorder]:
    sink = Recorder()
    account = Account(session_id="s1", organization_id=ORG, jid="99900000001@s.whatsapp.net")
    return await made.open(account, sink), sink


async def test_a_line_that_breaks_as_it_is_there_is_made_anew(tmp_path: Path) -> None:
    async with engine(tmp_path, program(BREAKS_AT_ONCE)) as made:
        connection, sink = await opened(made)
        await connection.connect()
        await until(lambda: sink.of(LineLost))
        for _ in range(5):
            try:
                await connection.connect()
                await connection.snapshot()
                return
            except ConnectionLost:
                continue
        pytest.fail("it was never connected again")


async def test_whoever_gives_up_waiting_for_the_end_leaves_no_host_behind(tmp_path: Path) -> None:
    async with engine(tmp_path, program(LETS_GO_SLOWLY, tmp_path)) as made:
        connection, _ = await opened(made)
        await connection.connect()
        (pid,) = made.hosts
        closing = asyncio.ensure_future(connection.close())
        await until((tmp_path / "asked").exists)
        closing.cancel()
        await settle()
        assert not closing.done(), "the host has the session's keys in its hands still"
        (tmp_path / "go").touch()
        await asyncio.gather(closing, return_exceptions=True)
        await until(lambda: not made.hosts)
        assert not alive(pid)


async def test_where_unlinking_is_refused_it_can_be_tried_again(tmp_path: Path) -> None:
    async with engine(tmp_path, program(REFUSES_TO_UNLINK)) as made:
        connection, _ = await opened(made)
        await connection.connect()
        with pytest.raises(ConnectionLost):
            await connection.logout()


async def test_a_host_that_cannot_even_be_started_is_a_line_to_try_again(tmp_path: Path) -> None:
    async with engine(tmp_path, [str(tmp_path / "nobody")]) as made:
        connection, _ = await opened(made)
        with pytest.raises(ConnectionLost):
            await connection.connect()
