"""Login tokens: every way in which one may be bad, one by one, beside a good one of the same kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.logins import ALGORITHMS, AUDIENCE, ISSUER, jwk, part, private, secretly_signed, signed
from wagate.backends.jwks import PublicKey, read
from wagate.backends.tokens import MOST_BYTES, Claims, Expected, TokenRefused, Verifier, has_form, said_in
from wagate.clock import ManualClock

pytestmark = pytest.mark.anyio

START = 1_800_000_000
EXPECTED = Expected(issuer=ISSUER, audience=AUDIENCE)
GOOD = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user_1", "exp": START + 900, "iat": START}
ABSENT = object()


class Published:
    """A set of keys that stays."""

    def __init__(self, *keys: Any) -> None:
        self.generation = 0
        self.asked: list[str] = []
        self.put(*(keys or [jwk(each) for each in ALGORITHMS]))

    def put(self, *keys: Any) -> None:
        self._set = read(json.dumps({"keys": keys}).encode())
        self.generation += 1

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        self.asked.append(kid)
        return self._set.keys.get((kid, algorithm))


def claims(**more: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **more}.items() if value is not ABSENT}


def judge(
    keys: Published | None = None, *, clock: ManualClock | None = None, expected: Expected = EXPECTED
) -> Verifier:
    return Verifier(keys or Published(), expected, clock=clock or ManualClock(START * 1000))


async def refused(token: str | bytes, keys: Published | None = None, **more: Any) -> str:
    with pytest.raises(TokenRefused) as refusal:
        await judge(keys, **more).verify(token.encode() if isinstance(token, str) else token)
    return refusal.value.reason


def public(algorithm: str, encoding: str) -> bytes:
    """A public key as an attacker would use it for a secret."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    raw: bytes = private(algorithm).public_key().public_bytes(getattr(serialization.Encoding, encoding), form)
    return raw


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_of_each_algorithm_is_good(algorithm: str) -> None:
    found = (await judge().verify(signed(GOOD, algorithm).encode())).claims
    assert (found.user_id, found.organization_id, found.until) == ("user_1", None, (START + 930) * 1000)


# The form


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c.d", "..", "a b.c.d", "a.b.c=", "ä.b.c", "a.b.c\n", "a.b.", "!.b.c", "aaaaa.b.c"]
)
async def test_what_has_not_the_form_is_refused(token: str) -> None:
    await refused(token)


async def test_nothing_is_parsed_of_a_token_that_is_too_long() -> None:
    keys = Published()
    token = signed(claims(pad="x" * MOST_BYTES))
    assert "bytes" in await refused(token, keys)
    assert "bytes" in await refused("." * (MOST_BYTES + 1), keys)
    assert keys.asked == []
    assert has_form(token.encode())
    rest = MOST_BYTES - len(signed(claims(pad="")))
    longest = signed(claims(pad="x" * (rest * 3 // 4 - 2)))
    assert MOST_BYTES - 8 < len(longest) <= MOST_BYTES
    await judge().verify(longest.encode())


@pytest.mark.parametrize("head", [b"{", b"[]", b"null", b'"EdDSA"', b'{"alg":7}', b"{}", b"[" * 3000, b"\xff\xfe"])
async def test_a_header_that_is_none_is_refused(head: bytes) -> None:
    token = part(head) + b"." + part(GOOD) + b"." + part(b"x" * 64)
    assert "header" in await refused(token)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"kid": None}, "`kid`"),
        ({"kid": ""}, "`kid`"),
        ({"kid": 7}, "header"),
        ({"kid": "unknown"}, "no key"),
        ({"crit": ["exp"]}, "crit"),
        ({"crit": []}, "crit"),
        ({"b64": False}, "b64"),
        ({"typ": "logout+jwt"}, "typ"),
        ({"typ": "dpop+jwt"}, "typ"),
        ({"typ": 7}, "header"),
    ],
)
async def test_a_header_that_cannot_be_followed_is_refused(header: dict[str, Any], why: str) -> None:
    assert why in await refused(signed(GOOD, header=header))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_tokens_of_a_kind_that_is_meant_are_taken(typ: str | None) -> None:
    await judge().verify(signed(GOOD, header={"typ": typ}).encode())


async def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    mine = jwk("EdDSA", kid="EdDSA", number=9)
    for header in ({"jwk": mine}, {"jku": "https://evil.example/"}, {"x5u": "https://evil.example/"}, {"x5c": ["x"]}):
        assert "signature" in await refused(signed(GOOD, header=header, number=9))


# The algorithm and the signature


@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", ""])
async def test_an_unsigned_token_is_refused(none: str) -> None:
    head = part({"alg": none, "kid": "EdDSA", "typ": "JWT"})
    for signature in (b"", part(b"x" * 64)):
        assert "`alg`" in await refused(head + b"." + part(GOOD) + b"." + signature)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("encoding", ["PEM", "DER"])
