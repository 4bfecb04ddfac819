"""WebSockets on real sockets: what is seen and in which order, and how it ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.gateways import events, exactly, home, key
from tests.support.readers import (
    PATIENCE,
    Owner,
    closed,
    codes,
    cut,
    frames,
    place,
    record,
    ticket,
    watching,
)
from wagate import testing
from wagate.gateway import events as log
from wagate.gateway import tickets
from wagate.model.organizations import CAPABILITIES, Caller
from wagate.model.realtime import AskTicket
from wagate.testing import SandboxGateway

DAY = 86_400
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data", cors_origins=(PAGE,)) as running:
        yield running


@pytest.fixture
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose clock only the test turns."""
    with testing.gateway(tmp_path_factory.mktemp("still") / "data", clock="manual") as running:
        yield running


@pytest.fixture
def owner(wagate: SandboxGateway) -> Owner:
    return Owner(wagate)


# Seen


def test_first_comes_connected_then_each_event_as_one_text_in_the_logs_order(owner: Owner) -> None:
    owner.record("before")
    with connect(ticket(owner.wagate, owner.key)) as line:
        assert line.protocol.extensions == []
        first = json.loads(line.recv(PATIENCE))
        exactly(first, "event heartbeatSeconds timestamp")
        assert (first["event"], first["heartbeatSeconds"]) == ("connected", 20)
        for number in range(20):
            owner.record(f"{number}a", f"{number}b")
        found = frames(line, 40)
    assert found == owner.log()[1:]


def test_names_and_sessions_filter(owner: Owner) -> None:
    mine, other = owner.session(), owner.session()
    limited = key(owner.wagate, owner=owner.id, sessions=[mine])
    with (
        owner.watching(scope="session", session=mine) as by_session,
        watching(owner.wagate, limited) as by_key,
        owner.watching(events=["auth.qr"]) as by_name,
        owner.watching(events=[]) as nothing,
        owner.watching(events=["message", "*"], session=mine) as everything,
    ):
        for number in range(10):
            owner.record(f"{number}a", session=other)
            owner.record(f"{number}b", session=mine, name="auth.code")
            owner.record(f"{number}c", session=mine)
        whole = owner.log()
        of_mine = [each for each in whole if each["session"] == mine]
        assert frames(by_session, len(of_mine)) == of_mine
        assert frames(by_key, len(of_mine)) == of_mine
        named = [each for each in whole if each["event"] == "auth.qr"]
        assert frames(by_name, len(named)) == named
        assert frames(everything, len(whole)) == whole
        with pytest.raises(TimeoutError):
            nothing.recv(0.1)


def test_no_frame_goes_to_a_foreign_organization(wagate: SandboxGateway) -> None:
    one, two = Owner(wagate), Owner(wagate)
    with one.watching() as first, two.watching() as second, one.watching(since="") as third:
        for number in range(50):
            one.record(f"one {number}")
            two.record(f"two {number}")
        assert {each["organization"] for each in frames(first, 50) + frames(third, 50)} == {one.id}
        assert {each["organization"] for each in frames(second, 50)} == {two.id}
        for line in (first, second, third):
            with pytest.raises(TimeoutError):
                line.recv(0.05)


def test_since_replays_and_goes_over_to_live(owner: Owner) -> None:
    owner.record(*map(str, range(2500)))
    whole = owner.log()
    with owner.watching(since=whole[99]["id"]) as line:
        assert frames(line, 2400) == whole[100:]
        owner.record("live")
        assert codes(frames(line, 1)) == ["live"]


@pytest.mark.slow
def test_from_replay_to_live_there_is_no_gap_and_no_repeat_under_load(owner: Owner) -> None:
    owner.record("0")
    first = owner.log()[0]["id"]
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            owner.record(*(f"{number}.{part}" for part in range(7)))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[list[Any]] = []
    try:
        for _ in range(12):
            with owner.watching(since=first) as line:
                seen.append(frames(line, 400 + 150 * len(seen)))
                cut(line)
    finally:
        stop.set()
        writer.join(PATIENCE)
    whole = owner.log()[1:]
    for found in seen:
        assert found == whole[: len(found)]


@pytest.mark.slow
def test_who_is_cut_off_again_and_again_and_resumes_has_exactly_the_log(owner: Owner) -> None:
    owner.record("first")
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.005):
            owner.record("x", "y")

    writer = threading.Thread(target=write)
    writer.start()
    found: list[Any] = []
    since = owner.log()[0]["id"]
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        with owner.watching(since=since) as line:
            found += frames(line, 40)
            cut(line)
        since = found[-1]["id"]
    stop.set()
    writer.join(PATIENCE)
    rest = len(owner.log()) - 1 - len(found)
    with owner.watching(since=since) as line:
        found += frames(line, rest)
    assert found == owner.log()[1:]


def test_a_ping_comes_every_20_seconds(still: SandboxGateway) -> None:
    with watching(still) as line:
        for _ in range(3):
            still.advance(20)
            (ping,) = frames(line, 1)
            exactly(ping, "event timestamp")
            assert ping == {"event": "ping", "timestamp": still.running.gw.clock.now()}


