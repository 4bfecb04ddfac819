"""Handing on to the sink: again until it is taken, in order; what is refused for good is set aside."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.engines import Recorder, until
from wagate.engines.base import QrShown, Report, SinkClosed
from wagate.engines.whatsapp import passing as module
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.passing import Passing
from wagate.errors import NoAnswer

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_REST", 0.001)
    monkeypatch.setattr(module, "_MOST_REST", 0.002)


def told(number: int, *codes: str) -> wire.Told:
    return wire.Told(line=1, number=number, reports=[wire.report(shown(code)) for code in codes])


def shown(code: str) -> QrShown:
    return QrShown(code=code, expires_at=1)


class Poisoned(Recorder):
    """Fails for ever on one report."""

    async def __call__(self, reports: Sequence[Report]) -> None:
        if shown("poison") in reports:
            raise LookupError("a defect")
        await super().__call__(reports)


async def test_a_report_that_is_never_taken_is_set_aside_and_the_others_pass(tmp_path: Path) -> None:
    sink, taken = Poisoned(), list[int]()
    passing = Passing(sink, tmp_path, taken.append)
    passing.put(told(1, "one", "poison"))
    passing.put(told(2, "two"))
    await passing.passed(2)
    assert sink.reports == [shown("one"), shown("two")]
    aside = (tmp_path / "aside").read_bytes()
    assert aside.count(b"poison") == 1
    assert stat.S_IMODE((tmp_path / "aside").stat().st_mode) == 0o600
    await passing.close()


async def test_a_report_of_another_version_is_set_aside(tmp_path: Path) -> None:
    sink, taken = Recorder(), list[int]()
    passing = Passing(sink, tmp_path, taken.append)
    strange = wire.Reported(kind="Unheard", body=wire.body("of"))
    passing.put(wire.Told(line=1, number=1, reports=[strange, wire.report(shown("one"))]))
    await passing.passed(1)
    assert sink.reports == [shown("one")]
    assert b"Unheard" in (tmp_path / "aside").read_bytes()
    await passing.close()


async def test_who_waits_for_what_never_passes_is_told(tmp_path: Path) -> None:
    sink = Recorder()
    sink.gate.clear()
    passing = Passing(sink, tmp_path, lambda number: None)
    passing.put(told(1, "one"))
    waiting = asyncio.ensure_future(passing.passed(1))
    await until(lambda: sink.started)
    await passing.close()
    with pytest.raises(NoAnswer):
        await waiting
    assert not sink.calls


async def test_what_is_taken_is_said_once_it_is_committed(tmp_path: Path) -> None:
    sink, taken = Recorder(), list[int]()
    sink.gate.clear()
    passing = Passing(sink, tmp_path, taken.append)
    for number in range(1, 4):
        passing.put(told(number, f"{number}"))
    passing.put(told(0, "about the line"))
    await until(lambda: sink.started)
    assert not taken
    sink.failures = 2
    sink.gate.set()
    await passing.passed(3)
    assert taken[-1] == 3
    await until(lambda: len(sink.reports) == 4)
    assert [each.code for each in sink.of(QrShown)] == ["1", "2", "3", "about the line"]
    await passing.close()


async def test_a_sink_that_is_closed_is_told_nothing_more_and_nothing_is_taken(tmp_path: Path) -> None:
    calls, taken = list[int](), list[int]()

    async def closed(reports: Sequence[Report]) -> None:
        calls.append(len(reports))
        raise SinkClosed

    passing = Passing(closed, tmp_path, taken.append)
    passing.put(told(1, "one"))
    await until(lambda: calls)
    passing.put(told(2, "two"))
    with pytest.raises(NoAnswer):
        await passing.passed(2)
    await passing.close()
    assert (calls, taken, list(tmp_path.iterdir())) == ([1], [], [])
