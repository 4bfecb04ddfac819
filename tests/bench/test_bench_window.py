"""The measuring of what is acknowledged before it is on disk: what the stamps say, and where the page keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import soak
from bench.window import Losses, phase, spread

MS = 1_000_000


def test_a_phase_tells_how_long_and_how_many_were_at_risk() -> None:
    times = {"A": (0, 10 * MS), "B": (5 * MS, 11 * MS), "C": (6 * MS, 40 * MS), "D": (7 * MS, None)}
    stamps = [f"A,{9 * MS},{12 * MS}", f"B,{11 * MS},{15 * MS}", f"C,{20 * MS},{30 * MS}", f"D,{1},{2}", "E,1,2"]
    found = phase("quiet", stamps, times)
    assert found.written == [-1.0, 0.0, -20.0]
    assert found.lower == [2.0, 4.0, -10.0]
    assert found.upper == [12.0, 10.0, 24.0]
    assert found.at_once == 2
    assert "acknowledged before it was on disk 67%, at most 2 at once" in found.lines()[0]
    assert spread([1.0]) == "nothing"
    assert spread([1.0] * 99 + [2.0]) == "p50 1.0, p99 2.0, longest 2.0 ms"


def test_losses_are_told_for_each_kill() -> None:
    losses = Losses(what="host", kills=4, said=100, acknowledged=90, lost=1, repeated=0)
    assert "of 90 that were acknowledged 1 were never told (0.25 a kill), 0 were told twice" in losses.lines()[0]


def test_a_list_takes_the_place_of_the_one_before_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    mark, other = soak.MARKS["window"], soak.MARKS["hosts"]
    page.write_text(f"# Page\n\n{mark}\n{other}\n- kept\n\n## Behind\n")
    monkeypatch.setattr(soak, "PAGE", page)
    for lines in (["one", "two"], ["three"]):
        soak._put(mark, lines)
    assert page.read_text() == f"# Page\n\n{mark}\n- three\n\n{other}\n- kept\n\n## Behind\n"
