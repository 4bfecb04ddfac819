"""A host that keeps to nothing: what it prints is a log, what it does not read costs no memory, nonsense ends it."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.engines import until
from tests.support.hosts import HEAD
from tests.support.whatsapp import alive
from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.process import HostProcess
from wagate.errors import NoAnswer
from wagate.model.contents import TextContent
from wagate.model.messages import Outgoing

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PRINTS = """
while (asked := heard()) is not None:
    os.write(1, b"a word of the library's" + b"\\n" * (asked.id % 2))
    sys.stderr.write("fatal-looking \\x00\\xff nonsense " + "x" * 100_000 + "\\n")
    sys.stderr.flush()
    say(wire.Answered(id=asked.id, body=wire.body(asked.id)))
    print(b"\\x00\\x00\\x00\\x05hello", "in between", flush=True)
"""
READS_NOTHING = "time.sleep(600)"
SPEAKS_NONSENSE = """
heard()
line.sendall(b"\\x00\\x00\\x00\\x03abc")
time.sleep(600)
"""


@asynccontextmanager
async def host(program: str) -> AsyncIterator[HostProcess]:
    """A program in a host's place."""
    made = HostProcess()
    await made.start([sys.executable, "-c", HEAD + textwrap.dedent(program)])
    try:
        yield made
    finally:
        await made.stop(at_once=True)
        assert not alive(made.pid)


def large(octets: int) -> wire.Send:
    content = TextContent(text="x" * octets)
    return wire.Send(outgoing=Outgoing(wire_id=None, chat="99900000001@s.whatsapp.net", content=content))


async def test_a_program_that_cannot_be_started_is_a_line_to_try_again() -> None:
    with pytest.raises(base.ConnectionLost):
        await HostProcess().start(["/there/is/no/such/program"])


async def test_a_host_that_reads_nothing_costs_a_buffer_and_what_it_never_took_certainly_did_not_happen() -> None:
    async with host(READS_NOTHING) as made:
        want = large(1 << 20)
        tracemalloc.start()
        try:
            asked = [made.ask(1, want, seconds=1.0) for _ in range(50)]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            assert tracemalloc.get_traced_memory()[1] < 12 << 20
        finally:
            tracemalloc.stop()
        assert {type(each) for each in outcomes} == {NoAnswer}
        certain = [isinstance(each, NoAnswer) and each.details["certain"] for each in outcomes]
        assert certain.count(False) <= 2, "the one that was being written, and perhaps one in the socket"
        assert certain.count(True) >= 48
        assert await made.feel(0.1), "it is found to hang"


async def test_what_a_host_prints_is_its_log_and_breaks_no_frame() -> None:
    async with host(PRINTS) as made:
        for number in range(1, 40):
            answer = await made.ask(1, wire.Ping(), seconds=60)
            assert answer.body == wire.body(number)
        await until(lambda: any("a word of the library's" in line for line in made.log))
        assert all(len(line) <= 500 for line in made.log)


async def test_a_host_that_speaks_nonsense_is_ended_and_whoever_asked_is_told() -> None:
    async with host(SPEAKS_NONSENSE) as made:
        with pytest.raises(base.ConnectionLost):
            await made.ask(1, wire.Ping(), seconds=60)
        await until(made.gone.is_set)
        with pytest.raises(base.ConnectionLost):
            await made.ask(1, wire.Ping(), seconds=60)