async def test_a_public_key_is_nobodys_secret(algorithm: str, encoding: str) -> None:
    secrets = [public(algorithm, encoding), json.dumps(jwk(algorithm)).encode()]
    if algorithm == "EdDSA":
        form = serialization.PublicFormat.Raw
        secrets.append(private("EdDSA").public_key().public_bytes(serialization.Encoding.Raw, form))
    for secret in secrets:
        assert "`alg`" in await refused(secretly_signed(GOOD, secret, kid=algorithm))


async def test_a_shared_secret_in_the_providers_set_opens_nothing() -> None:
    secret = b"x" * 32
    keys = Published(jwk("EdDSA"), {"kty": "oct", "kid": "shared", "alg": "HS256", "k": part(secret).decode()})
    assert "`alg`" in await refused(secretly_signed(GOOD, secret, kid="shared"), keys)


@pytest.mark.parametrize(
    "algorithm", ["HS256", "HS512", "RS384", "RS512", "PS256", "ES384", "ES256K", "eddsa", "Ed448"]
)
async def test_an_algorithm_that_is_not_taken_is_refused_before_a_key_is_looked_for(algorithm: str) -> None:
    keys = Published()
    message = part({"alg": algorithm, "kid": "EdDSA"}) + b"." + part(GOOD)
    assert "`alg`" in await refused(message + b"." + part(b"x" * 64), keys)
    assert keys.asked == []


@pytest.mark.parametrize("said", ALGORITHMS)
@pytest.mark.parametrize("key", ALGORITHMS)
async def test_a_key_of_another_algorithm_verifies_nothing(said: str, key: str) -> None:
    token = signed(GOOD, key, header={"alg": said, "kid": key})
    if said != key:
        assert "no key" in await refused(token)
        # The right key for the algorithm that is said, and the other's signature.
        await refused(signed(GOOD, key, header={"alg": said, "kid": said}))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_signature_that_was_touched_is_refused(algorithm: str) -> None:
    token = signed(GOOD, algorithm)
    message, _, signature = token.rpartition(".")
    other = signed(claims(sub="user_2"), algorithm)
    for bad in (
        "",
        signature[:-4],
        signature[4:],
        signature + "AAAA",
        "A" * len(signature),
        other.rpartition(".")[2],
        part(b"").decode(),
        part(b"\x00" * 64).decode(),
    ):
        assert await refused(f"{message}.{bad}") == "its signature is not the key's"
    head, body, _ = token.split(".")
    assert await refused(f"{head}.{other.split('.')[1]}.{signature}") == "its signature is not the key's"
    assert await refused(signed(GOOD, algorithm, number=9)) == "its signature is not the key's"
    assert body


# The claims


async def test_no_claim_is_read_before_the_signature_is_verified() -> None:
    token = signed(claims(iss="https://evil.example", exp=1), number=9)
    assert await refused(token) == "its signature is not the key's"


@pytest.mark.parametrize("payload", [b"{", b"[]", b"null", b"7", b"[" * 3000, b"\xff"])
async def test_a_payload_that_is_none_is_refused(payload: bytes) -> None:
    assert "payload" in await refused(signed(payload))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"iss": ABSENT}, "`iss`"),
        ({"iss": ISSUER.rstrip("/")}, "`iss`"),
        ({"iss": ISSUER.upper()}, "`iss`"),
        ({"iss": [ISSUER]}, "`iss`"),
        ({"iss": None}, "`iss`"),
        ({"aud": ABSENT}, "`aud`"),
        ({"aud": "wagate2"}, "`aud`"),
        ({"aud": ["other"]}, "`aud`"),
        ({"aud": []}, "`aud`"),
        ({"aud": [[AUDIENCE]]}, "`aud`"),
        ({"aud": {AUDIENCE: 1}}, "`aud`"),
        ({"exp": ABSENT}, "`exp`"),
        ({"exp": str(START + 900)}, "`exp`"),
        ({"exp": True}, "`exp`"),
        ({"exp": 1e300}, "`exp`"),
        ({"exp": START - 30}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1}, "expired"),
        ({"nbf": START + 31}, "not good yet"),
        ({"nbf": "soon"}, "`nbf`"),
        ({"iat": START + 31}, "in the future"),
        ({"iat": []}, "`iat`"),
        ({"sub": ABSENT}, "`sub`"),
        ({"sub": ""}, "`sub`"),
        ({"sub": 7}, "`sub`"),
        ({"sub": "a\0b"}, "`sub`"),
        ({"sub": "x" * 256}, "`sub`"),
    ],
)
async def test_a_claim_that_is_missing_or_anothers_is_refused(more: dict[str, Any], why: str) -> None:
    assert why in await refused(signed(claims(**more)))


