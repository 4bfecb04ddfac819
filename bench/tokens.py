"""Login tokens: how many are verified on one core, and what a person's request costs beside a program's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from bench.counting import Count
from bench.load import Load, closed
from bench.machine import loop_milliseconds, on_the_servers_core
from bench.reads import answer, answers_as_stored
from bench.report import Figure, Workload
from bench.sends import shares
from bench.servers import gateway
from wagate.backends.jwks import KeySet, PublicKey, read
from wagate.backends.tokens import Expected, TokenRefused, Verifier
from wagate.clock import SystemClock

ISSUER, AUDIENCE = "https://login.example.com/", "wagate"
CALLERS = 8
ROUND_SECONDS, TURN_SECONDS = 1.0, 0.4
TOKENS = 1500
_SIGN = get_default_algorithms()
PRIVATE: dict[str, Any] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}


async def run(folder: Path, rounds: int) -> Workload:
    """Verifications a second for each algorithm; get a session with a login and with a key; a provider that hangs."""
    loops = list[float]()
    verified: dict[str, list[float]] = {algorithm: [] for algorithm in PRIVATE}
    bare: dict[str, list[float]] = {algorithm: [] for algorithm in PRIVATE}
    loads: dict[str, list[Load]] = {"login": [], "key": []}
    bad = 0
    async with providing() as url, gateway(folder / "tokens", **_settings(url)) as server:
        session = await server.caller.must("POST", "/sessions", {})
        key = server.caller.request("GET", f"/sessions/{session['id']}")
        token = signed("EdDSA", _claims(session["organizationId"]))
        login = key.replace(f"x-api-key: {server.caller.key}".encode(), f"authorization: Bearer {token}".encode())
        stored = await answer(server.port, key)
        for _ in range(rounds):
            loops.append(loop_milliseconds())
            for algorithm in PRIVATE:
                speed, plain, accepted = await _verify(algorithm)
                verified[algorithm].append(speed)
                bare[algorithm].append(plain)
                bad += accepted
            # In turns, and each goes first as often: what the machine does meanwhile hits both alike.
            for name in ("login", "key", "key", "login") * 3:
                request = login if name == "login" else key
                made = itertools.repeat(request)
                load = await closed(server, lambda _, made=made: made, callers=CALLERS, seconds=TURN_SECONDS)
                loads[name].append(load)
    hanging, unheld = await _hanging(folder / "hanging", rounds)

    def cost(who: str) -> list[float]:
        """Of each round; one turn is too short for a clock that counts hundredths of a second."""
        turns = len(loads[who]) // rounds
        parts = [loads[who][number * turns :][:turns] for number in range(rounds)]
        return [1e6 * sum(t.server_seconds for t in part) / sum(len(t.latencies) for t in part) for part in parts]

    verifying = [
        Figure(
            name=f"a token of {algorithm}, verified and not remembered",
            unit="tokens per CPU-second",
            rounds=verified[algorithm],
            target=4000,
            reference=bare[algorithm],
        )
        for algorithm in PRIVATE
    ]
    person = Figure(
        name="get a session with a remembered login",
        unit="µs of server CPU",
        rounds=cost("login"),
        reference=cost("key"),
        target_ratio=1.1,
        lower_is_better=True,
        **shares(loads["login"]),
    )
    unknown = Figure(
        name="401 for an unknown key id while the provider hangs, p99",
        unit="ms",
        rounds=[each.milliseconds(0.99) for each in hanging],
        target=20,
        lower_is_better=True,
        reference=[each.milliseconds(0.99) for each in unheld],
        **shares(hanging),
    )
    tried = TOKENS * rounds * len(PRIVATE)
    return Workload(
        name="Login tokens",
        reference="for verifying, the signature alone, by the library; for a request, the same one with an API key; for"
        " a refusal, that of an unknown API key",
        figures=[*verifying, person, unknown],
        counts={
            "answers 200, byte for byte what is stored": answers_as_stored(loads, dict.fromkeys(loads, stored)),
            "tokens with a signature that was touched, refused": Count(acknowledged=tried, missing=bad),
        },
        loops=loops,
    )


async def _verify(algorithm: str) -> tuple[float, float, int]:
    """Tokens and signatures alone for each second of CPU, and how many bad ones were accepted. In this process."""
    tokens = [signed(algorithm, _claims("acme", number)).encode() for number in range(TOKENS)]
    signatures = [(each.rpartition(b".")[0], _raw(each.rpartition(b".")[2])) for each in tokens]
    published = _Published()
    key = published.set.keys[algorithm, algorithm]
    verifier = Verifier(published, Expected(issuer=ISSUER, audience=AUDIENCE), clock=SystemClock())
    with on_the_servers_core():
        started = time.process_time()
        for each in tokens:
            await verifier.verify(each)
        took = time.process_time() - started
        started = time.process_time()
        good = [key.verify(message, signature) for message, signature in signatures]
        plain = time.process_time() - started
    assert all(good)
    accepted = 0
    for each in tokens:
        head, _, signature = each.rpartition(b".")
        with contextlib.suppress(TokenRefused):
            await verifier.verify(head + b"." + (b"A" if signature[:1] != b"A" else b"B") + signature[1:])
            accepted += 1
    return TOKENS / took, TOKENS / plain, accepted


async def _hanging(folder: Path, rounds: int) -> tuple[list[Load], list[Load]]:
    """A gateway that started while its provider says nothing: who comes with an unknown key id, and with a bad key."""
    async with providing(hang=True) as url, gateway(folder, **_settings(url)) as server:
        token = signed("EdDSA", _claims("acme"))
        found: tuple[list[Load], list[Load]] = ([], [])
        for _ in range(rounds):
            for loads, credential in zip(found, (token, "wa_" + "0" * 43), strict=True):
                head = f"GET /api/v1/sessions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {credential}\r\n"
                made = itertools.repeat(f"{head}\r\n".encode())
                load = await closed(server, lambda _, made=made: made, callers=2, seconds=ROUND_SECONDS, status=401)
                loads.append(load)
        return found


class _Published:
    """The keys as a provider's set gives them."""

    generation = 0

    def __init__(self) -> None:
        self.set: KeySet = read(_document())

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        return self.set.keys.get((kid, algorithm))


