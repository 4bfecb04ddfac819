"""The capability table: whole, and grown from what is there."""

from __future__ import annotations

from typing import get_args

from tests.docs.capabilities import CHANGES, LIVE, asked, capabilities_page, engines, gives, tag
from wagate.bootstrap import OPERATIONS
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.model.sends import Send

ASKED = {operation.id: asked(operation) for operation in OPERATIONS}


def test_an_engine_that_lacks_something_would_be_seen() -> None:
    class Poor(SandboxEngine):
        contents = frozenset({"text"})
        actions = frozenset()

    assert gives(Poor, "text")
    assert not gives(Poor, "poll")
    assert not any(gives(Poor, action) for action in LIVE)


def test_every_action_and_every_content_is_asked_for_by_an_operation() -> None:
    rows = {row for found in ASKED.values() for row in found}
    assert {each for each in rows if not isinstance(each, str)} == set(LIVE)
    assert {each for each in rows if isinstance(each, str)} == {tag(each) for each in (*CHANGES, *get_args(Send))}


def test_an_operation_asks_for_what_it_says() -> None:
    assert ASKED["editMessage"] == ["edit"]
    assert ASKED["postStatus"] == ["text", "image"]
    assert [each.__name__ for each in ASKED["markRead"] if not isinstance(each, str)] == ["MarkRead"]
    assert ASKED["listChats"] == ASKED["listEvents"] == ASKED["createSession"] == []


def test_the_sandbox_gives_everything() -> None:
    assert engines()["sandbox"] is SandboxEngine
    assert [row for found in ASKED.values() for row in found if not gives(SandboxEngine, row)] == []
    rows = [line.split(" | ") for line in capabilities_page().splitlines() if line.startswith("| `")]
    assert {row[2] for row in rows} == {"yes"}


def test_what_the_real_network_lacks_is_told_before_anybody_asks() -> None:
    lacks = {row for found in ASKED.values() for row in found if not gives(engines()["whatsapp"], row)}
    assert {each if isinstance(each, str) else each.__name__ for each in lacks} == {
        "ApproveMembers",
        "DeleteGroupPicture",
        "RejectMembers",
    }
