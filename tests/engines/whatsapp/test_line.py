"""A session in a host whose gateway changes its mind: nothing is held by nobody, and nothing is online unheld.

The native library's place is taken by one that does as it is told; the host, the socket and the folder are real.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.support.engines import ORG, settle, until
from wagate.engines import base
from wagate.engines.whatsapp import line as module
from wagate.engines.whatsapp import stored, wire
from wagate.engines.whatsapp.host import Host

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

ANN = SimpleNamespace(User="99900000001", Server="s.whatsapp.net", IsEmpty=False)
NOBODY = SimpleNamespace(User="", Server="", IsEmpty=True)
CONNECTED, DISCONNECTED, MESSAGE = 3, 12, 17


class Pointer:
    """A message that points to a piece of history."""

    def __init__(self) -> None:
        self.Message = self.protocolMessage = self

    def HasField(self, _: str) -> bool:
        return True


class Native:
    """A library that lets everybody in, when it gets that far. `free`: whose keys were in use in an unlocked folder."""

    digest = "none"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.present: dict[str, Any] = {}
        self.free: list[str] = []
        self.begun = threading.Event()
        self.may_begin = threading.Event()
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_begin.set()
        self.may_answer.set()

    def begin(self, id: str, *, heard: Any, **_: Any) -> None:
        self.begun.set()
        assert self.may_begin.wait(60)
        self.present[id] = heard
        if not locked(self.folder):
            self.free.append(id)
        heard.event(CONNECTED, b"")

    def end(self, id: str) -> bool:
        self.present.pop(id, None)
        return True

    def call(self, name: str, id: str, *_: Any) -> bytes:
        if id not in self.present:
            raise KeyError(id)
        self.asked.set()
        assert self.may_answer.wait(60)
        return b""

    def read(self, kind: str, _: bytes) -> Any:
        return Pointer() if kind == "Message" else SimpleNamespace(JID=ANN, LID=NOBODY)


def locked(folder: Path) -> bool:
    try:
        with stored.held(folder):
            return False
    except stored.InUse:
        return True


class Gateway:
    """The other end of a host's socket."""

    def __init__(self, host: Host, ours: socket.socket) -> None:
        self.host = host
        self.heard: list[Any] = []
        self._ours = ours
        self._count = 0

    async def listen(self) -> None:
        reader, self.writer = await asyncio.open_unix_connection(sock=self._ours)
        decode = msgspec.msgpack.Decoder(wire.FromHost).decode
        while (frame := await wire.next_frame(reader)) is not None:
            self.heard.append(decode(frame))

    def ask(self, want: wire.AnyWant) -> int:
        self._count += 1
        self.writer.write(wire.framed(wire.Asked(id=self._count, line=1, want=want, seconds=60)))
        return self._count

    def answer(self, id: int) -> Any:
        return next((each for each in self.heard if getattr(each, "id", None) == id), None)

    async def answered(self, want: wire.AnyWant) -> Any:
        id = self.ask(want)
        await until(lambda: self.answer(id))
        return self.answer(id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(tmp_path / stored.FILE)) as store:
        store.execute("CREATE TABLE whatsmeow_device (jid TEXT)")
        store.execute("INSERT INTO whatsmeow_device VALUES (?)", (f"{ANN.User}:1@{ANN.Server}",))
        store.commit()
    return tmp_path


@pytest.fixture
def native(folder: Path) -> Native:
    return Native(folder)


@pytest.fixture
async def gateway(native: Native) -> AsyncIterator[Gateway]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    host = Host(native, reader, writer)  # type: ignore[arg-type]
    made = Gateway(host, ours)
    tasks = [asyncio.ensure_future(host.serve(240)), asyncio.ensure_future(made.listen())]
    await until(lambda: made.heard)
    yield made
    native.may_begin.set()
    native.may_answer.set()
    await host.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for end in (writer, made.writer):
        end.close()


def opening(folder: Path) -> wire.Open:
    return wire.Open(account=base.Account(session_id="s1", organization_id=ORG), folder=str(folder))


async def test_a_folder_that_is_opened_for_nobody_any_more_is_let_go(gateway: Gateway, folder: Path) -> None:
    with stored.held(folder):
        opened = gateway.ask(opening(folder))
        await until(lambda: gateway.host._answering)
        closed = gateway.ask(wire.Close())
        await until(lambda: gateway.answer(closed))
    await until(lambda: gateway.answer(opened))
    assert isinstance(gateway.answer(opened), wire.Failed)
    assert not locked(folder)


async def test_keys_are_never_in_use_in_a_folder_that_was_let_go(
    gateway: Gateway, native: Native, folder: Path
) -> None:
    await gateway.answered(opening(folder))
    native.may_begin.clear()
    connecting = gateway.ask(wire.Connect())
    await until(native.begun.is_set)
    closing_ = gateway.ask(wire.Close())
    # Whoever lets it go now does so within this time; whoever waits for the library does not.
    await asyncio.wait([asyncio.ensure_future(until(lambda: gateway.answer(closing_)))], timeout=0.3)
    native.may_begin.set()
    await until(lambda: gateway.answer(connecting) and gateway.answer(closing_))
    assert isinstance(gateway.answer(connecting), wire.Failed)
    assert (native.free, native.present, locked(folder)) == ([], {}, False)


async def test_a_session_that_is_closed_while_it_waits_to_begin_never_begins(
    gateway: Gateway, native: Native, folder: Path
) -> None:
    await gateway.answered(opening(folder))
    assert isinstance(await gateway.answered(wire.Connect()), wire.Answered)
    # It ends, and takes its time; meanwhile it is wanted again, and not any more.
    ending, may_end, end = threading.Event(), threading.Event(), native.end

    def slowly(id: str) -> bool:
        ending.set()
        assert may_end.wait(60)
        return end(id)

    native.end = slowly  # type: ignore[method-assign]
    native.may_begin.clear()
    connecting = gateway.ask(wire.Connect())
    await until(ending.is_set)
    closing_ = gateway.ask(wire.Close())
    await settle()
    may_end.set()
    await until(lambda: gateway.answer(closing_))
    native.may_begin.set()
    await until(lambda: gateway.answer(connecting))
    assert isinstance(gateway.answer(connecting), wire.Failed)
    assert (native.free, native.present, locked(folder)) == ([], {}, False)


async def test_a_line_that_breaks_before_its_connection_is_told_is_no_connection(
    gateway: Gateway, native: Native, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_WORD_SECONDS", 0.0)
    await gateway.answered(opening(folder))
    native.may_answer.clear()
    connecting = gateway.ask(wire.Connect())
    await until(native.asked.is_set)
    (heard,) = native.present.values()
    heard.event(DISCONNECTED, b"")
    await settle()
    native.may_answer.set()
    await until(lambda: gateway.answer(connecting))
    assert isinstance(gateway.answer(connecting), wire.Failed)
    await until(lambda: not native.present)


async def test_a_host_whose_gateway_is_gone_hangs_up_though_pieces_of_history_are_missing(
    gateway: Gateway, native: Native, folder: Path
) -> None:
    await gateway.answered(opening(folder))
    assert isinstance(await gateway.answered(wire.Connect()), wire.Answered)
    (heard,) = native.present.values()
    heard.event(MESSAGE, b"")
    await settle()
    with contextlib.suppress(TimeoutError):
        await gateway.host.close()
    # What is on its way through the library at the end is heard only by hanging up.
    assert native.present == {}
