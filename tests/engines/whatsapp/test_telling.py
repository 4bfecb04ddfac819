"""Records are told in order and never dropped because the library cannot be asked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.support.engines import until
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