@contextlib.asynccontextmanager
async def providing(*, hang: bool = False) -> AsyncIterator[str]:
    """A provider on this machine: the URL of its keys. `hang`: it takes requests and says nothing."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if hang:
                await over.wait()
            body = _document()
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    finally:
        over.set()
        server.close()


def signed(algorithm: str, claims: dict[str, Any]) -> str:
    """A token with these claims."""
    message = b".".join(
        map(_part, (json.dumps({"alg": algorithm, "kid": algorithm, "typ": "JWT"}), json.dumps(claims)))
    )
    return (message + b"." + _part(_SIGN[algorithm].sign(message, PRIVATE[algorithm]))).decode()


def _claims(organization: str, number: int = 0) -> dict[str, Any]:
    """As a provider writes them, a few of no concern to the gateway among them."""
    now = int(time.time())
    who = {"sub": f"user_{number}", "email": f"person{number}@example.com", "name": "A Person", "jti": f"{number:032}"}
    act = {"activeOrganizationId": organization, "orgRole": "admin"}
    return {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 3600, **who, **act}


def _document() -> bytes:
    keys = [
        {
            **_SIGN[algorithm].to_jwk(private.public_key(), as_dict=True),
            "kid": algorithm,
            "alg": algorithm,
            "use": "sig",
        }
        for algorithm, private in PRIVATE.items()
    ]
    return json.dumps({"keys": keys}).encode()


def _settings(url: str) -> dict[str, str]:
    return {"WAGATE_JWKS_URL": url, "WAGATE_JWT_ISSUER": ISSUER, "WAGATE_JWT_AUDIENCE": AUDIENCE}


def _part(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _raw(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
