"""What the network and the machine do to linked sessions: each is told for what it is, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest

import tests.emulator.emulator as emulator_module
from tests.emulator.emulator import DEAD_PROXY, Emulator
from tests.emulator.nodes import Node, parse
from tests.support.engines import Recorder, connected, jid, text
from tests.support.villagers import ANN, BEN, CAT, online, said, texts, village
from tests.support.whatsapp import PATIENCE, Village, WhatsApp, alive, eventually, why_not
from wagate.engines.base import Arrived, ConnectionLost, Ended, LineLost, LinkEnded
from wagate.errors import NoAnswer

__all__ = ["village"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def refusal(connection: Any) -> Ended:
    """Why a session is not let in. A line may break before the reason was heard: the next one hears it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await connection.connect()
            except LinkEnded as ended:
                return Ended(status=ended.status, reason=ended.reason, until=ended.until)
            except ConnectionLost:
                continue
            raise AssertionError("it was let in")


# Refused.


async def test_two_engines_on_one_folder_never_hold_the_keys_together(village: Village) -> None:
    async with online(village, "s1") as (world, (ann, _)):
        other = world.another()
        second = await other.open(world.account("s1", jid=jid(ANN)), Recorder())
        logins = world.device(ANN).logins
        with pytest.raises(ConnectionLost):
            await second.connect()
        assert world.device(ANN).logins == logins
        await ann.close()
        await second.connect()
        assert world.device(ANN).logins == logins + 1
        await other.close()


async def test_a_proxy_that_is_gone_is_a_line_to_try_again_and_nothing_goes_past_it(village: Village) -> None:
    past = list[object]()

    async def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        past.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(came, "127.0.0.1", 0)
    elsewhere = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, online(village, "s1") as (world, (ann, _)):
        await ann.close()
        # Whatever the library would reach without its proxy, it would reach by this one.
        ways = [f"{name}={elsewhere}" for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy")]
        other = world.another(command=[*world.command()[:-3], *ways, *world.command()[-3:]])
        logins = world.device(ANN).logins
        try:
            for gone in ("http://127.0.0.1:1", "socks5://127.0.0.1:1"):
                again = await other.open(world.account("s1", jid=jid(ANN), proxy=gone), Recorder())
                with pytest.raises(ConnectionLost):
                    await again.connect()
                await again.close()
            assert (past, world.device(ANN).logins) == ([], logins)
            # It would have come there.
            account = msgspec.structs.replace(world.account("s1", jid=jid(ANN)), proxy_url=None)
            bare = await other.open(account, Recorder())
            with pytest.raises(ConnectionLost):
                await bare.connect()
            assert past
        finally:
            await other.close()
        third, _ = await world.open("s1", jid=jid(ANN))
        await third.connect()


async def test_a_socks_proxy_of_a_session_is_not_the_way_to_the_environments(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, DEAD_PROXY)
    async with online(village, "s1") as (world, (ann, _)):
        await ann.close()
        other = world.another(command=world.command(proxied=False))
        try:
            again = await other.open(world.account("s1", jid=jid(ANN), proxy=village.emulator.socks_url), Recorder())
            await again.connect()
            # Who has none of their own goes by the environment's: not from this host.
            account = msgspec.structs.replace(world.account("s2", jid=jid(BEN)), proxy_url=None)
            bare = await other.open(account, Recorder())
            with pytest.raises(LinkEnded):
                await bare.connect()
            assert {other.host_of("s1"), other.host_of("s2")} == set(other.hosts)
            assert len(other.hosts) == 2
        finally:
            await other.close()
        third, _ = await world.open("s1", jid=jid(ANN))
        await third.connect()


@pytest.mark.parametrize(
    ("what", "end"),
    [
        ("replace", Ended(status="failed", reason="replaced")),
        ("outdate", Ended(status="failed", reason="client_outdated")),
        ("ban", Ended(status="failed", reason="temp_banned")),
        ("ban_for_ever", Ended(status="logged_out", reason="banned")),
    ],
)
async def test_an_end_is_told_for_what_it_is(village: Village, what: str, end: Ended) -> None:
    person = village.emulator.person(ANN)
    begun = time.time()
    async with online(village, "s1") as (_, (ann, sink)):
        try:
            await getattr(person, what)(*([3600] if what == "ban" else []))
            await eventually(lambda: sink.reports)
            if sink.reports == [LineLost()]:
                # The refusal is what the next login hears.
                told = await refusal(ann)
            else:
                (told,) = sink.of(Ended)
                assert sink.reports == [told]
            assert (told.status, told.reason) == (end.status, end.reason)
            assert (told.until is not None) == (what == "ban")
            # An hour from then on, however long the rest of this took.
            assert told.until is None or 3500 < told.until / 1000 - begun < 7000
            with pytest.raises(ConnectionLost):
                await ann.send(text(None, BEN))
        finally:
            person.pardon()


async def test_unlinked_on_the_phone_ends_the_link_now_or_at_the_next_login() -> None:
    async with Emulator() as emulator:
        world = WhatsApp(emulator)
        ann, sink = await world.linked("s1", ANN)
        await emulator.person(ANN).unlink()
        await eventually(lambda: sink.of(Ended))
        assert sink.of(Ended) == [Ended(status="logged_out", reason="unlinked")]
        with pytest.raises(LinkEnded):
            await ann.connect()
        await ann.close()
        await world.close()


# What breaks.


async def test_a_dropped_line_is_told_once_and_comes_back(village: Village) -> None:
    async with online(village, "s1", "s2") as (world, (ann, sink), (ben, _)):
        world.emulator.person(ANN).drop()
        await eventually(lambda: sink.reports)
        assert sink.reports == [LineLost()]
        with pytest.raises(ConnectionLost):
            await ann.send(text(None, BEN))
        await ben.send(text(None, ANN, "while away"))
        await ann.connect()
        await texts(sink, "while away")


async def test_what_the_library_cannot_hand_over_ends_the_line_and_the_connection_with_it(village: Village) -> None:
    async with online(village, "s1", "s2") as (world, (ann, sink), (ben, _)):
        # Of this kind of receipt the bridge to the library can make no event, and gives the session up.
        receipt = {"from": parse(jid(BEN)), "id": "3EB0FF", "type": "server-error", "t": int(time.time())}
        await world.device(ANN).deliver(Node("receipt", receipt), keep=False)
        await eventually(lambda: sink.reports)
        assert sink.reports == [LineLost()]
        # Nobody is left behind who would acknowledge what nobody hears.
        await eventually(lambda: world.device(ANN).line is None)
        await ben.send(text(None, ANN, "while away"))
        await ann.connect()
        await texts(sink, "while away")
        assert world.device(ANN).collisions == 0


async def test_a_host_in_which_sessions_began_often_is_left_for_another(village: Village) -> None:
    async with online(village, "s1", "s2", beginnings=3) as (world, (ann, sink), (ben, _)):
        (worn,) = world.engine.hosts
        for beginning in range(2):
            sink.forget()
            world.emulator.person(ANN).drop()
            await eventually(lambda: sink.of(LineLost))
            await ann.connect()
            same = world.engine.host_of("s1") == worn
            assert same is (beginning == 0), "two began in it before, and one again"
        assert world.engine.host_of("s2") == worn, "who does not begin anew stays"
        await ben.close()
        assert not alive(worn)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGABRT])
