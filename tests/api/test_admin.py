"""The platform's own views over HTTP: no key may see them, a person of the platform sees all organizations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateways import Account, exactly, home, key, organization, refused
from tests.support.logins import Provider, ask, providing, signed_in
from wagate.gateway import backfills
from wagate.model.organizations import CAPABILITIES
from wagate.testing import SandboxGateway

PLACES = [("GET", ""), ("POST", "/{}:backfill"), ("GET", "/{}/backfill")]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as made:
        yield made


@pytest.fixture(scope="module")
def wagate(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with signed_in(tmp_path_factory.mktemp("wagate") / "data", provider) as running:
        yield running


@pytest.fixture
def platform(provider: Provider) -> str:
    """The login of somebody who acts for no organization and stands above all."""
    return provider.token(platform="super_admin")


@pytest.fixture(scope="module")
def mine(wagate: SandboxGateway) -> Account:
    return Account(wagate, "9990000001")


@pytest.mark.parametrize(("method", "below"), PLACES)
def test_no_key_holds_the_platforms_role(wagate: SandboxGateway, mine: Account, method: str, below: str) -> None:
    for session in (mine.session, "ses_no"):
        where = "/admin/sessions" + below.format(session)
        for secret in (key(wagate), *(key(wagate, each) for each in CAPABILITIES)):
            refused(wagate.ask(method, where, key=secret), 403, "forbidden")
        refused(wagate.ask(method, where, key=""), 401, "unauthorized")


def test_no_key_can_be_given_it(wagate: SandboxGateway) -> None:
    answer = wagate.ask("POST", "/keys", {"name": "x", "permissions": ["super_admin"]})
    assert answer.status in (400, 404, 405)


def test_a_backfill_is_finished_by_the_sessions_runner(wagate: SandboxGateway, mine: Account) -> None:
    mine.made("9990000002", "9990000003")
    gw = wagate.running.gw
    job = wagate.run(backfills.start(gw, mine.session))
    done = wagate.until(lambda: next(iter(
        each for each in [wagate.run(backfills.get(gw, mine.session))] if each.status != "running"), None))  # fmt: skip
    assert (done.id, done.status, done.groups, done.group_members) == (job.id, "succeeded", 1, 3)
    assert done.contacts >= 3


def test_a_lost_hint_costs_seconds_and_no_more(wagate: SandboxGateway, mine: Account) -> None:
    gw = wagate.running.gw
    publish = gw.broker.publish

    def deaf(subject: str, payload: bytes = b"") -> None:
        if not subject.startswith("backfill."):
            publish(subject, payload)

    gw.broker.publish = deaf  # type: ignore[method-assign]
    try:
        wagate.run(backfills.start(gw, mine.session))
    finally:
        gw.broker.publish = publish  # type: ignore[method-assign]
    wagate.until(lambda: wagate.run(backfills.get(gw, mine.session)).status == "succeeded")


def test_a_job_that_a_lost_line_cut_short_is_finished_by_the_next_connection(
    wagate: SandboxGateway, mine: Account
) -> None:
    gw = wagate.running.gw
    wagate.run(backfills.start(gw, mine.session))
    wagate.post(f"/sessions/{mine.session}:restart")
    wagate.until(lambda: wagate.working(mine.session))
    wagate.until(lambda: wagate.run(backfills.get(gw, mine.session)).status == "succeeded")


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_no_role_in_an_organization_reaches_them(
    wagate: SandboxGateway, mine: Account, provider: Provider, role: str
) -> None:
    for method, below in PLACES:
        where = "/admin/sessions" + below.format(mine.session)
        refused(ask(wagate, provider.token(home(wagate), role), method, where), 403, "forbidden")


def test_the_sessions_of_all_organizations_are_listed_page_by_page(
    wagate: SandboxGateway, mine: Account, platform: str
) -> None:
    stranger = key(wagate, owner=organization(wagate))
    theirs = wagate.ask("POST", "/sessions", {}, key=stranger).body["id"]
    everything = ask(wagate, platform, "GET", "/admin/sessions").body["data"]
    assert {mine.session, theirs} <= {each["id"] for each in everything}
    assert len({each["organizationId"] for each in everything}) == 2
    found, cursor = [], ""
    while True:
        page = ask(wagate, platform, "GET", f"/admin/sessions?limit=1&cursor={cursor}").body
        found += page["data"]
        if not (cursor := page["nextCursor"]):
            break
    assert found == everything
    refused(ask(wagate, platform, "GET", "/sessions"), 403, "forbidden")
    refused(ask(wagate, platform, "GET", f"/sessions/{mine.session}"), 403, "forbidden")


def test_a_backfill_is_asked_for_and_followed(wagate: SandboxGateway, platform: str) -> None:
    account = Account(wagate, "9990000041")
    account.made("9990000042")
    where = f"/admin/sessions/{account.session}"
    refused(ask(wagate, platform, "GET", f"{where}/backfill"), 404, "not_found")
    begun = ask(wagate, platform, "POST", f"{where}:backfill")
    assert begun.status == 202
    exactly(begun.body, "id sessionId organizationId status contacts groups groupMembers startedAt", "finishedAt error")
    done = wagate.until(
        lambda: (now := ask(wagate, platform, "GET", f"{where}/backfill").body)["status"] != "running" and now
    )
    assert (done["id"], done["status"], done["groups"]) == (begun.body["id"], "succeeded", 1)


def test_a_backfill_of_what_is_not_there_or_not_connected_is_refused(wagate: SandboxGateway, platform: str) -> None:
    refused(ask(wagate, platform, "POST", "/admin/sessions/ses_nobody:backfill"), 404, "not_found")
    refused(ask(wagate, platform, "GET", "/admin/sessions/ses_nobody/backfill"), 404, "not_found")
    stopped = wagate.post("/sessions", {})["id"]
    answer = ask(wagate, platform, "POST", f"/admin/sessions/{stopped}:backfill")
    assert refused(answer, 501, "not_implemented")["reason"] == "session_not_connected"
