"""Around a running gateway: one of its dialects, asked as its clients ask."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from wagate.api.compat.wasend.naming import SDK_AGENT
from wagate.testing import Answer, SandboxGateway

BASES = ("/wasend", "")
"""Where the dialect is spoken."""


class Dialect:
    """The Wasend dialect of a gateway. `sdk`: as its SDK; `base`: below /wasend, or at the root."""

    def __init__(self, wagate: SandboxGateway, *, sdk: bool = False, base: str = "/wasend") -> None:
        self.wagate = wagate
        self.sdk = sdk
        self.base = base

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, whatever its answer. `key`: another credential, empty for none."""
        place = urlsplit(self.wagate.url)
        sent = {"content-type": "application/json", **({"user-agent": SDK_AGENT} if self.sdk else {})}
        if key != "":
            sent["authorization"] = f"Bearer {self.wagate.key if key is None else key}"
        raw = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        line = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=60)
        try:
            line.request(method, self.base + path, raw, sent | dict(headers or {}))
            got = line.getresponse()
            data = got.read()
            told = {name.lower(): value for name, value in got.getheaders()}
        finally:
            line.close()
        json = told.get("content-type", "").startswith("application/json") and data
        return Answer(status=got.status, headers=told, body=msgspec.json.decode(data) if json else data)

    def good(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a success."""
        answer = self.ask(method, path, body)
        assert 200 <= answer.status < 300, (method, path, answer.status, answer.body)
        return answer.body

    def get(self, path: str) -> Any:
        """The body of a successful GET."""
        return self.good("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """The body of a successful POST."""
        return self.good("POST", path, body)


def told(answer: Answer, status: int, words: str = "") -> str:
    """The sentence of an error with this status, in the dialect's body and nothing else."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert {"success", "error", "message", "statusCode"} <= set(answer.body)
    assert set(answer.body) <= {"success", "error", "message", "statusCode", "applied"}
    assert answer.body["success"] is False
    assert answer.body["statusCode"] == status
    assert isinstance(answer.body["message"], str)
    assert answer.body["message"]
    assert answer.body["error"] == answer.body["message"]
    assert words in answer.body["message"], answer.body
    return str(answer.body["message"])
