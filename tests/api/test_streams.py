"""Server-sent events on real sockets: the same log in the same order, resumed by `Last-Event-ID`, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.gateways import events, home, invalid, key, refused
from tests.support.readers import Owner, Stream, record
from wagate import testing
from wagate.gateway import events as log
from wagate.testing import SandboxGateway

DAY = 86_400
WHERE = "/events/stream"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data") as running:
        yield running


@pytest.fixture
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose clock only the test turns."""
    with testing.gateway(tmp_path_factory.mktemp("still") / "data", clock="manual") as running:
        yield running


@pytest.fixture
def owner(wagate: SandboxGateway) -> Owner:
    return Owner(wagate)


# Refused


def test_the_capability_is_events_and_what_is_foreign_is_404(wagate: SandboxGateway, owner: Owner) -> None:
    refused(wagate.ask("GET", WHERE, key=key(wagate, "read", "send", "manage")), 403, "forbidden")
    foreign = wagate.post("/sessions")["id"]
    refused(wagate.ask("GET", f"{WHERE}?session={foreign}", key=owner.key), 404, "not_found")


def test_nonsense_is_400(owner: Owner) -> None:
    answer = owner.wagate.ask("GET", WHERE, key=owner.key, headers={"Last-Event-ID": "evt_nothing"})
    invalid(answer, "Last-Event-ID")
    invalid(owner.wagate.ask("GET", WHERE + "?after=x", key=owner.key), "after")


def test_an_id_that_has_left_the_log_is_410(still: SandboxGateway) -> None:
    gw, mine = still.running.gw, home(still)
    still.run(record(gw, mine, "1", "2"))
    old = events(still)[0]["id"]
    still.advance(8 * DAY)
    still.run(log.expire(gw))
    still.run(record(gw, mine, "3"))
    answer = still.ask("GET", WHERE, headers={"Last-Event-ID": old})
    assert refused(answer, 410, "cursor_expired") == {"oldest": events(still)[0]["id"]}


# Seen


def test_events_come_in_the_logs_order_with_their_ids_and_names(owner: Owner) -> None:
    owner.record("before")
    with owner.stream() as stream:
        assert stream.answer.headers["content-type"] == "text/event-stream"
        assert stream.answer.headers["cache-control"] == "no-store"
        for number in range(20):
            owner.record(f"{number}a", f"{number}b\n\ndata: x")
        assert stream.events(40) == owner.log()[1:]


def test_the_last_id_resumes_and_goes_over_to_live(owner: Owner) -> None:
    owner.record(*map(str, range(1500)))
    whole = owner.log()
    with owner.stream(since=whole[9]["id"]) as stream:
        assert stream.events(1490) == whole[10:]
        owner.record("live")
        assert stream.events(1)[0]["payload"]["code"] == "live"


def test_names_a_session_and_a_limited_key_filter(wagate: SandboxGateway, owner: Owner) -> None:
    mine: str = wagate.ask("POST", "/sessions", {}, key=owner.key).body["id"]
    limited = key(wagate, owner=owner.id, sessions=[mine])
    with (
        owner.stream(f"?session={mine}") as by_session,
        owner.stream("?events=auth.code,nothing") as by_name,
        Stream(wagate, limited) as by_key,
    ):
        for number in range(10):
            owner.record(f"{number}a")
            owner.record(f"{number}b", session=mine, name="auth.code")
            owner.record(f"{number}c", session=mine)
        of_mine = [each for each in owner.log() if each["session"] == mine]
        assert by_session.events(len(of_mine)) == of_mine
        assert by_key.events(len(of_mine)) == of_mine
        named = [each for each in owner.log() if each["event"] == "auth.code"]
        assert by_name.events(len(named)) == named


@pytest.mark.slow
def test_from_replay_to_live_there_is_no_gap_and_no_repeat_under_load(owner: Owner) -> None:
    owner.record("0")
    first = owner.log()[0]["id"]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            owner.record(*"abcdefg")

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    try:
        for round in range(6):
            with owner.stream(since=first) as stream:
                seen.append(stream.events(400 + 200 * round))
    finally:
        stop.set()
        writer.join(10)
    whole = owner.log()[1:]
    for found in seen:
        assert found == whole[: len(found)]


def test_a_comment_comes_every_20_seconds(still: SandboxGateway) -> None:
    with Stream(still, still.key) as stream:
        for _ in range(2):
            still.advance(20)
            assert stream.block() == {"": "ping"}


# Ended


def test_a_revoked_key_ends_it(wagate: SandboxGateway, owner: Owner) -> None:
    made = wagate.ask("POST", "/keys", {"name": "k", "permissions": ["events"]}, key=owner.key).body
    with Stream(wagate, made["secret"]) as stream:
        wagate.ask("DELETE", f"/keys/{made['id']}", key=owner.key)
        assert stream.block() is None


def test_who_goes_away_is_forgotten_at_once(owner: Owner) -> None:
    stream = owner.stream().__enter__()
    assert owner.id in owner.wagate.running.gw.feeds
    stream.close()
    owner.wagate.until(lambda: owner.id not in owner.wagate.running.gw.feeds)


def test_who_does_not_read_is_cut_off_from_the_log(owner: Owner) -> None:
    with owner.stream() as slow, owner.stream() as quick:
        for _ in range(60):
            owner.record(*["x" * 20_000] * 50)
            quick.events(50)
        owner.wagate.until(lambda: [r.ending for r in owner.wagate.running.gw.feeds[owner.id].readers if r.ending])
        slow.close()


def test_when_the_gateway_stops_it_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ExitStack() as stack:
        with testing.gateway(tmp_path_factory.mktemp("stopping") / "data") as running:
            stream = stack.enter_context(Stream(running, running.key))
        assert stream.block() is None
