"""The platform's own views over HTTP: no key may see them; a backfill, begun by the gateway, is lived through."""

from __future__ import annotations

import pytest

from tests.support.gateways import Account, key, refused
from wagate.gateway import backfills
from wagate.model.organizations import CAPABILITIES
from wagate.testing import SandboxGateway

PLACES = [("GET", ""), ("POST", "/{}:backfill"), ("GET", "/{}/backfill")]


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
