"""The event log over HTTP: in order, without holes, filtered, waited for, and gone after its days."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, organization, refused, text
from wagate import testing
from wagate.gateway import events as log
from wagate.model.events import CATALOGUE
from wagate.testing import SandboxGateway

ENVELOPE = "schema id event session organization timestamp payload"
DAY = 86_400


@pytest.fixture
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose clock only the test turns."""
    with testing.gateway(tmp_path_factory.mktemp("still") / "data", clock="manual") as running:
        yield running


class Reader:
    """An organization of its own, with three sessions' worth of events."""

    def __init__(self, wagate: SandboxGateway) -> None:
        self.wagate = wagate
        self.organization = organization(wagate)
        self.key = key(wagate, owner=self.organization)

    def session(self) -> str:
        """A new session that waits for a phone: three events and more to come."""
        made: str = self.wagate.ask("POST", "/sessions", {"start": True}, key=self.key).body["id"]
        where = f"/sessions/{made}/qr"
        self.wagate.until(lambda: self.wagate.ask("GET", where, key=self.key).status == 200)
        return made

    def read(self, query: str = "") -> Any:
        answer = self.wagate.ask("GET", "/events" + query, key=self.key)
        assert answer.status == 200, answer.body
        assert set(answer.body) == {"data", "nextCursor"}
        return answer.body


@pytest.fixture
def reader(wagate: SandboxGateway) -> Reader:
    return Reader(wagate)


# Refused


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("?limit=x", "limit"),
        ("?limit=", "limit"),
        ("?wait=soon", "wait"),
        ("?wait=-1", "wait"),
        ("?wait=nan", "wait"),
        ("?after=7", "after"),
        ("?after=evt_", "after"),
        ("?after=evt_00000000000000000000000000x", "after"),
        ("?after=evt_UUUUUUUUUUUUUUUUUUUUUUUUUU", "after"),
        ("?since=x", "since"),
        ("?cursor=x", "cursor"),
        ("?limit=1&limit=2", "limit"),
        ("?events=%ff", "events"),
        ("?events=%00", "events"),
    ],
)
def test_nonsense_is_refused(reader: Reader, query: str, path: str) -> None:
    invalid(reader.wagate.ask("GET", "/events" + query, key=reader.key), path)


def test_the_capability_is_events(wagate: SandboxGateway) -> None:
    refused(wagate.ask("GET", "/events", key=key(wagate, "read", "send", "manage")), 403, "forbidden")
    assert wagate.ask("GET", "/events", key=key(wagate, "events")).status == 200


def test_another_organizations_events_and_sessions_are_not_there(wagate: SandboxGateway, reader: Reader) -> None:
    mine, theirs = Reader(wagate), reader.session()
    assert mine.read() == {"data": [], "nextCursor": ""}
    refused(wagate.ask("GET", f"/events?session={theirs}", key=mine.key), 404, "not_found")


# Read


