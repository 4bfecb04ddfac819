"""What the prose names is there: files, links, make's targets, settings, commands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, ROOT, files, where
from wagate.config import settings

PROSE = files(".md")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
COMMANDS = set(re.findall(r"^## wagate (\S+)", (ROOT / "docs/reference/commands.md").read_text(), re.MULTILINE))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

LINK = re.compile(r"\]\((?!https?://)([^)#]*)(#[^)]*)?\)")
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|txt|sql|ini|toml)|(?:src|tests|docs|bench)/(?:[\w.-]+/)*)`")


def lost_links(page: Path, text: str) -> list[str]:
    """Links of the page that lead to no file, or to no heading in it."""
    found = []
    for target, heading in LINK.findall(text):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (heading and heading[1:] not in headings(file.read_text())):
            found.append(target + heading)
    return found


def headings(text: str) -> set[str]:
    """The anchors of a page's headings."""
    return {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in re.findall("^#.*", text, re.M)
    }


def lost_names(page: Path, text: str) -> list[str]:
    """Files named in backquotes that are nowhere: not from the root, nor in the package, nor beside the page."""
    places = (ROOT, PACKAGE, page.parent, ROOT / "tests", PACKAGE / "backends")
    return [name for name in NAMED.findall(text) if not any((place / name).exists() for place in places)]


@pytest.mark.parametrize("page", PROSE, ids=where)
def test_links_and_named_files_are_there(page: Path) -> None:
    text = page.read_text()
    assert not lost_links(page, text)
    assert not lost_names(page, text)


@pytest.mark.parametrize("page", PROSE, ids=where)
def test_targets_settings_and_commands_are_there(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"`make ([a-z-]+)[^`]*`", text)) <= TARGETS
    known = (
        {each.variable for each in settings()}
        | {"WAGATE_URL", "WAGATE_API_KEY"}
        | {f"WAGATE_REQUIRE_{program}" for program in ("POSTGRES", "NODE")}
    )
    assert set(re.findall(r"\bWAGATE_[A-Z_]+\b", text)) <= known
    assert {name for name in re.findall(r"bin/wagate (\w+)|`wagate (\w+)", text) for name in name if name} <= COMMANDS


def test_make_helps_with_every_target_that_is_named() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert {name for name in TARGETS if not re.search(rf"^{name}:.*## ", makefile, re.MULTILINE)} == set()


def test_decisions_are_numbered_short_and_whole() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        text = path.read_text()
        assert len(text.splitlines()) < 70, path.name
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
        parts = re.findall(r"^## (.*)", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"], path.name


def test_the_readme_names_what_apt_brings_as_make_does() -> None:
    line = re.search(r"^APT_LINE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line is not None
    readme, runner = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert f"\n{line[1]}\n" in readme
    for package in re.findall(r"apt-get install -y (.*)", runner)[0].split():
        assert re.search(rf"apt-get install[^`\n]* {package}\b", readme), package


def test_the_rules_can_fail() -> None:
    page = ROOT / "README.md"
    assert lost_links(page, "[a](docs/none.md) [b](docs/glossary.md#none) [c](docs/glossary.md#facts)") == [
        "docs/none.md",
        "docs/glossary.md#none",
    ]
    assert lost_names(page, f"`gateway/none.py` `gateway/keys.py` `src/none{os.sep}` `tests/docs/`") == [
        "gateway/none.py",
        "src/none/",
    ]
