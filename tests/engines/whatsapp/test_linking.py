"""Linking through the engine: by QR and by code, against the emulator, with the unmodified library in its hosts."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from tests.emulator.refusals import Refusal
from tests.support.engines import ORG, jid, text
from tests.support.whatsapp import WhatsApp, alive, eventually, why_not
from wagate.engines.base import Account, Arrived, ConnectionLost, LineLost, Linked, LinkEnded, LinkTimedOut, QrShown
from wagate.engines.whatsapp import stored
from wagate.errors import NotFound, Refused
from wagate.model.actions import RequestCode

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

ANN, BEN = "99900000001", "99900000002"


async def test_without_keys_nothing_connects(world: WhatsApp) -> None:
    connection, sink = await world.open("s1")
    with pytest.raises(LinkEnded) as caught:
        await connection.connect()
    assert (caught.value.status, caught.value.reason) == ("logged_out", "unlinked")
    with pytest.raises(ConnectionLost):
        await connection.send(text(None, BEN))
    assert not sink.reports


async def test_a_code_that_is_not_shown_links_nobody(world: WhatsApp) -> None:
    connection, sink = await world.open("s1")
    await connection.link()
    await eventually(lambda: sink.of(QrShown))
    with pytest.raises(Refusal):
        await world.emulator.person(ANN).scan(sink.of(QrShown)[0].code.replace("#", "#wrong"))
    assert not world.emulator.person(ANN).devices
    assert not sink.of(Linked)


async def test_what_is_in_the_place_of_a_sessions_folder_is_told_plainly(world: WhatsApp) -> None:
    world.keys("s1").parent.mkdir(mode=0o700)
    world.keys("s1").touch()
    connection, _ = await world.open("s1")
    with capture_logs() as logs:
        with pytest.raises(ConnectionLost):
            await connection.link()
        # The host's log comes by another way than its answer.
        await eventually(lambda: any("cannot be opened" in line.get("line", "") for line in logs))
    assert not [line for line in logs if "Traceback" in str(line) or line["event"] == "a session cannot begin"]


async def test_a_store_that_the_library_cannot_use_is_told(world: WhatsApp) -> None:
    world.keys("s1").mkdir(mode=0o700, parents=True)
    with closing(sqlite3.connect(world.keys("s1") / stored.FILE)) as store:
        store.execute("CREATE TABLE whatsmeow_version (version INTEGER, compat INTEGER)")
        store.execute("INSERT INTO whatsmeow_version VALUES (9999, 9999)")
        store.commit()
    connection, sink = await world.open("s1")
    with capture_logs() as logs:
        await connection.link()
        await eventually(lambda: sink.of(LineLost))
        await eventually(lambda: any("failed to upgrade database" in line.get("line", "") for line in logs))
    assert {line["log_level"] for line in logs if "line ended" in line.get("line", "")} == {"warning"}


@pytest.mark.long
async def test_when_all_codes_are_used_up_linking_has_ended_and_can_begin_again(world: WhatsApp) -> None:
    # The library shows the first code for a minute, and each further one for 20 seconds.
    world.emulator.linking.refs = 2
    connection, sink = await world.open("s1")
    await connection.link()
    await eventually(lambda: sink.of(LinkTimedOut), seconds=150)
    codes = [shown.code for shown in sink.of(QrShown)]
    assert len(set(codes)) == len(codes) == 2
    assert isinstance(sink.reports[-1], LinkTimedOut)
    assert not sink.of(LineLost)
    await connection.link()
    await eventually(lambda: len(sink.of(QrShown)) == 3)
    await world.emulator.person(ANN).scan(sink.of(QrShown)[-1].code)
    await eventually(lambda: sink.of(Linked))


async def test_a_host_that_does_not_trust_the_network_shows_no_code(world: WhatsApp) -> None:
    world.engine = world.another(command=world.command(trusts=False))
    connection, sink = await world.open("s1")
    await connection.link()
    await eventually(lambda: sink.of(LineLost))
    assert not sink.of(QrShown)


async def test_a_proxy_that_is_not_there_is_a_lost_line_and_no_end(world: WhatsApp) -> None:
    connection, sink = await world.open("s1", proxy="http://127.0.0.1:1")
    await connection.link()
    await eventually(lambda: sink.of(LineLost))
    assert not sink.of(QrShown)


async def test_two_accounts_link_talk_and_come_again_without_linking(world: WhatsApp) -> None:
    ann, ann_sink = await world.link("s1", ANN)
    (linked,) = ann_sink.of(Linked)
    assert (linked.pairing.jid, str(linked.pairing.lid).endswith("@lid")) == (jid(ANN), True)
    await ann.connect()
    _, ben_sink = await world.linked("s2", BEN)
    ack = await ann.send(text(None, BEN, "hello"))
    await eventually(lambda: ben_sink.of(Arrived))
    (arrived,) = ben_sink.of(Arrived)
    assert (arrived.wire_id, arrived.chat, arrived.sender) == (ack.wire_id, jid(ANN), jid(ANN))
    pids = world.engine.hosts
    assert len(pids) == 1, "both are in one shard, and the hosts they linked in are gone"
    await world.engine.close()
    assert not any(map(alive, pids))
    world.engine = world.another()
    again, again_sink = await world.open("s2", jid=jid(BEN))
    await again.connect()
    assert not again_sink.of(QrShown)
    await again.send(text(None, ANN, "are you there?"))
    first, first_sink = await world.open("s1", jid=jid(ANN))
    await first.connect()
    await eventually(lambda: first_sink.of(Arrived))
    assert world.emulator.proxy.refused == []


async def test_a_code_that_is_typed_into_the_phone_links(world: WhatsApp) -> None:
    connection, sink = await world.open("s1")
    await connection.link()
    code = (await connection.perform(RequestCode(phone=ANN))).code
    assert (len(code), code[4]) == (9, "-")
    await world.emulator.person(ANN).type_in(code)
    await eventually(lambda: sink.of(Linked))
    await connection.connect()


async def test_a_number_without_an_account_gets_no_code(world: WhatsApp) -> None:
    connection, sink = await world.open("s1")
    with pytest.raises((NotFound, Refused)):
        await connection.perform(RequestCode(phone="99930000001"))
    assert not sink.of(Linked)


async def test_what_is_kept_of_a_session_is_this_users_alone_and_goes_with_it(world: WhatsApp) -> None:
    connection, _ = await world.linked("s1", ANN)
    place = world.keys("s1")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    await connection.close()
    await world.engine.forget(Account(session_id="s1", organization_id=ORG, jid=jid(ANN)))
    assert not place.exists()
    again, _ = await world.open("s1")
    with pytest.raises(LinkEnded):
        await again.connect()
