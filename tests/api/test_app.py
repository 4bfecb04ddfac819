"""One request after another over a real socket: refusals in their order, bodies unread, answers whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import structlog

from tests.support.serving import Answer, Line, ask, gateway, key, line, request, serving
from wagate.api.app import ApiOptions, build
from wagate.api.lists import ListQuery, page, window
from wagate.api.operations import KIB, MANAGE, OPEN, READ, SEND, Call, Operation, Reply
from wagate.backends.database import UnstorableValue
from wagate.errors import NotFound, RateLimited
from wagate.gateway import Gateway
from wagate.model.messages import SendResult
from wagate.model.sends import Send

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example"


async def send_message(call: Call) -> Reply:
    """Send."""
    return Reply(status=202, body=SendResult(mode="async", wa_message_id=call.body.text))


async def look(call: Call) -> dict[str, str]:
    """Look."""
    return call.path | {"organization": call.caller.organization_id, "requestId": call.request_id}


async def list_things(call: Call) -> object:
    """List."""
    part = window(call)
    start = part.after[0] if part.after else 0
    return page(call, list(range(start, start + part.limit)), [start + part.limit])


async def remove(call: Call) -> None:
    """Remove."""


async def limited(call: Call) -> None:
    """Refuse."""
    raise RateLimited(retryAfterSeconds=7)


async def fall(call: Call) -> None:
    """Fall."""
    raise RuntimeError("the secret of " + call.path["id"])


async def unstorable(call: Call) -> None:
    """Store what cannot be."""
    raise UnstorableValue("nul")


async def unprintable(call: Call) -> object:
    """Answer what cannot be printed."""
    return object()


async def only_known(call: Call) -> str:
    """Find."""
    if call.path["id"] != "known":
        raise NotFound("thing not found")
    return "found"


async def take(call: Call) -> dict[str, int]:
    """Take bytes."""
    return {"size": len(call.body)}


def operation(id: str, method: str, path: str, run: object, **more: object) -> Operation:
    return Operation(
        **{"id": id, "method": method, "path": path, "run": run, "tag": "t", "capability": READ, **more}  # type: ignore[arg-type]
    )


OPERATIONS = [
    operation("sendMessage", "POST", "/sessions/{session}/messages", send_message, capability=SEND, body=Send),
    operation("look", "GET", "/sessions/{session}", look, capability=READ | MANAGE),
    operation("start", "POST", "/sessions/{session}:start", look, capability=MANAGE),
    operation("list", "GET", "/things", list_things, query=ListQuery),
    operation("remove", "DELETE", "/things/{id}", remove, statuses=(204,)),
    operation("limited", "GET", "/limited", limited),
    operation("fall", "GET", "/fall/{id}", fall),
    operation("unstorable", "GET", "/unstorable", unstorable),
    operation("unprintable", "GET", "/unprintable", unprintable),
    operation("live", "POST", "/live/{id}", send_message, body=Send, find=only_known),
    operation("take", "PUT", "/take", take, body=bytes, max_body=256 * KIB),
    operation("open", "GET", "/open", look, capability=OPEN),
    operation("pretend", "GET", "/pretend", look, sandbox=True),
]
GOOD = b'{"type":"text","to":"9990000001","text":"hello"}'
MESSAGES = "/api/v1/sessions/s/messages"


@dataclass
class Gate:
    gw: Gateway
    port: int
    secret: str
    observed: list[tuple[str, int, float]]

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return await ask(self.port, method, "/api/v1" + path, body, x_api_key=self.secret, **headers)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        return request(method, path, body, x_api_key=self.secret, **headers)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    observed: list[tuple[str, int, float]] = []
    options = ApiOptions(
        sandbox=False,
        cors_origins=(ORIGIN,),
        body_timeout=0.2,
        observe=lambda id, status, seconds: observed.append((id, status, seconds)),
    )
    async with gateway() as gw, serving(gw, OPERATIONS, options) as port:
        yield Gate(gw, port, (await key(gw, "read", "send")).secret, observed)


async def test_unknown_paths_are_not_found(gate: Gate) -> None:
    for path in ("/", "/nope", "/sessions/s/", "/pretend", "/sessions//messages"):
        assert ((await gate.ask("GET", path)).status, (await gate.ask("POST", path, b"{}")).code) == (404, "not_found")
    for path in ("/nope", "/api/v1", "/api", "/s", "/assets/x", "/.well-known/x"):
        assert (await ask(gate.port, "GET", path)).code == "not_found"


async def test_a_wrong_method_is_told_the_right_ones(gate: Gate) -> None:
    wrong = await gate.ask("GET", "/sessions/x:start")
    assert (wrong.status, wrong.code, wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
    wrong = await gate.ask("POST", "/sessions/x", GOOD)
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert (await gate.ask("TRACE", "/sessions/x")).status == 405


@pytest.mark.parametrize("name", ["x_api_key", "authorization"])
async def test_a_wrong_credential_is_refused_before_anything_else(gate: Gate, name: str) -> None:
    for path in ("/api/v1/sessions/%00", MESSAGES, "/api/v1/things?limit=x"):
        method = "POST" if path == MESSAGES else "GET"
        refused = await ask(gate.port, method, path, b"{" if method == "POST" else None, **{name: "Bearer wa_wrong"})
        assert (refused.status, refused.code, refused.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")


async def test_capability_is_checked_before_existence_and_before_the_body(gate: Gate) -> None:
    secret = (await key(gate.gw, "events")).secret
    for path, body in (("/sessions/s/messages", b"{"), ("/live/unknown", b"{"), ("/sessions/%00:start", b"")):
        refused = await ask(gate.port, "POST", "/api/v1" + path, body, x_api_key=secret)
        assert (refused.status, refused.code) == (403, "forbidden")


async def test_existence_is_checked_before_the_body(gate: Gate) -> None:
    assert (await gate.ask("POST", "/live/unknown", b"{")).code == "not_found"
    assert (await gate.ask("POST", "/live/known", b"{")).code == "validation_error"
    assert (await gate.ask("POST", "/live/known", GOOD)).status == 202


async def test_ids_that_cannot_be_are_not_found(gate: Gate) -> None:
    for id in ("%00", "a%0a", "%FF", "x" * 3000):
        assert (await gate.ask("GET", f"/sessions/{id}")).code == "not_found"


async def test_a_wrong_body_or_query_is_refused_in_the_contracts_words(gate: Gate) -> None:
    wrong = await gate.ask("POST", "/sessions/s/messages", b"[" * 100_000)
    assert (wrong.status, wrong.code) == (400, "validation_error")
    wrong = await gate.ask("GET", "/things?limit=many")
    assert wrong.json()["error"] == {
        "code": "validation_error",
        "message": "limit: is not a whole number",
        "details": {
            "errors": ["limit: is not a whole number"],
            "fields": [{"path": "limit", "message": "is not a whole number"}],
        },
    }
    assert (await gate.ask("GET", "/unstorable")).code == "validation_error"


async def test_a_refused_small_body_leaves_the_connection_open(gate: Gate) -> None:
    async with line(gate.port) as connection:
        for _ in range(2):
            await connection.say(request("POST", MESSAGES, b"x" * 60_000, x_api_key="wrong"))
            assert (await connection.answer()).status == 401
        await connection.say(gate.request("POST", MESSAGES, GOOD))
        assert (await connection.answer()).status == 202


async def refused_unread(connection: Line, status: int) -> Answer:
    answer = await connection.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    return answer


async def test_a_refused_large_body_is_not_read(gate: Gate) -> None:
    async with line(gate.port) as connection:
        # Eighty MiB are announced; the answer comes before one of them is sent, and then the line closes.
        await connection.say(request("POST", MESSAGES, x_api_key="wrong", content_length=str(80 << 20)))
        await refused_unread(connection, 401)
        assert await connection.ended()


async def pour(connection: Line, size: int) -> None:
    async with asyncio.timeout(60):
        for _ in range(size >> 16):
            await connection.say(b"10000\r\n" + b"x" * 65536 + b"\r\n")


async def test_a_refused_endless_body_is_cut_off(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(request("POST", MESSAGES, x_api_key="wrong", transfer_encoding="chunked"))
        await refused_unread(connection, 401)
        with pytest.raises((ConnectionError, TimeoutError)):
            await pour(connection, 64 << 20)


async def test_a_refused_slow_body_is_not_waited_for(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(request("POST", MESSAGES, x_api_key="wrong", content_length="1000"), b"a little")
        await refused_unread(connection, 401)
        assert await connection.ended()


@pytest.mark.parametrize("secret", ["wrong", None])
async def test_nobody_is_told_to_continue_before_the_credential_is_accepted(gate: Gate, secret: str | None) -> None:
    async with line(gate.port) as connection:
        head = {"expect": "100-continue", "content_length": str(len(GOOD))}
        await connection.say(request("POST", MESSAGES, x_api_key=secret or gate.secret, **head))
        if secret:
            await refused_unread(connection, 401)
        else:
            assert (await connection.answer()).status == 100
            await connection.say(GOOD)
            assert (await connection.answer()).status == 202


async def test_too_large_a_body_is_refused_unread(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(gate.request("POST", MESSAGES, content_length=str((1 << 20) + 1)))
        assert (await refused_unread(connection, 413)).code == "payload_too_large"
    async with line(gate.port) as connection:
        await connection.say(gate.request("PUT", "/api/v1/take", transfer_encoding="chunked"))
        await connection.say(*[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 4)
        await connection.say(b"1\r\nx\r\n")
        assert (await refused_unread(connection, 413)).code == "payload_too_large"


async def test_a_body_that_stalls_is_refused(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(gate.request("PUT", "/api/v1/take", content_length="100000"), b"a little")
        assert (await refused_unread(connection, 400)).code == "validation_error"
        assert await connection.ended()


async def test_a_client_that_leaves_in_the_middle_breaks_nothing(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(gate.request("POST", MESSAGES, content_length="1000"), b"{")
    assert (await gate.ask("POST", "/sessions/s/messages", GOOD)).status == 202


async def test_a_defect_shows_nothing_of_our_insides(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.DEBUG):
        fallen = await gate.ask("GET", "/fall/4915112345678", x_request_id="me")
    assert (fallen.status, fallen.code) == (500, "internal")
    assert fallen.json()["error"]["details"] == {"requestId": "me"}
    assert "secret" not in fallen.body.decode()
    assert [(entry["operation"], entry["error"]) for entry in logs if "error" in entry] == [("fall", "RuntimeError")]
    assert "4915112345678" not in str(logs) + caplog.text
    assert (await gate.ask("GET", "/unprintable")).code == "internal"


async def test_too_often_says_when_to_come_back(gate: Gate) -> None:
    limited = await gate.ask("GET", "/limited")
    assert (limited.status, limited.code, limited.headers["retry-after"]) == (429, "rate_limited", "7")


@pytest.mark.parametrize("given", ["x" * 129, "two words", "umlaut-\u00fc", ""])
async def test_a_strange_request_id_is_replaced(gate: Gate, given: str) -> None:
    async with line(gate.port) as connection:
        await connection.say(request("GET", "/api/v1/open", x_request_id=given))
        minted = (await connection.answer()).headers["x-request-id"]
    assert minted != given
    assert minted.startswith("req_")


async def test_every_answer_carries_the_callers_request_id(gate: Gate) -> None:
    for path in ("/nope", "/open", "/sessions/s", "/things?limit=x", "/fall/x"):
        answer = await gate.ask("GET", path, x_request_id="mine:1/ü".replace("ü", "~"))
        assert answer.headers["x-request-id"] == "mine:1/~"
    assert (await gate.ask("GET", "/open", x_request_id="abc")).json()["requestId"] == "abc"


async def test_strangers_origins_get_no_permission(gate: Gate) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "x-api-key"}
    refused = await ask(gate.port, "OPTIONS", MESSAGES, origin="https://evil.example", **asked)
    assert refused.status == 405
    for answer in (refused, await gate.ask("GET", "/open", origin="https://evil.example")):
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"


async def test_a_known_origin_may_call(gate: Gate) -> None:
    allowed = await ask(gate.port, "OPTIONS", MESSAGES, origin=ORIGIN, access_control_request_method="POST")
    assert (allowed.status, allowed.headers["access-control-allow-methods"]) == (204, "POST")
    assert "Idempotency-Key" in allowed.headers["access-control-allow-headers"]
    for answer in (allowed, await gate.ask("GET", "/nope", origin=ORIGIN)):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-expose-headers"] == "X-Request-Id, Retry-After"


async def test_addresses_come_raw_or_encoded(gate: Gate) -> None:
    for written in ("12@g.us", "12%40g.us"):
        assert (await gate.ask("GET", f"/sessions/{written}")).json()["session"] == "12@g.us"


async def test_head_is_get_without_the_body(gate: Gate) -> None:
    head, got = await gate.ask("HEAD", "/sessions/s"), await gate.ask("GET", "/sessions/s", x_request_id="x" * 28)
    assert (head.status, head.headers["content-length"]) == (200, got.headers["content-length"])


async def test_an_answer_without_body_is_empty(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(gate.request("DELETE", "/api/v1/things/1", b"ignored"))
        removed = await connection.answer()
        assert removed.status == 204
        assert not {"content-length", "transfer-encoding", "content-type"} & set(removed.headers)
        await connection.say(gate.request("GET", "/api/v1/open"))
        assert (await connection.answer()).status == 200


async def test_requests_in_a_row_are_answered_in_order(gate: Gate) -> None:
    async with line(gate.port) as connection:
        await connection.say(*(gate.request("GET", f"/api/v1/sessions/{n}") for n in range(20)))
        assert [(await connection.answer()).json()["session"] for _ in range(20)] == [str(n) for n in range(20)]


async def test_a_list_is_walked_by_its_cursor(gate: Gate) -> None:
    first = (await gate.ask("GET", "/things?limit=2")).json()
    second = (await gate.ask("GET", f"/things?limit=2&cursor={first['nextCursor']}")).json()
    assert first["data"] + second["data"] == [0, 1, 2, 3]
    foreign = (await key(gate.gw, "read")).secret
    stolen = await ask(gate.port, "GET", f"/api/v1/things?cursor={first['nextCursor']}", x_api_key=foreign)
    assert stolen.code == "validation_error"


async def test_every_answer_is_observed(gate: Gate) -> None:
    await gate.ask("GET", "/sessions/s")
    await gate.ask("GET", "/nope")
    await gate.ask("POST", "/sessions/s/messages", b"{")
    assert [(id, status) for id, status, _ in gate.observed] == [("look", 200), ("", 404), ("sendMessage", 400)]
    assert all(0 <= seconds < 10 for _, _, seconds in gate.observed)


async def test_two_operations_never_share_a_place_or_a_name(gate: Gate) -> None:
    twin = operation("twin", "GET", "/things", look)
    namesake = operation("list", "GET", "/others", look)
    for second in (twin, namesake):
        with pytest.raises(ValueError):
            build(gate.gw, operations=[*OPERATIONS, second], signer=None, options=ApiOptions())  # type: ignore[arg-type]
