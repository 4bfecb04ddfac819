"""An identity provider on this machine: keys of its own, tokens signed with them, and a real server that publishes
whatever it is told to, also nonsense, also nothing.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from wagate import testing
from wagate.testing import SandboxGateway

ISSUER = "https://login.example.com/"
AUDIENCE = "wagate"
ALGORITHMS = ("EdDSA", "ES256", "RS256")
_SIGN = get_default_algorithms()


def private(algorithm: str, number: int = 0) -> Any:
    """A private key; the same one for the same number. `RS1024` is a weak one."""
    return _private(algorithm, number)


@cache
def _private(algorithm: str, number: int) -> Any:
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "RS1024":
            return rsa.generate_private_key(65537, 1024)
    return rsa.generate_private_key(65537, 2048)


def jwk(algorithm: str, kid: str = "", number: int = 0, **more: Any) -> dict[str, Any]:
    """The public half as a provider publishes it; a member that is None is left out."""
    kind = "RS256" if algorithm == "RS1024" else algorithm
    public: Any = _SIGN[kind].to_jwk(private(algorithm, number).public_key(), as_dict=True)
    whole = {**public, "kid": kid or algorithm, "use": "sig", "alg": kind, **more}
    whole.pop("key_ops", None) if "key_ops" not in more else None
    return {name: value for name, value in whole.items() if value is not None}


def part(value: object) -> bytes:
    """A part of a token: bytes as they are, everything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def signed(claims: object, algorithm: str = "EdDSA", *, header: dict[str, Any] | None = None, number: int = 0) -> str:
    """A token with these claims. What `header` says is written, whatever it is; None leaves a member out."""
    told = {"alg": algorithm, "kid": algorithm, "typ": "JWT", **(header or {})}
    head = {name: value for name, value in told.items() if value is not None}
    message = part(head) + b"." + part(claims)
    signature: bytes = _SIGN[algorithm].sign(message, private(algorithm, number))
    return (message + b"." + part(signature)).decode()


def secretly_signed(claims: object, secret: bytes, *, kid: str) -> str:
    """A token signed with a shared secret: what an attacker makes of a public key."""
    message = part({"alg": "HS256", "kid": kid, "typ": "JWT"}) + b"." + part(claims)
    signature = _SIGN["HS256"].sign(message, secret)
    return (message + b"." + part(signature)).decode()


class Provider:
    """What it publishes is `answer`: a body of status 200, a status with a body, or a function that is called."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: bytes | tuple[int, bytes] | Callable[[], bytes] = b""
        self.publish(*(jwk(each) for each in ALGORITHMS))
        self.now: Callable[[], int] = lambda: time.time_ns() // 1_000_000
        self._holding = threading.Event()
        self._holding.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._responder())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="provider")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/jwks"

    @property
    def settings(self) -> dict[str, Any]:
        """What a gateway is told of it."""
        return {"jwks_url": self.url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}

    def publish(self, *keys: Any) -> None:
        self.answer = json.dumps({"keys": list(keys)}).encode()

    def hang(self) -> None:
        """Take requests and answer none, until `release`."""
        self._holding.clear()

    def release(self) -> None:
        self._holding.set()

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def claims(self, organization: str | None = None, role: str | None = "owner", **more: Any) -> dict[str, Any]:
        """Claims that are good now; one that is None is left out. Times are seconds from now. `platform`: the role
        above all organizations.
        """
        now = self.now() // 1000
        times = {"exp": 900, "iat": 0} | {name: more.pop(name) for name in ("exp", "nbf", "iat") if name in more}
        moments = {name: now + value if isinstance(value, int) else value for name, value in times.items()}
        told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user_1", "activeOrganizationId": organization, "orgRole": role}
        told["role"] = more.pop("platform", None)
        return {name: value for name, value in {**told, **moments, **more}.items() if value is not None}

    def token(self, organization: str | None = None, role: str | None = "owner", **more: Any) -> str:
        """A good token, unless `more` spoils it: claims, and `algorithm`, `header`, `number` of the key."""
        how = {name: more.pop(name) for name in ("algorithm", "header", "number") if name in more}
        return signed(self.claims(organization, role, **more), **how)

    def _responder(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Responder(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                provider._holding.wait(60)
                answer = provider.answer() if callable(provider.answer) else provider.answer
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Responder


@contextlib.contextmanager
def providing() -> Iterator[Provider]:
    """A provider that serves."""
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()


def bearer(token: str) -> dict[str, str]:
    """The header that brings a login token."""
    return {"Authorization": f"Bearer {token}"}


def ask(wagate: SandboxGateway, token: str, method: str, path: str, body: Any = None) -> Any:
    """A request of a person."""
    return wagate.ask(method, path, body, key="", headers=bearer(token))


@contextlib.contextmanager
def signed_in(folder: Path, provider: Provider, **settings: Any) -> Iterator[SandboxGateway]:
    """A gateway that takes the provider's tokens, whose time is the gateway's."""
    with testing.gateway(folder, **provider.settings, **settings) as wagate:
        before, provider.now = provider.now, wagate.running.gw.clock.now
        yield wagate
        provider.now = before