async def test_infinity_is_no_time() -> None:
    body = json.dumps(GOOD).replace(str(START + 900), "1e999").encode()
    await refused(signed(body))


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
async def test_an_audience_may_be_one_of_several(audience: Any) -> None:
    await judge().verify(signed(claims(aud=audience)).encode())


async def test_clocks_may_differ_by_thirty_seconds() -> None:
    for more in ({"exp": START - 29}, {"exp": START - 29.5}, {"nbf": START + 30}, {"iat": START + 30}):
        await judge().verify(signed(claims(**more)).encode())


async def test_another_claim_may_say_who_somebody_is() -> None:
    expected = Expected(issuer=ISSUER, audience=AUDIENCE, user_claim="user.id")
    token = signed(claims(sub=ABSENT, user={"id": "u7"}))
    assert (await judge(expected=expected).verify(token.encode())).claims.user_id == "u7"
    assert "user.id" in await refused(signed(GOOD), expected=expected)


# What the claims say


async def said(**more: Any) -> Claims:
    return (await judge().verify(signed(claims(**more)).encode())).claims


@pytest.mark.parametrize(
    "value", [ABSENT, None, "", 7, ["a", "b"], [], [7], {"id": "a"}, "a b", "a:b", "x" * 65, "a.*"]
)
async def test_what_could_be_no_organization_is_none(value: Any) -> None:
    assert (await said(activeOrganizationId=value)).organization_id is None


@pytest.mark.parametrize("value", ["org_1", ["org_1"]])
async def test_an_organization_may_stand_alone_in_a_list(value: Any) -> None:
    assert (await said(activeOrganizationId=value)).organization_id == "org_1"


@pytest.mark.parametrize(
    ("value", "roles"),
    [
        ("admin", {"admin"}),
        ("admin,member", {"admin", "member"}),
        ("admin, member", {"admin", "member"}),
        (["owner", 7], {"owner"}),
        (ABSENT, set()),
        (7, set()),
        ({"owner": True}, set()),
    ],
)
async def test_roles_are_read_as_providers_write_them(value: Any, roles: set[str]) -> None:
    found = await said(orgRole=value, role=value)
    assert (found.organization_roles, found.roles) == (roles, roles)


def test_a_claims_own_name_wins_over_its_dots() -> None:
    payload = {"https://x.example/org": "flat", "a.b": "flat", "a": {"b": "deep", "c": {"d": "deep"}}}
    assert said_in(payload, "https://x.example/org") == "flat"
    assert said_in(payload, "a.b") == "flat"
    assert said_in(payload, "a.c.d") == "deep"
    assert said_in(payload, "a.b.c") is None


# Verdicts


async def test_a_verdict_is_kept_for_a_minute_and_never_beyond_the_token() -> None:
    keys, clock = Published(), ManualClock(START * 1000)
    verifier = judge(keys, clock=clock)
    token, short = signed(GOOD).encode(), signed(claims(exp=START + 10)).encode()
    for _ in range(3):
        await verifier.verify(token)
        await verifier.verify(short)
    assert len(keys.asked) == 2
    await clock.advance(39)
    await verifier.verify(short)
    assert len(keys.asked) == 2
    await clock.advance(1)
    with pytest.raises(TokenRefused, match="expired"):
        await verifier.verify(short)
    await clock.advance(20)
    await verifier.verify(token)
    assert len(keys.asked) == 4
    await clock.advance(870)
    with pytest.raises(TokenRefused, match="expired"):
        await verifier.verify(token)


async def test_a_verdict_ends_with_its_key() -> None:
    keys = Published()
    verifier = judge(keys)
    token = signed(GOOD).encode()
    await verifier.verify(token)
    keys.put(jwk("ES256"))
    with pytest.raises(TokenRefused, match="no key"):
        await verifier.verify(token)


async def test_a_clock_that_was_turned_back_makes_no_verdict_last_longer() -> None:
    keys, clock = Published(), ManualClock(START * 1000)
    verifier = judge(keys, clock=clock)
    token = signed(claims(iat=ABSENT)).encode()
    await verifier.verify(token)
    clock._now -= 1
    await verifier.verify(token)
    assert len(keys.asked) == 2


async def test_bad_tokens_are_not_remembered_and_good_ones_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wagate.backends.tokens.MOST_VERDICTS", 20)
    verifier = judge()
    first = signed(GOOD).encode()
    await verifier.verify(first)
    for number in range(30):
        with pytest.raises(TokenRefused):
            await verifier.verify(signed(claims(exp=number)).encode())
    assert len(verifier._verdicts) == 1
    make: Callable[[int], bytes] = lambda number: signed(claims(sub=f"user_{number}")).encode()  # noqa: E731
    for number in range(100):
        await verifier.verify(make(number))
        assert len(verifier._verdicts) <= 20
    await verifier.verify(first)