async def test_a_host_that_dies_takes_its_sessions_offline_and_nothing_else(village: Village, how: int) -> None:
    async with online(village, "s1", "s2") as (world, (ann, ann_sink), (ben, ben_sink)):
        (pid,) = world.engine.hosts
        ben_sink.gate.clear()
        await ann.send(text(None, BEN, "before"))
        await eventually(lambda: ben_sink.holds(Arrived))
        os.kill(pid, how)
        await eventually(lambda: not world.engine.hosts)
        await eventually(lambda: ann_sink.of(LineLost))
        ben_sink.gate.set()
        await eventually(lambda: ben_sink.of(LineLost))
        for line in (ann, ben):
            await line.connect()
        await ann.send(text(None, BEN, "after"))
        await eventually(lambda: "after" in said(ben_sink))
        # The first was with the sink when the host died: it may come again, and is known by its id then.
        assert list(dict.fromkeys(said(ben_sink))) == ["before", "after"]


async def test_a_host_that_hangs_is_found_and_killed_and_the_others_resume(village: Village) -> None:
    async with online(village, "s1", "s2", pulse=1.0) as (world, (ann, ann_sink), (ben, ben_sink)):
        (pid,) = world.engine.hosts
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises((NoAnswer, ConnectionLost)):
            await ann.send(text(None, BEN))
        await eventually(lambda: ann_sink.of(LineLost) and ben_sink.of(LineLost))
        assert not alive(pid)
        await connected(ann)
        await connected(ben)
        await ann.send(text(None, BEN, "again"))
        await eventually(lambda: "again" in said(ben_sink))


async def test_closing_a_session_in_a_host_that_hangs_ends_the_host(village: Village) -> None:
    async with online(village, "s1", "s2", pulse=60.0) as (world, (ann, _), (_, ben_sink)):
        (pid,) = world.engine.hosts
        os.kill(pid, signal.SIGSTOP)
        await ann.close()
        assert not alive(pid)
        await eventually(lambda: ben_sink.of(LineLost))


