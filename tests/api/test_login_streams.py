"""What people watch: it ends with their login, after an hour at the latest, and goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.gateways import key, organization, refused
from tests.support.logins import Provider, ask, bearer, providing, signed_in
from tests.support.readers import PATIENCE, Stream, closed, codes, frames, record, turned_away
from wagate.testing import SandboxGateway

OURS = "reinhardt_and_daughters"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as made:
        yield made


@pytest.fixture(scope="module")
def wagate(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with signed_in(tmp_path_factory.mktemp("wagate") / "data", provider, clock="manual") as running:
        organization(running, id=OURS)
        yield running


def ticket(wagate: SandboxGateway, token: str, **wish: Any) -> str:
    answer = ask(wagate, token, "POST", "/realtime/ticket", wish)
    assert answer.status == 200, answer.body
    url: str = answer.body["url"]
    return url


@contextmanager
def watching(wagate: SandboxGateway, token: str, **wish: Any) -> Iterator[ClientConnection]:
    with connect(ticket(wagate, token, **wish), open_timeout=PATIENCE) as line:
        assert json.loads(line.recv(PATIENCE))["event"] == "connected"
        yield line


def happens(wagate: SandboxGateway, *codes: str, where: str = OURS) -> None:
    wagate.run(record(wagate.running.gw, where, *codes))


def facts(found: list[Any]) -> list[Any]:
    return [each for each in found if "payload" in each]


def test_a_connection_ends_with_the_login_and_goes_on_where_it_ended(
    wagate: SandboxGateway, provider: Provider
) -> None:
    with watching(wagate, provider.token(OURS, "member", exp=60)) as line:
        happens(wagate, "one")
        wagate.advance(89)
        [first] = facts(frames(line, 1))
        assert codes([first]) == ["one"]
        wagate.advance(1)
        code, last = closed(line)
    assert code == 4401
    assert last[-1]["event"] == "error"
    happens(wagate, "two")
    with watching(wagate, provider.token(OURS, "member"), since=first["id"]) as line:
        assert codes(frames(line, 1)) == ["two"]


def test_a_connection_ends_after_an_hour_however_long_the_login(wagate: SandboxGateway, provider: Provider) -> None:
    with watching(wagate, provider.token(OURS, exp=86_400)) as line:
        wagate.advance(3599)
        happens(wagate, "one")
        found: list[Any] = []
        while not facts(found):
            found = frames(line, 1)
        wagate.advance(1)
        assert closed(line)[0] == 4401


def test_a_ticket_is_worth_no_more_than_the_login(wagate: SandboxGateway, provider: Provider) -> None:
    url = ticket(wagate, provider.token(OURS, exp=-20))
    wagate.advance(10)
    assert turned_away(url) == (401, "unauthorized")


def test_a_stream_ends_with_the_login(wagate: SandboxGateway, provider: Provider) -> None:
    stream = Stream(wagate, "", headers=bearer(provider.token(OURS, exp=60)))
    with stream:
        happens(wagate, "one")
        assert codes(stream.events(1)) == ["one"]
        wagate.advance(90)
        while stream.block() is not None:
            pass


def test_the_firehose_is_the_platforms_and_live_only(wagate: SandboxGateway, provider: Provider) -> None:
    platform = provider.token(platform="super_admin", exp=60)
    for who in (provider.token(OURS), provider.token(OURS, "member"), provider.token()):
        refused(ask(wagate, who, "POST", "/realtime/ticket", {"scope": "firehose"}), 403, "forbidden")
    refused(wagate.ask("POST", "/realtime/ticket", {"scope": "firehose"}, key=key(wagate)), 403, "forbidden")
    since = {"scope": "firehose", "since": "evt_" + "0" * 26}
    refused(ask(wagate, platform, "POST", "/realtime/ticket", since), 400, "validation_error")
    for scope in ({}, {"scope": "organization"}, {"scope": "session", "session": "ses_nobody"}):
        refused(ask(wagate, platform, "POST", "/realtime/ticket", scope), 403, "forbidden")
    with watching(wagate, platform, scope="firehose", events=["auth.qr"]) as line:
        happens(wagate, "ours")
        [ours] = frames(line, 1)
        later = organization(wagate, "later")
        happens(wagate, "theirs", where=later)
        [theirs] = frames(line, 1)
        assert [ours["organization"], theirs["organization"]] == [OURS, later]
        wagate.advance(90)
        assert closed(line)[0] == 4401
