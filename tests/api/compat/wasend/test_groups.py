"""Groups through the dialect: made, listed, found, counted, joined, left, pictured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dialect import Dialect, strict, told
from tests.support.files import JPEG, PNG
from tests.support.gateways import Account
from tests.support.shelf import shelf
from wagate import testing
from wagate.api.compat.wasend import shapes
from wagate.testing import SandboxGateway

JOIN = "/shop/groups/join"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """As for every file here, with the own machine's addresses open: pictures are fetched from there."""
    folder: Path = tmp_path_factory.mktemp("wagate") / "data"
    with testing.gateway(folder, allowed_networks=("127.0.0.0/8",)) as running:
        yield running


def names(found: list[Any]) -> list[str]:
    return [each["name"] for each in found]


# Refusals


@pytest.mark.parametrize(
    "wish",
    [
        {"name": "", "participants": [{"id": "+9990000002"}]},
        {"name": "x" * 101, "participants": [{"id": "+9990000002"}]},
        {"name": "group", "participants": []},
        {"name": "group", "participants": [{"id": "nobody"}]},
        {"name": "group", "participants": [{"id": "+9990000002", "role": "admin"}]},
        {"name": "group", "participants": [{"id": "+9990000002"}], "pictureUrl": "http://169.254.0.1/a.jpg"},
        {"name": "group", "participants": [{"id": "+9990000002"}], "tags": ["a\nb"]},
    ],
)
def test_a_group_that_cannot_be_is_not_made(docs: Dialect, shop: str, wish: Any) -> None:
    before = docs.get(f"/{shop}/groups/count")["total"]
    told(docs.ask("POST", f"/{shop}/groups", wish), 400)
    assert docs.get(f"/{shop}/groups/count")["total"] == before


def test_a_picture_that_cannot_be_leaves_no_group_behind(docs: Dialect, shop: str) -> None:
    before = docs.get(f"/{shop}/groups/count")["total"]
    with shelf({"a.png": PNG}) as there:
        wish = {"name": "group", "participants": [{"id": "+9990000002"}], "pictureUrl": f"{there}/a.png"}
        assert told(docs.ask("POST", f"/{shop}/groups", wish), 400).startswith("pictureUrl")
    assert docs.get(f"/{shop}/groups/count")["total"] == before


@pytest.mark.parametrize("query", ["sortBy=size", "sortOrder=up", "status=lost", "limit=many", "search=" + "x" * 101])
def test_a_list_that_cannot_be_is_refused(docs: Dialect, shop: str, query: str) -> None:
    told(docs.ask("GET", f"/{shop}/groups?{query}"), 400)


@pytest.mark.parametrize("code", ["", "no spaces allowed", "https://example.com/abcdefghijkl", "abcdefghijklmnop"])
def test_an_invite_that_leads_nowhere_is_400(docs: Dialect, shop: str, code: str) -> None:
    told(docs.ask("POST", JOIN, {"code": code}), 400)
    told(docs.ask("GET", f"/{shop}/groups/join-info?code={code.replace(' ', '+')}"), 400)


def test_an_invite_must_be_named(docs: Dialect, shop: str) -> None:
    told(docs.ask("POST", JOIN, {}), 400, "code: is missing")
    told(docs.ask("GET", f"/{shop}/groups/join-info"), 400, "code: is missing")


# Made and listed


def test_a_group_is_made_with_all_that_is_said(docs: Dialect, sdk: Dialect, owner: Account, shop: str) -> None:
    with shelf({"a.jpg": JPEG}) as there:
        wish = {
            "name": "Whole",
            "participants": [{"id": "+9990000002", "isAdmin": True}, {"id": "9994000001@c.us", "isAdmin": True}],
            "description": "About us",
            "pictureUrl": f"{there}/a.jpg",
            "tags": ["family", "close", "family"],
        }
        made = strict(sdk.post(f"/{shop}/groups", wish), "Group")
    group = made["jid"]
    assert (made["name"], made["topic"], made["tags"]) == ("Whole", "About us", ["family", "close"])
    assert owner.roles(group) == {"9990000001": "superadmin", "9990000002": "admin"}
    assert made["ownerJid"] == "9990000001@s.whatsapp.net"
    assert made["ownerPn"] == "9990000001"
    assert made["groupCreated"].endswith("Z")
    assert strict(docs.get(f"/{shop}/groups/{group}/picture"), "Picture")["id"]
    assert made == sdk.get(f"/{shop}/groups/{group}") == sdk.get(f"/{shop}/groups/{group}/info")
    assert {name: made[name] for name in shapes.UNKNOWN if made[name]} == {}


def test_people_may_be_named_without_more(sdk: Dialect, shop: str) -> None:
    made = strict(sdk.post(f"/{shop}/groups", {"name": "Plain", "participants": ["+9990000002"]}), "Group")
    assert len(made["participants"]) == 2