def test_the_envelope_is_whole_and_its_payload_is_of_the_catalogue(wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000001")["id"]
    where = f"/sessions/{session}"
    wagate.post(f"{where}/messages", text("9990000002"))
    wagate.post("/sandbox/messages", text("9990000001", "hi", **{"from": "9990000003"}))
    group = wagate.post(f"{where}/groups", {"name": "group", "participants": ["9990000002"]})["groupJid"]
    wagate.ask("PATCH", f"{where}/groups/{group}", {"subject": "renamed"})
    wagate.until(lambda: events(wagate, "message"))
    found = events(wagate)
    assert {"session.status", "auth.qr", "auth.code", "message", "message.from_me", "message.status", "group.update",
            "group.participant"} <= {each["event"] for each in found} <= set(CATALOGUE)  # fmt: skip
    for each in found:
        exactly({k: v for k, v in each.items() if k != "payload"}, ENVELOPE.removesuffix(" payload"))
        assert each["schema"] == "v1"
        assert re.fullmatch(r"evt_[0-9A-HJKMNP-TV-Z]{26}", each["id"])
        assert each["session"] == session
        assert [field for field, value in each["payload"].items() if value is None] in ([], ["media"])
    ids = [each["id"] for each in found]
    assert ids == sorted(set(ids))


def test_pages_follow_each_other_without_gap_or_repeat(reader: Reader) -> None:
    reader.session(), reader.session()
    everything = reader.read()["data"]
    assert len(everything) >= 6
    for limit in (1, 2, 5, 200):
        seen: list[Any] = []
        cursor = ""
        while page := reader.read(f"?limit={limit}" + (f"&after={cursor}" if cursor else ""))["data"]:
            assert len(page) <= limit
            seen += page
            cursor = page[-1]["id"]
        assert seen == everything
    assert len(reader.read("?limit=0")["data"]) == len(everything)
    assert len(reader.read("?limit=-5")["data"]) == 1


def test_the_next_cursor_is_the_last_id_that_was_read(reader: Reader) -> None:
    assert reader.read() == {"data": [], "nextCursor": ""}
    reader.session()
    whole = reader.read()
    last = whole["data"][-1]["id"]
    assert whole["nextCursor"] == last
    assert reader.read(f"?after={last}") == {"data": [], "nextCursor": last}
    # Also when nothing of what was read was wanted: the reader need not read it again.
    assert reader.read("?events=group.update") == {"data": [], "nextCursor": last}
    assert reader.read("?limit=1")["nextCursor"] == whole["data"][0]["id"]


def test_names_and_a_session_filter(reader: Reader) -> None:
    one, two = reader.session(), reader.session()
    assert {each["session"] for each in reader.read()["data"]} == {one, two}
    assert {each["session"] for each in reader.read(f"?session={two}")["data"]} == {two}
    assert {each["event"] for each in reader.read("?events=auth.qr")["data"]} == {"auth.qr"}
    both = {each["event"] for each in reader.read("?events=auth.qr,session.status,nothing.like.it")["data"]}
    assert both == {"auth.qr", "session.status"}
    assert len(reader.read("?events=*")["data"]) == len(reader.read()["data"])
    assert reader.read("?events=nothing.like.it")["data"] == []
    (code,) = reader.read(f"?events=auth.qr&session={one}&limit=1")["data"]
    assert (code["event"], code["session"]) == ("auth.qr", one)


def test_a_limited_key_reads_its_sessions_only(reader: Reader) -> None:
    mine, other = reader.session(), reader.session()
    limited = key(reader.wagate, owner=reader.organization, sessions=[mine])
    answer = reader.wagate.ask("GET", "/events", key=limited).body
    assert {each["session"] for each in answer["data"]} == {mine}
    assert answer["nextCursor"] == reader.read()["nextCursor"]
    refused(reader.wagate.ask("GET", f"/events?session={other}", key=limited), 404, "not_found")


# Waited for


def test_waiting_ends_when_something_comes(reader: Reader) -> None:
    session = reader.session()
    cursor = reader.read()["nextCursor"]
    box: list[Any] = []
    waiting = threading.Thread(target=lambda: box.append(reader.read(f"?after={cursor}&wait=30&events=session.status")))
    waiting.start()
    # Whether it waits cannot be seen from outside; whether it ends long before its 30 seconds can.
    started = time.monotonic()
    reader.wagate.ask("POST", f"/sessions/{session}:stop", key=reader.key)
    waiting.join(15)
    assert time.monotonic() - started < 15
    (event,) = box[0]["data"]
    assert event["payload"] == {"status": "stopped"}
    assert box[0]["nextCursor"] >= event["id"]


def test_waiting_for_nothing_ends_in_time_with_nothing(reader: Reader) -> None:
    reader.session()
    cursor = reader.read()["nextCursor"]
    started = time.monotonic()
    assert reader.read(f"?after={cursor}&wait=0.2") == {"data": [], "nextCursor": cursor}
    assert time.monotonic() - started >= 0.2
    assert reader.read(f"?after={cursor}&wait=0")["data"] == []


@pytest.mark.parametrize("end", ["revoked", "rotated"])
def test_waiting_ends_within_a_second_when_the_key_does(reader: Reader, end: str) -> None:
    made = reader.wagate.ask("POST", "/keys", {"name": "k", "permissions": ["events"]}, key=reader.key).body
    box: list[Any] = []
    gw = reader.wagate.running.gw

    def wait() -> None:
        box.append(reader.wagate.ask("GET", "/events?events=nothing&wait=20", key=made["secret"]))

    waiting = threading.Thread(target=wait)
    before = len(gw.broker._listeners.get("closing", ()))  # type: ignore[attr-defined]
    waiting.start()
    reader.wagate.until(lambda: len(gw.broker._listeners.get("closing", ())) > before)  # type: ignore[attr-defined]
    started = time.monotonic()
    method, verb = ("DELETE", "") if end == "revoked" else ("POST", ":rotate")
    reader.wagate.ask(method, f"/keys/{made['id']}{verb}", key=reader.key)
    waiting.join(15)
    assert time.monotonic() - started < 1
    refused(box[0], 401, "unauthorized")


# Gone


def test_a_cursor_that_has_left_the_log_is_410_with_the_oldest(still: SandboxGateway) -> None:
    session = still.post("/sessions", {"start": True})["id"]
    still.until(lambda: events(still, "auth.qr"))
    old = events(still)
    assert still.ask("GET", f"/events?after={old[0]['id']}").status == 200
    still.post("/sandbox/clock", {"advanceSeconds": 8 * DAY})
    still.post(f"/sessions/{session}:stop")
    still.until(lambda: still.run(log.expire(still.running.gw)) == 0)
    kept = events(still)
    assert not {each["id"] for each in old} & {each["id"] for each in kept}
    details = refused(still.ask("GET", f"/events?after={old[0]['id']}"), 410, "cursor_expired")
    assert details == {"oldest": kept[0]["id"]}
    # The last one that went is no loss: what follows it is all there.
    assert still.get(f"/events?after={kept[0]['id']}")["data"] == kept[1:]
    still.post("/sandbox/clock", {"advanceSeconds": 8 * DAY})
    still.until(lambda: still.run(log.expire(still.running.gw)) == 0)
    assert still.get("/events") == {"data": [], "nextCursor": ""}
    details = refused(still.ask("GET", f"/events?after={old[0]['id']}"), 410, "cursor_expired")
    assert details["oldest"] == kept[-1]["id"]
    assert still.get(f"/events?after={kept[-1]['id']}") == {"data": [], "nextCursor": kept[-1]["id"]}
    # Ids go on where they were.
    made = still.post("/sessions", {"start": True})["id"]
    still.until(lambda: events(still, "auth.qr", session=made))
    assert events(still)[0]["id"] > kept[-1]["id"]
