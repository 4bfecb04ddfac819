"""Tickets: who gets one, for what, and that each opens one WebSocket once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.gateways import exactly, key, refused
from tests.support.readers import (
    PATIENCE,
    Owner,
    frames,
    opens,
    place,
    ticket,
    turned_away,
)
from wagate import testing
from wagate.gateway import keys, tickets
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


# Refused


@pytest.mark.parametrize(
    "query", ["", "?ticket=", "?ticket=rt_short", "?ticket=rt_" + "0" * 43, "?token=x", "?ticket=%00"]
)
def test_a_bad_ticket_is_401_before_the_upgrade(wagate: SandboxGateway, query: str) -> None:
    assert turned_away(place(wagate, query)) == (401, "unauthorized")


def test_a_refusal_is_no_defect_and_bears_the_callers_request_id(
    wagate: SandboxGateway, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidStatus) as refusal, connect(place(wagate), additional_headers={"X-Request-Id": "mine-1"}):
        pass
    assert refusal.value.response.headers["x-request-id"] == "mine-1"
    assert turned_away(place(wagate)) == (401, "unauthorized")
    assert [line.getMessage() for line in caplog.records if line.levelname == "ERROR"] == []


def test_the_upgrade_bears_a_request_id_too(owner: Owner) -> None:
    with connect(ticket(owner.wagate, owner.key), additional_headers={"X-Request-Id": "mine-2"}) as line:
        assert line.response is not None
        assert line.response.headers["x-request-id"] == "mine-2"


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
