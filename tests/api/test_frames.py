"""The WebSocket protocol itself: broken handshakes, what clients say, and those who do not read."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.readers import (
    PATIENCE,
    Owner,
    closed,
    codes,
    cut,
    frames,
    ticket,
)
from wagate import testing
from wagate.testing import SandboxGateway

DAY = 86_400
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data", cors_origins=(PAGE,)) as running:
        yield running


@pytest.fixture
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose clock only the test turns."""
    with testing.gateway(tmp_path_factory.mktemp("still") / "data", clock="manual") as running:
        yield running


@pytest.fixture
def owner(wagate: SandboxGateway) -> Owner:
    return Owner(wagate)


@contextlib.contextmanager
def raw(owner: Owner) -> Iterator[socket.socket]:
    """A connection without a client's library, its answers hardly buffered."""
    place = urlsplit(ticket(owner.wagate, owner.key))
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(PATIENCE)
        line.connect((place.hostname, place.port))
        line.sendall(
            f"GET {place.path}?{place.query} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        said = b""
        while b"heartbeatSeconds" not in said:
            said += line.recv(4096)
        yield line


def frame(kind: int, said: bytes, *, end: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    return bytes((end << 7 | kind, 0x80 | len(said))) + bytes(4) + said


def connections(owner: Owner) -> list[Any]:
    """The organization's connections as the server holds them."""
    return [reader.outlet for reader in owner.wagate.running.gw.feeds[owner.id].readers]


# Refused


def test_a_broken_handshake_is_400_in_the_usual_body(wagate: SandboxGateway) -> None:
    where = urlsplit(wagate.url)
    for broken in (b"", b"sec-websocket-key: short\r\nsec-websocket-version: 13\r\n", b"x: " + b"x" * 20_000 + b"\r\n"):
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=PATIENCE) as line:
            line.sendall(
                b"GET /api/v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                + broken
                + b"\r\n"
            )
            said = b""
            while piece := line.recv(65536):
                said += piece
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b'"validation_error"' in said


# Said by clients


def test_what_clients_say_is_ignored_and_pings_are_answered(owner: Owner) -> None:
    with owner.watching() as line:
        for _ in range(100):
            line.send("hello")
            line.send(b"bytes")
        assert line.ping().wait(PATIENCE)
        owner.record("1")
        assert codes(frames(line, 1)) == ["1"]


def test_a_long_message_ends_the_connection(owner: Owner) -> None:
    with owner.watching() as line:
        line.send("x" * 5000)
        assert closed(line) == (1009, [])
    owner.wagate.until(lambda: owner.id not in owner.wagate.running.gw.feeds)


PINGS = frame(9, b"x" * 125) * 2000


def test_pings_whose_answers_nobody_takes_are_not_kept(owner: Owner) -> None:
    with raw(owner) as line:
        (connection,) = connections(owner)
        sent = 0
        with contextlib.suppress(TimeoutError):
            line.settimeout(0.5)
            while sent < 8 << 20:
                sent += line.send(PINGS)
        # What is written at once, and what one read may bring.
        assert connection.transport.get_write_buffer_size() < 512 * 1024


def test_of_a_message_without_end_nothing_is_kept(owner: Owner) -> None:
    with raw(owner) as line:
        (connection,) = connections(owner)
        line.sendall(frame(1, b"", end=False) + frame(0, b"", end=False) * 5000 + frame(9, b"heard"))
        said = b""
        while b"heard" not in said:
            said += line.recv(65536)
        assert len(connection.frames) <= 1


def test_who_talks_without_end_is_not_listened_to_all_the_time(owner: Owner) -> None:
    with raw(owner) as line:
        line.settimeout(0.05)
        (connection,) = connections(owner)
        one, sent = frame(1, b"x"), 0

        def talk() -> bool:
            nonlocal sent
            with contextlib.suppress(TimeoutError):
                # What does not fit is cut off in the middle of a frame: go on there.
                sent += line.send((one * 1001)[sent % len(one) :])
            return not connection.transport.is_reading()

        owner.wagate.until(talk)
        line.settimeout(PATIENCE)
        # It is still told what happens.
        owner.record("1")
        said = b""
        while b'"code":"1"' not in said:
            said += line.recv(65536)


def test_who_does_not_read_is_closed_with_4408_holds_little_and_can_resume(owner: Owner) -> None:
    owner.record("first")
    since = owner.log()[0]["id"]
    big = "x" * 20_000
    url = ticket(owner.wagate, owner.key)
    # The client's own library would read ahead.
    place = urlsplit(url)
    with socket.socket() as line, owner.watching() as quick:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(PATIENCE)
        line.connect((place.hostname, place.port))
        line.sendall(
            f"GET {place.path}?{place.query} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        owner.wagate.until(lambda: len(owner.wagate.running.gw.feeds[owner.id].readers) == 2)
        for _ in range(60):
            owner.record(*[big] * 20)
            frames(quick, 20)
        owner.wagate.until(lambda: len(owner.wagate.running.gw.feeds[owner.id].readers) == 1)
        said = b""
        while piece := line.recv(1 << 20):
            said += piece
    assert len(said) < 5_000_000
    assert said.endswith(b"\x88\x02" + (4408).to_bytes(2, "big"))
    assert b'"event":"error"' in said[-200:]
    with owner.watching(since=since) as line:
        assert len(frames(line, 1200)) == 1200


def test_who_reads_slowly_but_keeps_up_loses_nothing(owner: Owner) -> None:
    big = "y" * 20_000
    with owner.watching() as line:
        for _ in range(9):
            owner.record(*[big] * 100)
        assert frames(line, 900) == owner.log()


def test_who_goes_away_is_forgotten(owner: Owner) -> None:
    running = owner.wagate.running
    with owner.watching(), owner.watching():
        assert len(running.gw.feeds[owner.id].readers) == 2
        with owner.watching() as line:
            cut(line)
        owner.wagate.until(lambda: len(running.gw.feeds[owner.id].readers) == 2)
    owner.wagate.until(lambda: owner.id not in running.gw.feeds)
