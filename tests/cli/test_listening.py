"""The receiver of `wagate webhooks listen` believes what is signed, and nothing that is posted ends it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from wagate.cli.listening import Listening, Server
from wagate.cli.terminal import Failed
from wagate.model.signatures import headers_of

SECRET = "mine"
EVENT = {"id": "evt_1", "event": "message", "session": "ses_1", "payload": {"body": "hello"}}


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    opened = Server(0, Listening(**{"secret": SECRET, "status": 204, "as_json": True} | getattr(request, "param", {})))
    opened.start()
    yield opened
    opened.stop()


def headers(body: bytes, secret: str = SECRET, *, ago: int = 0) -> dict[str, str]:
    return headers_of("evt_1", body, time.time_ns() // 1_000_000 - ago * 1000, [secret])


def post(server: Server, body: bytes, told: dict[str, str]) -> int:
    line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        line.request("POST", "/", body, told)
        return line.getresponse().status
    finally:
        line.close()


def signed(server: Server, event: Any = EVENT) -> int:
    body = json.dumps(event).encode()
    return post(server, body, headers(body))


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_is_not_signed_with_the_secret_is_refused_and_shown_as_that(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps(EVENT).encode()
    assert post(server, body, {}) == 401
    assert post(server, body, headers(body, "another")) == 401
    assert post(server, body + b" ", headers(body)) == 401
    assert post(server, body, headers(body, ago=600)) == 401
    assert post(server, b"[]", headers(b"[]")) == 400
    shown = lines(capsys)
    assert [each["verified"] for each in shown] == [False] * 5
    assert "header is missing" in shown[0]["refused"]
    assert shown[1]["id"] == "evt_1"
    assert not any("event" in each for each in shown)


def test_what_is_signed_is_shown_and_once_more_as_a_repeat(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert [signed(server), signed(server)] == [204, 204]
    assert lines(capsys) == [
        {"verified": True, "status": 204, "repeat": repeat, "event": EVENT} for repeat in (False, True)
    ]


@pytest.mark.parametrize("server", [{"status": 503}], indirect=True)
def test_the_answer_can_be_chosen(server: Server) -> None:
    assert signed(server) == 503


@pytest.mark.parametrize("server", [{"as_json": False}], indirect=True)
def test_nothing_that_people_wrote_commands_the_terminal(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x9b31m\u202e"
    signed(server, EVENT | {"event": hostile, "payload": {"body": hostile}})
    post(server, b"{}", headers(b"{}", "x") | {"webhook-id": "evt\x9b2J"})
    told = capsys.readouterr().out
    assert len(told.splitlines()) == 2
    assert not set(told) & set(hostile[:1] + "\x9b\u202e")


HOSTILE = [
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00" * 100,
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffff\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
    b"POST / HTTP/1.1\r\ncontent-length: 4194305\r\n\r\n{}",
    b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n{}",
    b"POST / HTTP/1.1\r\ncontent-length: \xb2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n{}",
    b"POST / HTTP/1.1\r\ncontent-length: 2\r\nwebhook-id: \xff\r\nwebhook-timestamp: 1\r\n"
    b"webhook-signature: v1,\xff\r\n\r\n{}",
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_are_refused_and_the_next_post_is_taken(server: Server, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as line:
        line.sendall(said)
        line.shutdown(socket.SHUT_WR)
        answered = line.makefile("rb").readline()
    assert not answered.startswith(b"HTTP/1.1 2")
    assert signed(server) == 204
    assert not server.listening.ended.is_set()


def test_connections_are_bounded(server: Server) -> None:
    open_ones = [socket.create_connection(("127.0.0.1", server.server_port), timeout=60) for _ in range(80)]
    try:
        # Some of those who say nothing are closed at once; the last ones, as there is no room.
        assert open_ones[-1].recv(1) == b""
    finally:
        for each in open_ones:
            each.close()
    deadline = time.monotonic() + 60
    while True:
        try:
            assert signed(server) == 204
            return
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_port_that_is_taken_is_told(server: Server) -> None:
    with pytest.raises(Failed, match="cannot be listened on"):
        Server(server.server_port, server.listening)


def test_what_is_verified_is_forwarded_with_what_proves_it(capsys: pytest.CaptureFixture[str]) -> None:
    got: list[tuple[str, dict[str, str], bytes]] = []

    class Program(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                (
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers["content-length"])),
                )
            )
            self.send_response(418)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    program = HTTPServer(("127.0.0.1", 0), Program)
    thread = threading.Thread(target=program.serve_forever)
    thread.start()
    place = f"http://127.0.0.1:{program.server_port}/hook?a=b"
    server = Server(0, Listening(secret=SECRET, status=204, as_json=True, forward_to=place))
    server.start()
    try:
        assert signed(server) == 418
        assert post(server, b"{}", headers(b"{}", "another")) == 401
        program.shutdown()
        program.server_close()
        assert signed(server) == 502
    finally:
        program.shutdown()
        thread.join()
        server.stop()
    ((path, told, body),) = got
    assert (path, json.loads(body)) == ("/hook?a=b", EVENT)
    assert {"webhook-signature", "x-webhook-hmac", "x-webhook-request-id"} <= set(told)
    assert "did not answer" in capsys.readouterr().err
