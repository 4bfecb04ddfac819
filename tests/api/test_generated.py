"""Whatever a generator makes of the served document, the answers keep to it: all of Schemathesis' checks, bounded.

`make fuzz` asks for many more examples of the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.result import Ok
from schemathesis.generation.hypothesis.builder import InvalidHeadersExampleMark, MissingPathParameters
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import missing_required_header

from tests.support.gateways import home
from tests.support.logins import bearer, providing, signed_in
from wagate import testing
from wagate.api.openapi import document
from wagate.bootstrap import OPERATIONS
from wagate.testing import SandboxGateway

EXPECTED = ["2xx", "3xx", "4xx", "501", "503", "504"]
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            "not_a_server_error": {"expected-statuses": EXPECTED},
            # A well-formed request may still be refused: nobody there, not connected, not a number that could exist.
            "positive_data_acceptance": {"expected-statuses": EXPECTED},
        }
    }
)
# For each of the two credentials.
EXAMPLES = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 5
# A stream has no end that a generator could wait for.
FINITE = [operation for operation in OPERATIONS if operation.id != "streamEvents"]
SCHEMA = schemathesis.openapi.from_dict(msgspec.json.decode(msgspec.json.encode(document(FINITE))), config=CONFIG)


class Stage:
    """A gateway, the credential that the generator comes with, and the generator's connection."""

    def __init__(self, wagate: SandboxGateway, headers: dict[str, str], session: requests.Session) -> None:
        self.url = wagate.url
        self.headers = headers
        self.session = session


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Stage]]:
    """Gateways left alone with the generator: with a key, and with the login of who may do everything everywhere."""
    folder = tmp_path_factory.mktemp("wagate")
    with (
        providing() as provider,
        testing.gateway(folder / "key") as one,
        signed_in(folder / "login", provider) as two,
        requests.Session() as session,
    ):
        token = provider.token(home(two), platform="super_admin", exp=86_400)
        yield [Stage(one, {"x-api-key": one.key}, session), Stage(two, bearer(token), session)]


@pytest.mark.fuzz
@pytest.mark.parametrize("operation", [operation.id for operation in FINITE])
def test_answers_keep_to_the_document(operation: str, stages: list[Stage]) -> None:
    # What is asked is made up here: making it up while tests are collected would cost every worker half a minute.
    wanted = SCHEMA.include(operation_id=operation)
    (made,) = get_all_tests(schema=wanted, test_func=keeps_to_the_document, settings=None, given_kwargs=None)
    assert isinstance(made, Ok), made.err()
    asking = made.ok()[1]
    assert not [spoilt for spoilt in (InvalidHeadersExampleMark, MissingPathParameters) if spoilt.is_set(asking)]
    asking(stages=stages)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def keeps_to_the_document(case: Any, stages: list[Stage]) -> None:
    if case.query and "wait" in case.query:
        # A long poll would only be that: long.
        with contextlib.suppress(TypeError, ValueError):
            case.query["wait"] = min(float(case.query["wait"]), 0.01)
    webhook = case.operation.label == "POST /api/v1/webhooks" and isinstance(case.body, dict)
    # Nothing may leave this machine: absent, it would be active.
    if webhook and case.body.get("active", True) in (True, None):
        case.body["active"] = False
    for stage in stages:
        # A key in the place of the login that an operation asks for is a credential all the same: 403, not 401.
        logins_only = "x-api-key" in stage.headers and "/admin/" in case.operation.label
        excluded = [missing_required_header] if logins_only else []
        case.call_and_validate(
            base_url=stage.url, headers=stage.headers, session=stage.session, excluded_checks=excluded
        )
