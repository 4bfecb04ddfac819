"""Records are told in order and never dropped because the library cannot be asked."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from tests.support.engines import settle, until
from wagate.engines import base
from wagate.engines.base import CallRang
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.spool import Spool
from wagate.engines.whatsapp.telling import Telling

pytestmark = pytest.mark.anyio


async def test_a_session_that_goes_away_while_an_event_is_read_costs_the_event_nothing(tmp_path: Path) -> None:
    told: list[wire.Told] = []
    gone = True

    def read(code: int, body: bytes) -> list[base.Report]:
        if gone and body == b"second":
            raise base.ConnectionLost
        return [CallRang(call_id=body.decode(), caller="4915100001@s.whatsapp.net", timestamp=code)]

    telling = Telling(Spool(tmp_path / "spool"), 1, told.append, read, lambda address: False)  # type: ignore[arg-type]
    telling.begin()
    for body in (b"first", b"second", b"third"):
        telling.keep_event(36, body)
    await until(lambda: told)
    telling.taken(told[-1].number)
    gone = False
    telling.begin()
    await until(lambda: len(told) == 3)
    found = [wire.reported(each) for one in told for each in one.reports]
    assert [each.call_id for each in found if isinstance(each, CallRang)] == ["first", "second", "third"]
    assert [one.number for one in told] == sorted({one.number for one in told})
    await telling.close()


async def test_an_event_that_can_never_be_read_holds_up_nothing(tmp_path: Path) -> None:
    told: list[wire.Told] = []

    def read(code: int, body: bytes) -> list[base.Report]:
        if body == b"broken":
            raise ValueError("no such thing")
        return [CallRang(call_id=body.decode(), caller="4915100001@s.whatsapp.net", timestamp=code)]

    telling = Telling(Spool(tmp_path / "spool"), 1, told.append, read, lambda address: False)  # type: ignore[arg-type]
    telling.begin()
    for body in (b"broken", b"whole"):
        telling.keep_event(36, body)
    await until(lambda: len(told) == 2)
    assert [each.kind for one in told for each in one.reports] == ["Event36", "CallRang"]
    with pytest.raises(msgspec.DecodeError):
        wire.reported(told[0].reports[0])
    await telling.close()


async def test_a_session_that_is_back_already_when_its_absence_is_noticed_is_told_on(tmp_path: Path) -> None:
    told: list[wire.Told] = []
    asked, answer = threading.Event(), threading.Event()

    def read(code: int, body: bytes) -> list[base.Report]:
        if not asked.is_set():
            asked.set()
            answer.wait(60)
            raise base.ConnectionLost
        return [CallRang(call_id=body.decode(), caller="4915100001@s.whatsapp.net", timestamp=code)]

    telling = Telling(Spool(tmp_path / "spool"), 1, told.append, read, lambda address: False)  # type: ignore[arg-type]
    telling.begin()
    telling.keep_event(36, b"first")
    await until(asked.is_set)
    telling.pause()
    telling.begin()
    answer.set()
    await until(lambda: told)
    assert [one.number for one in told] == [1]
    telling.taken(1)
    await telling.close()


async def test_what_is_being_committed_at_the_end_is_not_left_for_the_next(tmp_path: Path) -> None:
    told: list[wire.Told] = []

    def read(code: int, body: bytes) -> list[base.Report]:
        return [CallRang(call_id=body.decode(), caller="4915100001@s.whatsapp.net", timestamp=code)]

    telling = Telling(Spool(tmp_path / "spool"), 1, told.append, read, lambda address: False)  # type: ignore[arg-type]
    telling.begin()
    for body in (b"first", b"second"):
        telling.keep_event(36, body)
    await until(lambda: len(told) == 2)
    closing = asyncio.ensure_future(telling.close())
    await settle()
    telling.taken(2)
    await closing
    assert Spool(tmp_path / "spool").after(0, 10) == []
