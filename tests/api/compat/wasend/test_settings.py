"""A group's settings through the dialect."""

from __future__ import annotations

import pytest

from tests.support.dialect import Dialect, strict, told
from tests.support.gateways import Account


@pytest.mark.parametrize(("path", "body"), [("subject", {}), ("name", {}), ("settings", {}), ("description", {})])
def test_a_change_of_nothing_is_refused(docs: Dialect, shop: str, group: str, path: str, body: object) -> None:
    told(docs.ask("PUT", f"/{shop}/groups/{group}/{path}", body), 400)


@pytest.mark.parametrize("path", ["subject", "name"])
@pytest.mark.parametrize("field", ["subject", "name"])
def test_a_group_is_renamed_by_either_name(docs: Dialect, shop: str, group: str, path: str, field: str) -> None:
    docs.good("PUT", f"/{shop}/groups/{group}/{path}", {field: f"{path} {field}"})
    assert docs.get(f"/{shop}/groups/{group}/subject") == {"success": True, "subject": f"{path} {field}"}
    assert docs.get(f"/{shop}/groups/{group}")["name"] == f"{path} {field}"


def test_a_description_is_set_and_removed(docs: Dialect, shop: str, group: str) -> None:
    for words in ("About us", ""):
        docs.good("PUT", f"/{shop}/groups/{group}/description", {"description": words})
        assert docs.get(f"/{shop}/groups/{group}/description") == {"success": True, "description": words}
        shown = docs.get(f"/{shop}/groups/{group}")
        assert (shown["topic"], shown["description"]) == (words, words)


@pytest.mark.parametrize(
    ("path", "name", "native"),
    [("info-admin-only", "infoAdminOnly", "isLocked"), ("messages-admin-only", "messagesAdminOnly", "isAnnounce")],
)
def test_a_switch_is_set_and_read_in_three_places(
    docs: Dialect, owner: Account, shop: str, group: str, path: str, name: str, native: str
) -> None:
    where = f"/{shop}/groups/{group}/settings"
    for on in (True, False):
        docs.good("PUT", f"{where}/security/{path}", {"enabled": on, "changedAt": "now", "changedBy": "me"})
        assert strict(docs.get(f"{where}/security/{path}"), "Switch")["enabled"] is on
        assert docs.get(where)[name] is on
        assert docs.get(f"/{shop}/groups/{group}")[native] is on
        docs.good("PUT", where, {name: not on})
        assert owner.get(f"/{group}")[native] is not on


def test_both_settings_change_at_once(docs: Dialect, owner: Account, shop: str, group: str) -> None:
    docs.good("PUT", f"/{shop}/groups/{group}/settings", {"infoAdminOnly": True, "messagesAdminOnly": True})
    assert (owner.get(f"/{group}")["isLocked"], owner.get(f"/{group}")["isAnnounce"]) == (True, True)