async def test_who_kills_its_host_again_and_again_is_given_up_and_its_neighbours_go_on(village: Village) -> None:
    async with online(village, "s1", "s2", "s3") as (world, (ann, sink), *neighbours):
        assert len(world.engine.hosts) == 1, "they share a shard"
        for death in range(5):
            # Once may be the machine's doing. The second leaves three suspects, who live alone from then on; the three
            # that follow are sure.
            theirs = world.engine.host_of("s1")
            assert theirs is not None
            sink.forget()
            os.kill(theirs, signal.SIGKILL)
            await eventually(lambda: sink.reports)
            if death < 4:
                assert sink.reports == [LineLost()]
                await ann.connect()
            if death < 2:
                for line, heard in neighbours:
                    await eventually(lambda heard=heard, death=death: len(heard.reports) > death)
                    await line.connect()
                found = {world.engine.host_of(id) for id in ("s1", "s2", "s3")}
                assert len(found) == (3 if death else 1), "together once more, then each alone"
        assert sink.reports == [Ended(status="failed", reason="engine_crashed")]
        assert all(heard.reports == [LineLost()] * 2 for _, heard in neighbours)
        (ben, _), (_, cats) = neighbours
        await ben.send(text(None, CAT, "we go on"))
        await texts(cats, "we go on")


@pytest.mark.long
async def test_a_deaf_line_is_replaced_within_ninety_seconds(village: Village) -> None:
    async with online(village, "s1") as (world, (ann, sink)):
        world.emulator.person(ANN).deafen()
        await eventually(lambda: sink.of(LineLost), seconds=95)
        await ann.connect()


async def test_a_dead_proxy_is_never_gone_past(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    # The emulator's own proxy stands in the environment: whoever passed the session's by would get through.
    async with online(village, "s1") as (world, (ann, _)):
        await ann.close()
        monkeypatch.setattr(emulator_module, "DEAD_PROXY", world.emulator.proxy_url)
        await world.engine.close()
        world.engine = world.another(command=world.command())
        asked = len(world.emulator.proxy.asked)
        lost, _ = await world.open("s1", jid=jid(ANN), proxy=nobody_listens())
        for _ in range(3):
            with pytest.raises(ConnectionLost):
                await lost.connect()
        assert len(world.emulator.proxy.asked) == asked
        assert not world.emulator.proxy.refused
        await lost.close()


def nobody_listens() -> str:
    """A proxy's address where nobody is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


# What waits.


async def test_close_during_connect_leaves_nothing_behind(village: Village) -> None:
    async with online(village, "s1") as (world, (ann, _)):
        await ann.close()
        for moment in (0.0, 0.2, 0.8):
            connection, sink = await world.open("s1", jid=jid(ANN))
            connecting = asyncio.ensure_future(connection.connect())
            await asyncio.sleep(moment)
            async with asyncio.timeout(60):
                await connection.close()
                (outcome,) = await asyncio.gather(connecting, return_exceptions=True)
            assert outcome is None or isinstance(outcome, ConnectionLost)
            assert not sink.reports
            await eventually(lambda: not world.engine.hosts)
        third, _ = await world.open("s1", jid=jid(ANN))
        await third.connect()


async def test_a_host_ends_by_itself_when_the_gateway_is_killed(world: WhatsApp) -> None:
    program = (
        "import asyncio, sys\n"
        "from wagate.engines.whatsapp.process import HostProcess\n"
        "async def main():\n"
        "    host = HostProcess()\n"
        "    await host.start(sys.argv[1:])\n"
        "    print(host.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    gateway = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", program, *world.command()], stdout=subprocess.PIPE, text=True
    )
    assert gateway.stdout is not None
    try:
        said = ""
        while not said.strip().isdigit():
            said = await asyncio.to_thread(gateway.stdout.readline)
        pid = int(said)
        assert alive(pid)
    finally:
        gateway.kill()
        await asyncio.to_thread(gateway.wait)
        gateway.stdout.close()
    await eventually(lambda: not alive(pid))


async def test_a_gateway_that_stands_still_loses_its_hosts_before_another_may_have_its_leases(world: WhatsApp) -> None:
    program = (
        "import asyncio, sys\n"
        "from wagate.engines.whatsapp.process import HostProcess\n"
        "async def main():\n"
        "    host = HostProcess()\n"
        "    await host.start(sys.argv[1:], patience=4.0)\n"
        "    print(host.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    gateway = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", program, *world.command()], stdout=subprocess.PIPE, text=True
    )
    assert gateway.stdout is not None
    try:
        said = ""
        while not said.strip().isdigit():
            said = await asyncio.to_thread(gateway.stdout.readline)
        pid = int(said)
        os.kill(gateway.pid, signal.SIGSTOP)
        await eventually(lambda: not alive(pid))
    finally:
        gateway.kill()
        await asyncio.to_thread(gateway.wait)
        gateway.stdout.close()
