"""What is printed from the code is current, and says what is there."""

from __future__ import annotations

import pytest

from tests.docs.pages import PAGES, PLAN, errors_page, events_page, floor_plan, operations_page, recorded
from tests.support.source import PACKAGE, ROOT, files
from wagate.bootstrap import OPERATIONS
from wagate.model.events import CATALOGUE


@pytest.mark.parametrize("name", PAGES)
def test_a_printed_page_is_current(name: str) -> None:
    # Told without the two texts: they are long, and the remedy is always the same.
    assert (ROOT / name).read_text() == PAGES[name]() or pytest.fail(f"{name} is not current: run `make docs`")


def test_the_floor_plan_has_a_line_for_every_module() -> None:
    plan = floor_plan()
    present = [path for path in files(".py", under=PACKAGE) if "versions" not in path.parts]
    named = [line.split()[0] for line in plan.splitlines() if line.startswith("  ")]
    assert len([name for name in named if name.endswith(".py")]) == len(
        [path for path in present if path.name != "__init__.py"]
    )
    assert len([name for name in named if name.endswith("/")]) == len(
        [path for path in present if path.name == "__init__.py" and path.parent != PACKAGE]
    )
    assert all(len(line.split(maxsplit=1)) == 2 for line in plan.splitlines()[2:-1] if line), "a module says nothing"


def test_the_plan_stands_in_the_architecture() -> None:
    assert PLAN + floor_plan() in (ROOT / "ARCHITECTURE.md").read_text()


def test_every_operation_and_every_code_is_described() -> None:
    page = operations_page()
    assert not [each.id for each in OPERATIONS if f"| `{each.id}` |" not in page]
    errors = errors_page()
    assert not [
        kind for each in OPERATIONS for kind in each.errors if f"| `{kind.code}` | {kind.status} |" not in errors
    ]


def test_only_events_that_are_recorded_are_promised() -> None:
    promised = events_page().partition("## Named, not recorded yet")[0]
    titles = [name for line in promised.splitlines() if line.startswith("## ") for name in line[3:].split(", ")]
    assert set(recorded()) == set(titles) - {"Shapes inside"}
    assert set(recorded()) == set(CATALOGUE)
