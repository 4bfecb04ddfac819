"""What the network told and the gateway has not committed: it waits on disk, and is told once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engines import Recorder, jid, text
from tests.support.villagers import BEN, online, said, texts, village
from tests.support.whatsapp import Village, eventually, why_not
from wagate.engines.base import Arrived

__all__ = ["village"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


def memory(pid: int) -> int:
    """Octets of a process's own."""
    found = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon:")]
    return int(found[0].split()[1]) << 10


async def test_a_gateway_that_reads_nothing_leaves_it_on_disk_and_misses_nothing(village: Village) -> None:
    async with online(village, "s1", "s2", per_host=1, pulse=60.0) as (world, (ann, _), (_, sink)):
        (theirs,) = [host for host in world.engine._fleet.hosts() if host.pid == world.engine.host_of("s2")]
        assert theirs._writer is not None
        # As a process does that is stopped: its socket fills.
        theirs._writer.transport.pause_reading()  # type: ignore[attr-defined]
        expected = [f"{number} " + "x" * 20_000 for number in range(120)]
        before = memory(theirs.pid)
        for words in expected:
            await ann.send(text(None, BEN, words))
        await eventually(lambda: not world.device(BEN).waiting)
        # Acknowledged is not yet on disk.
        await eventually(lambda: (world.keys("s2") / "spool").stat().st_size > 120 * 20_000)
        assert memory(theirs.pid) - before < 40 << 20
        assert not sink.calls
        theirs._writer.transport.resume_reading()  # type: ignore[attr-defined]
        await texts(sink, *expected)


async def test_a_sink_that_waits_is_told_a_window_and_the_rest_stays_on_disk(village: Village) -> None:
    async with online(village, "s1", "s2") as (world, (ann, _), (_, sink)):
        sink.gate.clear()
        expected = [f"{number}" for number in range(80)]
        for words in expected:
            await ann.send(text(None, BEN, words))
        await eventually(lambda: not world.device(BEN).waiting and sink.holds(Arrived))
        # Acknowledged is not yet on disk.
        await eventually(lambda: (world.keys("s2") / "spool").stat().st_size > 80 * 50)
        assert sink.started == 1
        sink.gate.set()
        await texts(sink, *expected)
        await eventually(lambda: (world.keys("s2") / "spool").stat().st_size == 0)


async def test_a_sink_that_fails_is_asked_again_in_order(village: Village) -> None:
    async with online(village, "s1", "s2") as (_, (ann, _), (_, sink)):
        sink.failures = 2
        for words in ("one", "two", "three"):
            await ann.send(text(None, BEN, words))
        await texts(sink, "one", "two", "three")


async def test_what_was_spooled_and_not_committed_comes_in_the_next_engine(village: Village) -> None:
    async with online(village, "s1", "s2") as (world, (ann, _), (_, sink)):
        sink.gate.clear()
        for words in ("one", "two"):
            await ann.send(text(None, BEN, words))
        await eventually(lambda: not world.device(BEN).waiting)
        await world.engine.close()
        world.engine = world.another()
        again, later = await world.open("s2", jid=jid(BEN))
        await again.connect()
        await texts(later, "one", "two")
        assert not sink.calls


async def test_a_dead_connections_events_never_reach_a_later_one(village: Village) -> None:
    async with online(village, "s1", "s2") as (world, (ann, _), (ben, sink)):
        sink.gate.clear()
        await ann.send(text(None, BEN, "one"))
        await eventually(lambda: sink.holds(Arrived))
        await ben.close()
        again, later = await world.open("s2", jid=jid(BEN))
        await again.connect()
        await texts(later, "one")
        await ann.send(text(None, BEN, "two"))
        await texts(later, "one", "two")
        assert not sink.calls


async def test_who_comes_and_goes_among_messages_hears_each_once_and_ends_no_host(village: Village) -> None:
    async with online(village, "s1", "s2") as (world, (ann, _), (ben, sink)):
        (pid,) = world.engine.hosts
        sinks, expected = [sink], list[str]()
        for _ in range(3):
            await ben.close()
            for _ in range(30):
                expected.append(f"{len(expected)}")
                await ann.send(text(None, BEN, expected[-1]))
            sinks.append(Recorder())
            ben, _ = await world.open("s2", jid=jid(BEN), sink=sinks[-1])
            await ben.connect()
            # The library has the next ones in its hands when it is told to stop.
            await eventually(lambda: sinks[-1].of(Arrived))
        await eventually(lambda: sum(len(said(each)) for each in sinks) >= len(expected))
        assert [words for each in sinks for words in said(each)] == expected
        assert world.engine.hosts == [pid]
