"""People over HTTP: what their login tokens open, and that a refusal tells nothing but that it is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.gateways import home, key, organization, refused
from tests.support.logins import (
    ALGORITHMS,
    ISSUER,
    Provider,
    ask,
    bearer,
    jwk,
    part,
    providing,
    secretly_signed,
    signed,
    signed_in,
)
from wagate.testing import SandboxGateway

OURS = "reinhardt_and_daughters"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as made:
        yield made


@pytest.fixture(scope="module")
def wagate(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose clock only the tests turn, with an organization that the provider knows as well."""
    with signed_in(tmp_path_factory.mktemp("wagate") / "data", provider, clock="manual") as running:
        organization(running, id=OURS)
        yield running


@pytest.fixture
def owner(provider: Provider) -> str:
    return provider.token(OURS)


# Refused


def spoilt(provider: Provider) -> dict[str, str]:
    """One token for each check that may fail."""
    good = provider.claims(OURS)
    secret = part(jwk("EdDSA"))
    head, body, signature = signed(good).split(".")
    return {
        "form": "a.b.c",
        "header": f"{part(b'{').decode()}.{body}.{signature}",
        "none": f"{part({'alg': 'none', 'kid': 'EdDSA'}).decode()}.{body}.",
        "shared secret": secretly_signed(good, secret, kid="EdDSA"),
        "crit": signed(good, header={"crit": ["exp"]}),
        "no kid": signed(good, header={"kid": None}),
        "unknown kid": signed(good, header={"kid": "other"}),
        "another algorithm": signed(good, "EdDSA", header={"kid": "RS256"}),
        "another key": signed(good, number=7),
        "touched": f"{head}.{part({**good, 'orgRole': 'admin'}).decode()}.{signature}",
        "issuer": provider.token(OURS, iss=ISSUER + "x"),
        "audience": provider.token(OURS, aud="other"),
        "audiences": provider.token(OURS, aud=["other", "another"]),
        "expired": provider.token(OURS, exp=-31),
        "not yet": provider.token(OURS, nbf=31),
        "of the future": provider.token(OURS, iat=31),
        "nobody": signed({name: value for name, value in good.items() if name != "sub"}),
        "too long": provider.token(OURS, pad="x" * 8192),
    }


def test_a_refusal_tells_nothing_of_what_failed_and_the_log_tells_it_without_the_token(
    wagate: SandboxGateway, provider: Provider
) -> None:
    told, reasons = set(), []
    for name, token in spoilt(provider).items():
        with capture_logs() as lines:
            answer = ask(wagate, token, "GET", "/sessions")
        refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        told.add(str(answer.body))
        [line] = [each for each in lines if each["event"] == "a login token is refused"]
        assert line["reason"], name
        reasons.append(line["reason"])
        assert not any(piece in str(lines) for piece in token.split(".") if len(piece) > 20), name
    assert len(told) == 1
    assert len(set(reasons)) > 10


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_opens(wagate: SandboxGateway, provider: Provider, algorithm: str) -> None:
    assert ask(wagate, provider.token(OURS, algorithm=algorithm), "GET", "/sessions").status == 200


def test_a_token_is_no_key_and_a_key_no_token(wagate: SandboxGateway, owner: str) -> None:
    secret = key(wagate)
    refused(wagate.ask("GET", "/sessions", key=owner), 401, "unauthorized")
    refused(wagate.ask("GET", "/sessions", key="", headers=bearer(f"{secret}.{secret}.{secret}")), 401)
    for scheme in ("Basic", "JWT", "DPoP"):
        refused(wagate.ask("GET", "/sessions", key="", headers={"authorization": f"{scheme} {owner}"}), 401)


def test_the_key_header_wins(wagate: SandboxGateway, owner: str) -> None:
    refused(wagate.ask("GET", "/sessions", key="wa_" + "0" * 43, headers=bearer(owner)), 401)
    assert wagate.ask("GET", "/sessions", key=key(wagate), headers=bearer("a.b.c")).status == 200


