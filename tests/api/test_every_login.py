"""Every operation, with the login of every role: the same gate and the same walls as for keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.test_every_operation import GOOD, KEYED, OPERATIONS, each, path
from tests.support.gateways import key, organization, refused
from tests.support.logins import Provider, ask, providing, signed_in
from wagate.api.operations import Operation
from wagate.model.organizations import CAPABILITIES, ROLES

PERSON: dict[str, dict[str, Any]] = {
    **{role: {"role": role} for role in ROLES},
    "guest": {"role": "guest"},
    "nobody's": {"acting": None, "role": "owner"},
    "elsewhere": {"acting": "unknown_here", "role": "owner"},
    "super_admin": {"acting": None, "role": "owner", "platform": "super_admin"},
    "admin and super_admin": {"role": "admin", "platform": "super_admin"},
}
MAY = {
    **{role: set(capabilities) for role, capabilities in ROLES.items()},
    "guest": set(),
    "nobody's": set(),
    "elsewhere": set(),
    "super_admin": {"super_admin"},
    "admin and super_admin": {*CAPABILITIES, "super_admin"},
}


class Stage:
    """An organization with a session, another with one too, and somebody of each role in the first."""

    def __init__(self, provider: Provider, data_dir: Any) -> None:
        self._gateway = signed_in(data_dir, provider)
        self.wagate = self._gateway.__enter__()
        self.home = organization(self.wagate, "home")
        self.key = key(self.wagate, owner=self.home)
        self.mine = self.wagate.ask("POST", "/sessions", {}, key=self.key).body["id"]
        self.strangers_key = key(self.wagate, owner=organization(self.wagate))
        self.foreign = self.wagate.ask("POST", "/sessions", {}, key=self.strangers_key).body["id"]
        self.tokens = {
            name: provider.token(person.get("acting", self.home), person.get("role"), platform=person.get("platform"))
            for name, person in PERSON.items()
        }

    def close(self) -> None:
        self._gateway.__exit__(None, None, None)

    def ask(self, who: str, operation: Operation, session: str, body: Any) -> Any:
        where = path(operation, session)
        if operation.id == "streamEvents":
            # What is found would be followed without an end.
            where += f"?session={session}"
        return ask(self.wagate, self.tokens[who], operation.method, where, body)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with providing() as provider:
        made = Stage(provider, tmp_path_factory.mktemp("wagate") / "data")
        try:
            yield made
        finally:
            made.close()


def who_may(operation: Operation) -> set[str]:
    return {name for name, capabilities in MAY.items() if not operation.capability.isdisjoint(capabilities)}


def test_roles_differ() -> None:
    assert set(ROLES) <= set(PERSON)
    assert ROLES["owner"] == ROLES["admin"] == set(CAPABILITIES)
    assert ROLES["member"] == {"read", "send", "events"}
    assert any("member" not in who_may(each) and "admin" in who_may(each) for each in OPERATIONS)


@each(OPERATIONS)
def test_who_may_not_gets_403_whatever_is_asked_for(stage: Stage, operation: Operation) -> None:
    for who in PERSON.keys() - who_may(operation):
        for session in ("ses_nobody", stage.foreign, stage.mine):
            refused(stage.ask(who, operation, session, b"{"), 403, "forbidden")


@each(OPERATIONS)
def test_who_may_gets_past_the_gate(stage: Stage, operation: Operation) -> None:
    for who in who_may(operation):
        answer = stage.ask(who, operation, "ses_nobody", b"{")
        assert answer.status not in (401, 403, 500), (who, answer.body)


@each([operation for operation in KEYED if "session" in operation.names])
def test_what_another_organization_has_does_not_exist_for_anybody(stage: Stage, operation: Operation) -> None:
    for who in who_may(operation):
        for body in (GOOD.get(operation.id), b'{"unknown":'):
            foreign = stage.ask(who, operation, stage.foreign, body)
            nobody = stage.ask(who, operation, "ses_nobody", body)
            assert (foreign.status, foreign.body) == (nobody.status, nobody.body)
            if type(body) is not bytes:
                refused(foreign, 404, "not_found")
    there = stage.wagate.ask("GET", f"/sessions/{stage.foreign}", key=stage.strangers_key)
    assert there.body["status"] == "stopped"


def test_ids_that_another_organization_gave_do_not_exist_for_anybody(stage: Stage) -> None:
    def theirs(path: str, body: Any) -> str:
        made: str = stage.wagate.ask("POST", path, body, key=stage.strangers_key).body["id"]
        return made

    ids = {"/webhooks": theirs("/webhooks", GOOD["createWebhook"]), "/keys": theirs("/keys", GOOD["createKey"])}
    named = [each for each in OPERATIONS if "id" in each.names]
    assert {each.path.partition("/{id}")[0] for each in named} == set(ids)
    for operation in named:
        for who in who_may(operation):
            below = operation.path.partition("{id}")[2].format(did="dlv_nothing")
            for id in (ids[operation.path.partition("/{id}")[0]], "id_nothing"):
                where = f"{operation.path.partition('{id}')[0]}{id}{below}"
                answer = ask(stage.wagate, stage.tokens[who], operation.method, where, GOOD.get(operation.id))
                refused(answer, 404, "not_found")


@each(OPERATIONS)
def test_a_signature_that_was_touched_opens_nothing(stage: Stage, operation: Operation) -> None:
    head, body, signature = stage.tokens["owner"].split(".")
    bad = f"{head}.{body}.{signature[:-8]}AAAAAAAA"
    answer = ask(stage.wagate, bad, operation.method, path(operation, stage.mine), GOOD.get(operation.id))
    refused(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