@pytest.fixture(scope="module")
def many(owner: Account, shop: str) -> list[str]:
    """Three groups, of one, two and three others, the first with a tag."""
    client = Dialect(owner.wagate, sdk=True)
    found = []
    for position, name in enumerate(("many b", "Many a", "many c")):
        people = [{"id": f"+999000000{2 + i}"} for i in range(position + 1)]
        wish = {"name": name, "participants": people, "tags": ["first"] if position == 0 else []}
        found.append(client.post(f"/{shop}/groups", wish)["jid"])
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["many b", "Many a", "many c"]),
        ("&sortBy=subject", ["Many a", "many b", "many c"]),
        ("&sortBy=subject&sortOrder=desc", ["many c", "many b", "Many a"]),
        ("&sortBy=creation&sortOrder=asc", ["many b", "Many a", "many c"]),
        ("&sortBy=participantsCount&sortOrder=desc", ["many c", "Many a", "many b"]),
        ("&limit=2", ["many b", "Many a"]),
        ("&limit=2&offset=2", ["many c"]),
        ("&offset=9", []),
        ("&tags[]=first", ["many b"]),
        ("&tags%5B%5D=first", ["many b"]),
        ("&tags=first,second", []),
        ("&status=active", ["many b", "Many a", "many c"]),
        ("&status=ARCHIVED", []),
    ],
)
@pytest.mark.usefixtures("many")
def test_a_list_is_filtered_sorted_and_cut(sdk: Dialect, shop: str, query: str, expected: list[str]) -> None:
    assert names(strict(sdk.get(f"/{shop}/groups?search=MANY{query}"), ["Group"])) == expected


@pytest.mark.usefixtures("many")
def test_others_than_the_sdk_get_pages(docs: Dialect, sdk: Dialect, shop: str) -> None:
    page = docs.get(f"/{shop}/groups?search=many&limit=2")
    assert page["groups"] == sdk.get(f"/{shop}/groups?search=many&limit=2")
    assert page["pagination"] == {"total": 3, "limit": 2, "offset": 0, "hasMore": True}
    assert docs.get(f"/{shop}/groups?search=many&offset=2")["pagination"]["hasMore"] is False


@pytest.mark.parametrize("written", ["exclude[]=participants", "exclude%5B%5D=participants", "exclude=participants"])
@pytest.mark.usefixtures("many")
def test_participants_may_be_left_out_but_not_their_list(sdk: Dialect, shop: str, written: str) -> None:
    found = strict(sdk.get(f"/{shop}/groups?search=many&{written}"), ["Group"])
    assert [(each["participants"], each["participantsCount"]) for each in found] == [([], 2), ([], 3), ([], 4)]


def test_a_group_that_was_archived_or_left_is_counted_as_such(docs: Dialect, sdk: Dialect, shop: str) -> None:
    before = docs.get(f"/{shop}/groups/count")
    made = [
        sdk.post(f"/{shop}/groups", {"name": name, "participants": ["+9990000002"]})["jid"]
        for name in ("put away", "gone")
    ]
    session = docs.get(f"/sessions/{shop}")["id"]
    docs.post("/send", {"session": shop, "to": made[0], "text": "hello"})
    docs.wagate.ask("PATCH", f"/sessions/{session}/chats/{made[0]}", {"archived": True})
    docs.post(f"/{shop}/groups/{made[1]}/leave")
    after = docs.get(f"/{shop}/groups/count")
    assert after["total"] == before["total"] + 1
    assert after["byStatus"] == {**before["byStatus"], "archived": 1, "deleted": before["byStatus"]["deleted"] + 1}
    texts = strict(sdk.get(f"/{shop}/groups/count"), "Count")["byStatus"]
    assert texts == {status.upper(): str(count) for status, count in after["byStatus"].items()}
    assert names(sdk.get(f"/{shop}/groups?status=archived")) == ["put away"]
    assert "gone" in names(sdk.get(f"/{shop}/groups?status=deleted"))
    assert "gone" not in names(sdk.get(f"/{shop}/groups"))
    told(docs.ask("POST", f"/{shop}/groups/{made[1]}/leave"), 404)


# Joined


@pytest.mark.parametrize("field", ["code", "inviteCode", "inviteLink"])
@pytest.mark.parametrize("bare", [True, False])
def test_an_invite_is_looked_at_and_taken(
    sdk: Dialect, owner: Account, guest: Account, shop: str, field: str, bare: bool
) -> None:
    group = guest.made("9990000003", name="Theirs")
    code = guest.get(f"/{group}/invite")["invite"]
    code = code.rpartition("/")[2] if bare else code
    seen = sdk.get(f"/{shop}/groups/join-info?code={code}")
    strict(seen, "Group")
    assert (seen["success"], seen["error"], seen["data"]["jid"], seen["participantsCount"]) == (True, None, group, 2)
    joined = strict(sdk.post(JOIN, {field: code}), "Joined")
    assert (joined["id"], joined["name"], joined["participantsCount"]) == (group, "Theirs", 3)
    assert joined["group"]["id"] == group
    assert "9990000001" in guest.roles(group)


def test_a_group_that_approves_says_that_it_is_pending(sdk: Dialect, wagate: SandboxGateway, shop: str) -> None:
    club = {"owner": "9990000005", "subject": "Club", "participants": ["9990000006"], "approveJoins": True}
    invite = wagate.post("/sandbox/groups", club)["invite"]
    joined = strict(sdk.post(JOIN, {"code": invite}), "Joined")
    assert (joined["pending"], joined["name"]) == (True, "Club")


# Pictured


def test_a_picture_is_set_told_and_removed(docs: Dialect, shop: str, group: str) -> None:
    where = f"/{shop}/groups/{group}/picture"
    told(docs.ask("GET", where), 404)
    with shelf({"a.jpg": JPEG}) as there:
        for format in ("jpeg", "png"):
            docs.good("PUT", where, {"url": f"{there}/a.jpg", "format": format, "cropToSquare": True})
    for query in ("", "?refresh=true", "?refresh=false"):
        strict(docs.get(where + query), "Picture")
    for _ in range(2):
        docs.good("DELETE", where)
    told(docs.ask("GET", where), 404)


def test_a_picture_from_where_nobody_may_look_is_refused(docs: Dialect, shop: str, group: str) -> None:
    told(docs.ask("PUT", f"/{shop}/groups/{group}/picture", {"url": "http://169.254.0.1/a.jpg"}), 400)