def test_the_firehose_pings_once_for_all_logs(still: SandboxGateway) -> None:
    gw, mine = still.running.gw, home(still)
    for _ in range(3):
        Owner(still)
    who = Caller(organization_id=mine, user_id="usr_1", capabilities=frozenset({*CAPABILITIES, "super_admin"}))
    secret = still.run(tickets.issue(gw, who, AskTicket(scope="firehose")))
    with connect(place(still, f"?ticket={secret}")) as line:
        frames(line, 1)
        still.until(lambda: len(gw.feeds) == 4)
        for code in ("1", "2"):
            still.advance(20)
            still.run(record(gw, mine, code))
            ping, event = frames(line, 2)
            assert (ping["event"], event["payload"]) == ("ping", {"code": code})


def test_since_that_has_left_the_log_is_told_and_everything_from_the_oldest_follows(still: SandboxGateway) -> None:
    gw, mine = still.running.gw, home(still)
    still.run(record(gw, mine, *map(str, range(5))))
    old = events(still)[0]["id"]
    still.advance(8 * DAY)
    still.run(log.expire(gw))
    still.run(record(gw, mine, *map(str, range(5, 9))))
    kept = events(still)
    assert codes(kept) == ["5", "6", "7", "8"]
    with watching(still, since=old) as line:
        assert frames(line, 1) == [{"event": "cursor_expired", "oldest": kept[0]["id"]}]
        assert frames(line, 4) == kept
        still.run(record(gw, mine, "live"))
        assert codes(frames(line, 1)) == ["live"]


def test_the_firehose_shows_every_organization(wagate: SandboxGateway, owner: Owner) -> None:
    gw, other = wagate.running.gw, Owner(wagate)
    who = Caller(organization_id=owner.id, user_id="usr_1", capabilities=frozenset({*CAPABILITIES, "super_admin"}))
    owner.record("before")
    secret = wagate.run(tickets.issue(gw, who, AskTicket(scope="firehose")))
    with connect(place(wagate, f"?ticket={secret}")) as line:
        frames(line, 1)
        owner.record("1"), other.record("2")
        late = Owner(wagate)
        late.record("3")
        found = frames(line, 3)
    assert {(each["organization"], each["payload"]["code"]) for each in found} == {
        (owner.id, "1"), (other.id, "2"), (late.id, "3"),
    }  # fmt: skip
    with pytest.raises(Exception, match="firehose"):
        wagate.run(tickets.issue(gw, who, AskTicket(scope="firehose", since=owner.log()[0]["id"])))


# Ended


def test_a_revoked_keys_connections_are_closed_within_a_second_and_no_others(
    wagate: SandboxGateway, owner: Owner
) -> None:
    made = wagate.ask("POST", "/keys", {"name": "k", "permissions": ["events"]}, key=owner.key).body
    with (
        watching(wagate, made["secret"]) as first,
        watching(wagate, made["secret"]) as second,
        owner.watching() as other,
    ):
        started = time.monotonic()
        wagate.ask("DELETE", f"/keys/{made['id']}", key=owner.key)
        for line in (first, second):
            code, before = closed(line)
            assert code == 4401
            assert [each["event"] for each in before] == ["error"]
            assert before[0]["error"]
        assert time.monotonic() - started < 1
        owner.record("1")
        assert codes(frames(other, 1)) == ["1"]


def test_a_key_that_another_process_revokes_is_found_within_a_second(wagate: SandboxGateway, owner: Owner) -> None:
    made = wagate.ask("POST", "/keys", {"name": "k", "permissions": ["events"]}, key=owner.key).body
    gw = wagate.running.gw

    async def remove() -> None:
        async def work(tx: Any) -> None:
            await tx.run("DELETE FROM keys WHERE id = :id", id=made["id"])

        await gw.db.write(work)

    with watching(wagate, made["secret"]) as line:
        started = time.monotonic()
        wagate.run(remove())
        assert closed(line)[0] == 4401
        assert time.monotonic() - started < 1


def test_a_rotated_and_an_expired_key_end_their_connections(still: SandboxGateway) -> None:
    made = still.post("/keys", {"name": "k", "permissions": ["events"]})
    with watching(still, made["secret"]) as line:
        still.post(f"/keys/{made['id']}:rotate")
        assert closed(line)[0] == 4401
    short = key(still, "events", expires_at=still.running.gw.clock.now() + 10_000)
    with watching(still, short) as line:
        still.advance(11)
        assert closed(line)[0] == 4401


def test_when_the_gateway_stops_connections_end_with_1001(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ExitStack() as stack:
        with testing.gateway(tmp_path_factory.mktemp("stopping") / "data") as running:
            line = stack.enter_context(watching(running))
            started = time.monotonic()
        code, before = closed(line)
        assert (code, [each["event"] for each in before]) == (1001, ["error"])
        assert time.monotonic() - started < 10
