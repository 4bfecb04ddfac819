"""WebSockets on real sockets: who gets in, what they see and in which order, and how it ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.gateways import events, exactly, home, key, organization, refused
from tests.support.readers import PATIENCE, closed, cut, frames, record, ticket, watching
from wagate import testing
from wagate.gateway import events as log
from wagate.gateway import keys, tickets
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


class Owner:
    """An organization of its own, whose log the test writes."""

    def __init__(self, wagate: SandboxGateway) -> None:
        self.wagate = wagate
        self.id = organization(wagate)
        self.key = key(wagate, owner=self.id)

    def record(self, *codes: str, **more: str) -> None:
        self.wagate.run(record(self.wagate.running.gw, self.id, *codes, **more))

    def session(self) -> str:
        made: str = self.wagate.ask("POST", "/sessions", {}, key=self.key).body["id"]
        return made

    def log(self) -> list[Any]:
        return events(self.wagate, key=self.key)

    def watching(self, **wish: Any) -> Any:
        return watching(self.wagate, self.key, **wish)


@pytest.fixture
def owner(wagate: SandboxGateway) -> Owner:
    return Owner(wagate)


def codes(found: list[Any]) -> list[str]:
    return [each["payload"]["code"] for each in found]


def turned_away(url: str, **more: Any) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as refusal, connect(url, open_timeout=PATIENCE, **more):
        pass
    answer = refusal.value.response
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, msgspec.json.decode(answer.body or b"{}")["error"]["code"]


def opens(url: str, **more: Any) -> None:
    with connect(url, open_timeout=PATIENCE, **more) as line:
        frames(line, 1)


def place(wagate: SandboxGateway, query: str = "", path: str = "/api/v1/realtime") -> str:
    return wagate.url.replace("http", "ws") + path + query


# Refused


@pytest.mark.parametrize(
    "query", ["", "?ticket=", "?ticket=rt_short", "?ticket=rt_" + "0" * 43, "?token=x", "?ticket=%00"]
)
def test_a_bad_ticket_is_401_before_the_upgrade(wagate: SandboxGateway, query: str) -> None:
    assert turned_away(place(wagate, query)) == (401, "unauthorized")


def test_a_ticket_works_once(owner: Owner) -> None:
    url = ticket(owner.wagate, owner.key)
    with connect(url):
        assert turned_away(url) == (401, "unauthorized")
    assert turned_away(url) == (401, "unauthorized")


def test_of_many_who_come_with_one_ticket_one_gets_in(owner: Owner) -> None:
    url = ticket(owner.wagate, owner.key)
    inside: list[int] = []

    def come() -> None:
        try:
            with connect(url) as line:
                frames(line, 1)
                inside.append(101)
        except InvalidStatus as refusal:
            inside.append(refusal.response.status_code)

    crowd = [threading.Thread(target=come) for _ in range(8)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(PATIENCE)
    assert sorted(inside) == [101] + [401] * 7


def test_a_ticket_is_worth_no_more_than_its_key(wagate: SandboxGateway, owner: Owner) -> None:
    gw = wagate.running.gw
    for spoil in ("revoke", "rotate"):
        made = wagate.ask("POST", "/keys", {"name": spoil, "permissions": ["events"]}, key=owner.key).body
        url = ticket(wagate, made["secret"])
        if spoil == "revoke":
            wagate.run(keys.revoke(gw, made["id"]))
        else:
            wagate.ask("POST", f"/keys/{made['id']}:rotate", key=owner.key)
        assert turned_away(url) == (401, "unauthorized")


def test_a_ticket_is_good_for_30_seconds(still: SandboxGateway) -> None:
    answer = still.post("/realtime/ticket")
    exactly(answer, "ticket expiresInSeconds url")
    assert answer["expiresInSeconds"] == 30
    assert answer["ticket"].startswith("rt_")
    early, late = ticket(still), ticket(still)
    still.advance(29)
    opens(early)
    still.advance(1)
    assert turned_away(late) == (401, "unauthorized")
    still.run(tickets.expire(still.running.gw))
    assert still.run(still.running.gw.db.all("SELECT digest FROM tickets")) == []


def test_the_ticket_itself_is_stored_nowhere(owner: Owner) -> None:
    secret = owner.wagate.ask("POST", "/realtime/ticket", key=owner.key).body["ticket"]
    rows = owner.wagate.run(owner.wagate.running.gw.db.all("SELECT * FROM tickets"))
    assert rows
    assert secret not in str(rows)


@pytest.mark.parametrize(
    "wish",
    [
        {"scope": "everything"},
        {"scope": "session"},
        {"scope": "session", "session": ""},
        {"since": "evt_nothing"},
        {"since": 7},
        {"events": "message"},
        {"events": [7]},
    ],
)
def test_a_wish_without_sense_is_400(owner: Owner, wish: Any) -> None:
    refused(owner.wagate.ask("POST", "/realtime/ticket", wish, key=owner.key), 400, "validation_error")


def test_a_session_that_is_not_the_callers_is_404_and_counts_only_in_its_scope(
    wagate: SandboxGateway, owner: Owner
) -> None:
    foreign, mine, other = Owner(wagate).session(), owner.session(), owner.session()
    limited = key(wagate, owner=owner.id, sessions=[mine])
    for session, who in ((foreign, owner.key), ("ses_nobody", owner.key), (other, limited)):
        wish = {"scope": "session", "session": session}
        refused(wagate.ask("POST", "/realtime/ticket", wish, key=who), 404, "not_found")
        assert wagate.ask("POST", "/realtime/ticket", {"session": session}, key=who).status == 200
    assert wagate.ask("POST", "/realtime/ticket", {"scope": "session", "session": mine}, key=limited).status == 200


def test_the_firehose_is_not_for_keys(owner: Owner) -> None:
    refused(owner.wagate.ask("POST", "/realtime/ticket", {"scope": "firehose"}, key=owner.key), 403, "forbidden")


def test_only_known_origins_get_in(owner: Owner) -> None:
    url = ticket(owner.wagate, owner.key)
    assert turned_away(url, origin="https://evil.example.com") == (403, "forbidden")
    # The page's own attempt comes after: a refused origin has used nothing up.
    opens(url, origin=PAGE)


def test_another_path_is_404_and_a_plain_request_is_told(wagate: SandboxGateway, owner: Owner) -> None:
    assert turned_away(place(wagate, path="/api/v1/nothing")) == (404, "not_found")
    refused(wagate.ask("GET", "/realtime"), 401, "unauthorized")
    secret = wagate.ask("POST", "/realtime/ticket", key=owner.key).body["ticket"]
    refused(wagate.ask("GET", f"/realtime?ticket={secret}"), 400, "validation_error")
    opens(place(wagate, f"?ticket={secret}"))


def test_a_broken_handshake_is_400_in_the_usual_body(wagate: SandboxGateway) -> None:
    where = urlsplit(wagate.url)
    for broken in (b"", b"sec-websocket-key: short\r\nsec-websocket-version: 13\r\n", b"x: " + b"x" * 20_000 + b"\r\n"):
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=PATIENCE) as line:
            line.sendall(
                b"GET /api/v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                + broken
                + b"\r\n"
            )
            said = b""
            while piece := line.recv(65536):
                said += piece
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b'"validation_error"' in said


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


# Said by clients


def test_what_clients_say_is_ignored_and_pings_are_answered(owner: Owner) -> None:
    with owner.watching() as line:
        for _ in range(100):
            line.send("hello")
            line.send(b"bytes")
        assert line.ping().wait(PATIENCE)
        owner.record("1")
        assert codes(frames(line, 1)) == ["1"]


def test_a_long_message_ends_the_connection(owner: Owner) -> None:
    with owner.watching() as line:
        line.send("x" * 5000)
        assert closed(line) == (1009, [])
    owner.wagate.until(lambda: owner.id not in owner.wagate.running.gw.feeds)


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


def test_who_does_not_read_is_closed_with_4408_holds_little_and_can_resume(owner: Owner) -> None:
    owner.record("first")
    since = owner.log()[0]["id"]
    big = "x" * 20_000
    url = ticket(owner.wagate, owner.key)
    # The client's own library would read ahead.
    place = urlsplit(url)
    with socket.socket() as line, owner.watching() as quick:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(PATIENCE)
        line.connect((place.hostname, place.port))
        line.sendall(
            f"GET {place.path}?{place.query} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        owner.wagate.until(lambda: len(owner.wagate.running.gw.feeds[owner.id].readers) == 2)
        for _ in range(60):
            owner.record(*[big] * 20)
            frames(quick, 20)
        owner.wagate.until(lambda: len(owner.wagate.running.gw.feeds[owner.id].readers) == 1)
        said = b""
        while piece := line.recv(1 << 20):
            said += piece
    assert len(said) < 5_000_000
    assert said.endswith(b"\x88\x02" + (4408).to_bytes(2, "big"))
    assert b'"event":"error"' in said[-200:]
    with owner.watching(since=since) as line:
        assert len(frames(line, 1200)) == 1200


def test_who_reads_slowly_but_keeps_up_loses_nothing(owner: Owner) -> None:
    big = "y" * 20_000
    with owner.watching() as line:
        for _ in range(9):
            owner.record(*[big] * 100)
        assert frames(line, 900) == owner.log()


def test_who_goes_away_is_forgotten(owner: Owner) -> None:
    running = owner.wagate.running
    with owner.watching(), owner.watching():
        assert len(running.gw.feeds[owner.id].readers) == 2
        with owner.watching() as line:
            cut(line)
        owner.wagate.until(lambda: len(running.gw.feeds[owner.id].readers) == 2)
    owner.wagate.until(lambda: owner.id not in running.gw.feeds)


def test_when_the_gateway_stops_connections_end_with_1001(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ExitStack() as stack:
        with testing.gateway(tmp_path_factory.mktemp("stopping") / "data") as running:
            line = stack.enter_context(watching(running))
            started = time.monotonic()
        code, before = closed(line)
        assert (code, [each["event"] for each in before]) == (1001, ["error"])
        assert time.monotonic() - started < 10
