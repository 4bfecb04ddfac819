"""Readers of a running gateway's log: WebSocket and server-sent events, by clients of their own on real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.gateways import events as log_of
from tests.support.gateways import key as new_key
from tests.support.gateways import organization
from wagate.gateway import Gateway, events
from wagate.model.events import AuthQr
from wagate.testing import SandboxGateway

PATIENCE = 60


def ticket(wagate: SandboxGateway, key: str | None = None, **wish: Any) -> str:
    """The URL that opens a WebSocket."""
    answer = wagate.ask("POST", "/realtime/ticket", wish, key=key)
    assert answer.status == 200, answer.body
    url: str = answer.body["url"]
    return url


@contextmanager
def watching(wagate: SandboxGateway, key: str | None = None, **wish: Any) -> Iterator[ClientConnection]:
    """A WebSocket behind its first frame."""
    with connect(ticket(wagate, key, **wish), open_timeout=PATIENCE, max_size=None) as line:
        first = json.loads(line.recv(PATIENCE))
        assert first["event"] == "connected"
        yield line


def frames(line: ClientConnection, count: int, *, seconds: float = PATIENCE) -> list[Any]:
    """The next frames."""
    return [json.loads(line.recv(seconds)) for _ in range(count)]


def cut(line: ClientConnection) -> None:
    """Go away without a word, with frames on their way."""
    line.socket.shutdown(socket.SHUT_RDWR)


def closed(line: ClientConnection, *, seconds: float = PATIENCE) -> tuple[int, list[Any]]:
    """The code that the connection is closed with, and the frames before that."""
    found = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            found.append(json.loads(line.recv(seconds)))
    assert line.protocol.close_rcvd is not None
    return line.protocol.close_rcvd.code, found


async def record(
    gw: Gateway, organization_id: str, *codes: str, session: str = "ses_test", name: str = "auth.qr"
) -> None:
    """Events in an organization's log, told to its readers."""
    facts: list[events.Fact] = [(name, AuthQr(code=code)) for code in codes]

    async def work(tx: Any) -> None:
        await events.record(tx, gw.clock.now(), organization_id, session_id=session, facts=facts)

    await gw.db.write(work)
    events.hint(gw, organization_id)


class Stream:
    """A response of server-sent events, read block by block."""

    def __init__(
        self,
        wagate: SandboxGateway,
        key: str,
        query: str = "",
        since: str | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        place = urlsplit(wagate.url)
        self.line = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=PATIENCE)
        said = headers or {"x-api-key": key}
        self.line.request(
            "GET", "/api/v1/events/stream" + query, headers=said | ({"Last-Event-ID": since} if since else {})
        )
        self.answer = self.line.getresponse()

    def __enter__(self) -> Stream:
        assert self.answer.status == 200, self.answer.read()
        assert self.block() == {"": "connected"}
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Go away."""
        if self.line.sock is not None:
            self.line.sock.shutdown(socket.SHUT_RDWR)
        self.answer.close()
        self.line.close()

    def block(self) -> dict[str, str] | None:
        """The next block's fields, a comment's under an empty name; None at the end."""
        fields = {}
        while (raw := self.answer.readline()) not in (b"", b"\n"):
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            fields[name.rstrip(":")] = value
        return fields or None

    def events(self, count: int) -> list[Any]:
        """The next events' data; their ids and names are the envelope's own."""
        found: list[Any] = []
        while len(found) < count:
            block = self.block()
            assert block is not None
            if "data" in block:
                event = msgspec.json.decode(block["data"])
                assert (block["id"], block["event"]) == (event["id"], event["event"])
                found.append(event)
        return found


class Owner:
    """An organization of its own, whose log the test writes."""

    def __init__(self, wagate: SandboxGateway) -> None:
        self.wagate = wagate
        self.id = organization(wagate)
        self.key = new_key(wagate, owner=self.id)

    def record(self, *codes: str, **more: str) -> None:
        self.wagate.run(record(self.wagate.running.gw, self.id, *codes, **more))

    def session(self) -> str:
        made: str = self.wagate.ask("POST", "/sessions", {}, key=self.key).body["id"]
        return made

    def log(self) -> list[Any]:
        return log_of(self.wagate, key=self.key)

    def stream(self, query: str = "", since: str | None = None) -> Stream:
        return Stream(self.wagate, self.key, query, since)

    def watching(self, **wish: Any) -> Any:
        return watching(self.wagate, self.key, **wish)


def codes(found: list[Any]) -> list[str]:
    return [each["payload"]["code"] for each in found]


def turned_away(url: str, **more: Any) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as refusal, connect(url, open_timeout=PATIENCE, **more):
        pass
    answer = refusal.value.response
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, msgspec.json.decode(answer.body or b"{}")["error"]["code"]


def opens(url: str, **more: Any) -> None:
    with connect(url, open_timeout=PATIENCE, **more) as line:
        frames(line, 1)


def place(wagate: SandboxGateway, query: str = "", path: str = "/api/v1/realtime") -> str:
    return wagate.url.replace("http", "ws") + path + query