def test_a_gateway_without_a_provider_takes_no_token(owner: str, tmp_path: Any) -> None:
    from wagate import testing

    with testing.gateway(tmp_path / "data") as running:
        refused(ask(running, owner, "GET", "/sessions"), 401, "unauthorized")


@pytest.mark.parametrize("acting", [None, "", "nowhere", "org:1", 7, ["a", "b"]])
def test_without_an_organization_that_is_here_everything_is_403(
    wagate: SandboxGateway, provider: Provider, acting: Any
) -> None:
    token = provider.token(acting)
    for method, path in (("GET", "/sessions"), ("POST", "/sessions"), ("GET", "/events"), ("GET", "/keys")):
        refused(ask(wagate, token, method, path), 403, "forbidden")
    refused(ask(wagate, token, "POST", "/realtime/ticket", {}), 403, "forbidden")
    assert wagate.ask("GET", "/openapi.json", key="", headers=bearer(token)).status == 200


@pytest.mark.parametrize("role", [None, "", "guest", "super_admin", "Owner", {"owner": True}])
def test_a_role_that_is_none_opens_nothing(wagate: SandboxGateway, provider: Provider, role: Any) -> None:
    refused(ask(wagate, provider.token(OURS, role), "GET", "/sessions"), 403, "forbidden")


def test_a_token_is_good_until_its_time_is_over(wagate: SandboxGateway, provider: Provider) -> None:
    token = provider.token(OURS, exp=60)
    wagate.advance(89)
    assert ask(wagate, token, "GET", "/sessions").status == 200
    wagate.advance(1)
    refused(ask(wagate, token, "GET", "/sessions"), 401, "unauthorized")


# What it opens


def test_a_change_of_role_counts_from_the_next_token_on(wagate: SandboxGateway, provider: Provider) -> None:
    for role, status in (("member", 403), ("admin", 201), ("member,admin", 201), ("member", 403)):
        assert ask(wagate, provider.token(OURS, role), "POST", "/sessions", {}).status == status


def test_one_person_in_two_organizations_sees_the_one_they_act_for(wagate: SandboxGateway, provider: Provider) -> None:
    other = organization(wagate)
    here, there = provider.token(OURS), provider.token(other, "member")
    made = ask(wagate, here, "POST", "/sessions", {}).body["id"]
    assert ask(wagate, here, "GET", f"/sessions/{made}").status == 200
    refused(ask(wagate, there, "GET", f"/sessions/{made}"), 404, "not_found")
    assert ask(wagate, there, "GET", "/sessions").body["data"] == []
    refused(ask(wagate, there, "POST", "/sessions", {}), 403, "forbidden")


def test_what_a_person_makes_bears_their_id(wagate: SandboxGateway, provider: Provider) -> None:
    token = provider.token(OURS, sub="user_42")
    assert ask(wagate, token, "POST", "/sessions", {}).body["createdByUserId"] == "user_42"
    assert "createdByUserId" not in wagate.post("/sessions", {})


def test_a_person_makes_keys_that_outlive_their_login(wagate: SandboxGateway, provider: Provider) -> None:
    wish = {"name": "program", "permissions": ["read", "send", "manage", "events"]}
    made = ask(wagate, provider.token(OURS, exp=60), "POST", "/keys", wish)
    assert made.status == 201
    wagate.advance(3600)
    assert wagate.ask("GET", "/sessions", key=made.body["secret"]).status == 200
    refused(ask(wagate, provider.token(OURS, "member"), "POST", "/keys", wish), 403, "forbidden")


def test_a_send_repeated_by_another_caller_is_the_same_send(provider: Provider, wagate: SandboxGateway) -> None:
    token = provider.token(home(wagate), "member")
    session = wagate.linked("9990000077")["id"]
    body = {"type": "text", "to": "9990000078", "text": "hello"}
    named = {"idempotency-key": "once"}
    first = wagate.ask("POST", f"/sessions/{session}/messages?async=true", body, headers=named)
    again = wagate.ask("POST", f"/sessions/{session}/messages?async=true", body, key="", headers=bearer(token) | named)
    assert (first.status, again.status) == (202, 202)
    assert again.body["replayed"] is True
    assert again.body["outboxId"] == first.body["outboxId"]


