"""A dialect beside the native API: nothing of ours is taken from it, and what its answers promise is held."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialect import BASES, Dialect, told
from tests.support.gateways import Account, refused
from tests.support.serving import gateway, key, line, request, serving
from wagate.api import wire
from wagate.api.app import build
from wagate.api.compat.wasend import DIALECT
from wagate.api.operations import PREFIX, RESERVED
from wagate.api.pages import pages
from wagate.bootstrap import DIALECTS, OPERATIONS
from wagate.bootstrap import http as server
from wagate.telemetry import traces
from wagate.testing import SandboxGateway

# Ours


@pytest.mark.parametrize("segment", sorted(RESERVED - {"wasend"}))
@pytest.mark.parametrize("rest", ["/groups", "/groups/1@g.us/invite-link/revoke", "/chats", "/chats/1/messages"])
def test_a_reserved_path_at_the_root_is_never_a_session(wagate: SandboxGateway, segment: str, rest: str) -> None:
    for method in ("GET", "POST"):
        answer = Dialect(wagate, base="").ask(method, f"/{segment}{rest}", key="")
        refused(answer, 404, "not_found")


def test_every_native_path_and_page_is_still_there(wagate: SandboxGateway) -> None:
    root = Dialect(wagate, base="")
    for path in ("/healthz", "/readyz", "/docs", f"{PREFIX}/openapi.json", "/"):
        assert root.ask("GET", path, key="").status in (200, 302), path
    refused(root.ask("GET", "/metrics", key=""), 404)
    for operation in OPERATIONS:
        path = PREFIX + operation.path.replace("{", "").replace("}", "")
        if operation.capability:
            refused(root.ask(operation.method, path, key=""), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/nothing", "/nothing/at/all", "/send/nothing", "/sessions/1/nothing", "//groups"])
def test_an_unknown_path_at_the_root_is_the_native_404(wagate: SandboxGateway, path: str) -> None:
    refused(Dialect(wagate, base="").ask("GET", path), 404, "not_found")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/nothing/at/all", "/sessions/", "/ses:start/groups"])
def test_an_unknown_path_below_the_dialects_home_is_told_in_the_dialect(wagate: SandboxGateway, path: str) -> None:
    told(Dialect(wagate).ask("GET", path), 404)


def test_a_path_that_only_begins_like_the_dialects_home_is_native(wagate: SandboxGateway) -> None:
    refused(Dialect(wagate, base="").ask("GET", "/wasendx/nothing/at"), 404)


@pytest.mark.anyio
async def test_two_operations_with_one_id_are_refused() -> None:
    async with gateway() as gw:
        with pytest.raises(ValueError, match="one id"):
            build(gw, operations=[], signer=None, options=None, dialects=[DIALECT, DIALECT])  # type: ignore[arg-type]


# Its answers


def test_every_answer_says_how_long_the_connection_stays_open(wagate: SandboxGateway) -> None:
    for base in BASES:
        client = Dialect(wagate, base=base)
        for method, path, body, more in (
            ("GET", "/sessions", None, {}),
            ("GET", "/sessions", None, {"key": ""}),
            ("POST", "/sendText", b"x" * 1000, {"key": ""}),
            ("GET", "/sessions/nobody", None, {}),
            ("PATCH", "/sessions", None, {}),
        ):
            headers = client.ask(method, path, body, **more).headers
            assert headers["keep-alive"] == f"timeout={wire.IDLE_SECONDS - 5}", (method, path)
            assert headers["connection"] == "keep-alive"


def test_an_answer_after_which_the_connection_closes_does_not_promise_it(wagate: SandboxGateway) -> None:
    for more, body in (({"headers": {"connection": "close"}}, None), ({"key": ""}, b"x" * 100_000)):
        answer = Dialect(wagate).ask("POST", "/sendText", body, **more)  # type: ignore[arg-type]
        assert "keep-alive" not in answer.headers
        assert answer.headers["connection"] == "close"


def test_native_answers_promise_nothing(wagate: SandboxGateway) -> None:
    assert "keep-alive" not in wagate.ask("GET", "/sessions").headers


def test_the_server_keeps_what_is_promised() -> None:
    # The one number is what both go by.
    assert server.IDLE_SECONDS is wire.IDLE_SECONDS
    assert dict(DIALECTS[0].kept)[b"keep-alive"] == b"timeout=%d" % (wire.IDLE_SECONDS - 5)


@pytest.mark.anyio
async def test_a_kept_connection_takes_the_next_request() -> None:
    async with gateway() as gw, serving(gw, [], dialects=DIALECTS) as port, line(port) as connection:
        secret = (await key(gw, "read")).secret
        for path in ("/wasend/account", "/account", "/wasend/nothing", "/wasend/account"):
            await connection.say(request("GET", path, authorization=f"Bearer {secret}"))
            assert (await connection.answer()).headers["keep-alive"]


class Kept:
    """A recorder that remembers names alone."""

    traceparent = f"00-{'1' * 32}-{'2' * 16}-01"

    def __init__(self, found: list[str], name: str) -> None:
        self.found, self.name = found, name

    def tell(self, attributes: Any, name: str | None) -> None:
        self.name = name or self.name

    def end(self, error: Any) -> None:
        self.found.append(self.name)


@pytest.mark.anyio
async def test_its_requests_are_traced_and_pages_are_not() -> None:
    found: list[str] = []
    traces.record_with(lambda name, *_: Kept(found, name))
    try:
        async with gateway() as gw, serving(gw, [], dialects=DIALECTS) as port:
            for path in ("/account", "/wasend/account", "/healthz", "/docs", "/"):
                async with line(port) as connection:
                    await connection.say(request("GET", path))
                    await connection.answer()
    finally:
        traces.record_with(None)
    assert found == ["GET /account", "GET /wasend/account"]


def test_at_is_taken_raw_and_encoded(owner: Account, group: str) -> None:
    client = Dialect(owner.wagate, base="")
    for written in (group, group.replace("@", "%40"), group.removesuffix("@g.us")):
        assert client.get(f"/{owner.session}/groups/{written}")["jid"] == group


def test_no_page_of_ours_is_hidden(wagate: SandboxGateway) -> None:
    paths = {path for path, _ in pages([], checks={}, metrics=None, token=None)}
    mounted = {base + operation.path for base in BASES for operation in DIALECT.operations}
    assert not paths & mounted
    assert {path.split("/")[1] for path in paths} - {""} <= RESERVED
    assert not {path.split("/")[1] for path in mounted} & (RESERVED - {"wasend"})
