"""What lies under the SDK's calls: idle sockets, raw ids in paths, long queries."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.gateways import Account
from tests.support.sdk import Program, Sdk, SdkError, node_version
from wagate.testing import SandboxGateway

IDLE_SECONDS = 0.6
PAUSE_SECONDS = 1.5
TOLD = re.compile(rb"(\r\nkeep-alive: timeout=)([0-9]+)", re.IGNORECASE)


class Relay:
    """Between client and gateway: it cuts a line that is idle for a while, and says so in the gateway's own header.

    The gateway's timeout is over a minute. `telling` False: the header's name is spoilt, so the client is not told.
    """

    def __init__(self, port: int, *, telling: bool) -> None:
        self.to = port
        self.telling = telling
        self.seen = 0
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self._carry, args=(near,), daemon=True))
            self.threads[-1].start()

    def _carry(self, near: socket.socket) -> None:
        """Both ways, until one side closes or nothing has passed for too long."""
        with near, socket.create_connection(("127.0.0.1", self.to)) as far:
            while ready := select.select([near, far], [], [], IDLE_SECONDS)[0]:
                for one in ready:
                    piece = one.recv(1_000_000)
                    if not piece:
                        return
                    (far if one is near else near).sendall(piece if one is near else self._told(piece))
            self.cuts += 1

    def _told(self, answer: bytes) -> bytes:
        """The answer, with the relay's own timeout in the header or the header's name spoilt; its length stays."""

        def ours(found: re.Match[bytes]) -> bytes:
            self.seen += 1
            return found[1] + b"1".rjust(len(found[2]), b"0") if self.telling else b"\r\nx" + found[0][3:]

        return TOLD.sub(ours, answer)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(20)


@contextmanager
def relay(wagate: SandboxGateway, *, telling: bool) -> Iterator[Relay]:
    one = Relay(urlsplit(wagate.url).port or 0, telling=telling)
    try:
        yield one
    finally:
        one.close()


def calls_with_pauses(sdk: Sdk, session: str) -> list[str]:
    """The errors of two calls, between which the server closes the line."""
    errors = []
    for pause in (0, PAUSE_SECONDS):
        time.sleep(pause)
        try:
            assert sdk.get_groups_count(session)["total"] >= 0
        except SdkError as error:
            errors.append(error.text)
    return errors


def test_pauses_between_calls_break_nothing(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    with relay(wagate, telling=True) as line:
        assert calls_with_pauses(sdk.at(f"{line.url}/wasend"), owner.session) == []
        # An older node wants no line kept, and is promised none.
        assert line.seen == (2 if node_version() >= 19 else 0)


def test_without_our_header_pauses_break_the_sdk(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    if node_version() < 19:
        pytest.skip("this node closes every line after its first call")
    with relay(wagate, telling=False) as line:
        assert calls_with_pauses(sdk.at(f"{line.url}/wasend"), owner.session) == ["Error: socket hang up"]


def test_an_id_may_hold_every_sign_that_the_sdk_leaves_as_it_is(sdk: Sdk, owner: Account, group: str) -> None:
    # `@ : +` go out raw, a space as %20, what is not ASCII in percents.
    sdk.send(session=owner.session, to="+9990000002", text="the chat is there")
    assert sdk.get_group(owner.session, group)["jid"] == group
    for chat in ("+9990000002", "9990000002@c.us", "9990000002:1@s.whatsapp.net", "+999 000 0002"):
        told = sdk.get_messages(owner.session, chat, limit=1)
        assert told["success"] is True, told
    for chat in ("ü@c.us", "a/b", "x?y=z", "..", "%", ""):
        assert sdk.get_messages(owner.session, chat, limit=1)["success"] is False, chat


def test_long_queries_arrive_whole(sdk: Sdk, owner: Account) -> None:
    ids = [f"9990{number:06}@c.us" for number in range(200)]
    assert sdk.get_chats_overview(owner.session, ids=ids)["success"] is True
    assert sdk.get_groups(owner.session, search="ü ☕ & = + %" * 9) == []


def test_a_body_may_be_large(sdk: Sdk, wagate: SandboxGateway, owner: Account) -> None:
    text = "ü" * 60_000
    sent = sdk.send(session=owner.session, to="+9990000003", text=text)
    assert sent["content"] == text


def test_many_clients_share_the_program(python_program: Program, wagate: SandboxGateway) -> None:
    for url in (f"{wagate.url}/wasend", wagate.url):
        one = Sdk(python_program, url, wagate.key)
        assert isinstance(one.retrieve_all_sessions()["sessions"], list)
    utilities = Sdk(python_program, "", "")
    assert utilities.is_valid_phone_number("+9990000001") is True
    assert utilities.format_phone_number("9990000001", "49") == "+499990000001"