# Organizations that are not there yet


def test_an_organization_is_made_only_where_that_is_wished(provider: Provider, tmp_path: Any) -> None:
    with signed_in(tmp_path / "data", provider, jwt_create_orgs=True) as open_one:
        everybody: list[int] = []
        token = provider.token("zz_org")

        def come() -> None:
            everybody.append(ask(open_one, token, "GET", "/sessions").status)

        crowd = [threading.Thread(target=come) for _ in range(8)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()
        assert everybody == [200] * 8
        refused(ask(open_one, provider.token("new:org"), "GET", "/sessions"), 403, "forbidden")
        refused(ask(open_one, signed(provider.claims("evil"), number=9), "GET", "/sessions"), 401, "unauthorized")
        assert ask(open_one, provider.token("zz_org", "member"), "POST", "/sessions", {}).status == 403
        rows = open_one.run(open_one.running.gw.db.all("SELECT id FROM organizations ORDER BY created_at"))
        assert [row[0] for row in rows[1:]] == ["zz_org"]


# Keys that turn, and a provider that is away


def test_keys_turn_while_the_gateway_serves(wagate: SandboxGateway, provider: Provider) -> None:
    old, new = provider.token(OURS), provider.token(OURS, header={"kid": "new"}, number=1)
    refused(ask(wagate, new, "GET", "/sessions"), 401, "unauthorized")
    good = provider.answer
    try:
        provider.publish(jwk("EdDSA"), jwk("EdDSA", kid="new", number=1))
        wagate.advance(61)
        wagate.until(lambda: ask(wagate, new, "GET", "/sessions").status == 200)
        assert ask(wagate, old, "GET", "/sessions").status == 200
        provider.publish(jwk("EdDSA", kid="new", number=1))
        wagate.advance(3600)
        old, new = provider.token(OURS), provider.token(OURS, header={"kid": "new"}, number=1)
        wagate.until(lambda: ask(wagate, old, "GET", "/sessions").status == 401)
        assert ask(wagate, new, "GET", "/sessions").status == 200
    finally:
        provider.answer = good
        wagate.advance(3600)
        wagate.until(lambda: ask(wagate, provider.token(OURS), "GET", "/sessions").status == 200)


def test_a_provider_that_hangs_holds_nobody(wagate: SandboxGateway, provider: Provider) -> None:
    asked = provider.asked
    provider.hang()
    try:
        wagate.advance(3600)
        wagate.until(lambda: provider.asked > asked)
        # All of this is answered while the provider says nothing.
        for algorithm in ALGORITHMS:
            assert ask(wagate, provider.token(OURS, algorithm=algorithm), "GET", "/sessions").status == 200
        refused(ask(wagate, provider.token(OURS, header={"kid": "new"}), "GET", "/sessions"), 401, "unauthorized")
        assert wagate.ask("GET", "/sessions").status == 200
        assert provider.asked == asked + 1
    finally:
        provider.release()


def test_a_gateway_starts_while_its_provider_hangs_and_knows_the_keys_once_they_come(tmp_path: Any) -> None:
    with providing() as late:
        late.hang()
        with signed_in(tmp_path / "data", late) as running:
            token = late.token(home(running))
            refused(ask(running, token, "GET", "/sessions"), 401, "unauthorized")
            assert running.ask("GET", "/sessions").status == 200
            late.release()
            running.until(lambda: ask(running, token, "GET", "/sessions").status == 200)


def test_the_very_first_request_finds_the_keys(provider: Provider, tmp_path: Any) -> None:
    with signed_in(tmp_path / "data", provider) as running:
        assert ask(running, provider.token(home(running)), "GET", "/sessions").status == 200
