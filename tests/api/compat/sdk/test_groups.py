"""Groups, as the Python SDK sees and changes them; what the network says of them afterwards is what counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account
from tests.support.sdk import Sdk, digits, refused
from wagate.testing import SandboxGateway

STRANGER = "9990000007"
INVITE = "https://chat.whatsapp.com/"


@pytest.fixture(scope="module")
def lister(wagate: SandboxGateway) -> Account:
    """An account whose groups are known: five of two to six members, made in this order."""
    account = Account(wagate, "9990000020")
    for number, name in enumerate(["cherry", "Apple", "elder", "banana", "date"], start=1):
        account.made(*[f"99900001{each:02}" for each in range(number)], name=name)
    return account


def truth(wagate: SandboxGateway, group: str) -> dict[str, Any]:
    """The group as the network knows it."""
    found: dict[str, Any] = wagate.get(f"/sandbox/groups/{group}")
    return found


def members(wagate: SandboxGateway, group: str) -> dict[str, str]:
    """Who is in the group, and as what."""
    return {digits(each["jid"]): each["role"] for each in truth(wagate, group)["members"]}


def participant(number: str, **more: Any) -> dict[str, Any]:
    return {"$": "CreateGroupParticipant", "id": number, **more}


def test_a_group_is_made_with_everything_it_was_asked_with(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, files: str
) -> None:
    made = sdk.create_group(
        owner.session,
        name="Team ü",
        participants=[participant("+9990000002"), participant("9990000003@c.us", is_admin=True)],
        description="What we do",
        picture_url=f"{files}/a.jpg",
        tags=["work", "team"],
    )
    known = truth(wagate, made["jid"])
    assert (known["subject"], known["description"]) == ("Team ü", "What we do") == (made["name"], made["topic"])
    assert known["pictureId"]
    assert members(wagate, made["jid"]) == {"9990000001": "superadmin", "9990000002": "member", "9990000003": "admin"}
    assert {digits(each["phone_number"]) for each in made["participants"]} == set(members(wagate, made["jid"]))
    assert digits(made["owner_jid"]) == "9990000001"
    assert made["group_created"] == str(made["group_created"]) != ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"participants": []},
        {"participants": [participant("nobody")]},
        {"picture_url": "http://ann:secret@127.0.0.1/a.jpg"},
        {"description": "x" * 3000},
    ],
    ids=["name", "nobody", "participant", "picture", "description"],
)
def test_a_group_with_bad_parameters_is_not_made(sdk: Sdk, owner: Account, wrong: dict[str, Any]) -> None:
    before = len(owner.get()["data"])
    wish = {"name": "bad", "participants": [participant("+9990000002")], **wrong}
    refused(400, lambda: sdk.create_group(owner.session, **wish))
    assert len(owner.get()["data"]) == before


def test_one_group_is_seen_with_all_its_members(sdk: Sdk, lister: Account) -> None:
    banana = next(each for each in sdk.get_groups(lister.session) if each["name"] == "banana")
    one = sdk.get_group(lister.session, banana["jid"])
    assert one == banana == sdk.get_group(lister.session, banana["jid"].removesuffix("@g.us"))
    assert len(one["participants"]) == 5
    assert {each["is_super_admin"] for each in one["participants"] if digits(each["phone_number"]) == lister.phone} == {
        True
    }
    assert (one["is_locked"], one["is_announce"]) == (False, False)


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({"sort_by": "subject"}, ["Apple", "banana", "cherry", "date", "elder"]),
        ({"sort_by": "subject", "sort_order": "desc"}, ["elder", "date", "cherry", "banana", "Apple"]),
        ({"sort_by": "creation", "sort_order": "asc"}, ["cherry", "Apple", "elder", "banana", "date"]),
        ({"sort_by": "creation", "sort_order": "desc"}, ["date", "banana", "elder", "Apple", "cherry"]),
        ({"sort_by": "participantsCount", "sort_order": "desc"}, ["date", "banana", "elder", "Apple", "cherry"]),
        ({"sort_by": "subject", "limit": 2}, ["Apple", "banana"]),
        ({"sort_by": "subject", "limit": 2, "offset": 3}, ["date", "elder"]),
        ({"sort_by": "subject", "limit": 2, "offset": 5}, []),
        ({"sort_by": "subject", "search": "AN"}, ["banana"]),
        ({"search": "nothing like it"}, []),
        ({"sort_by": "subject", "status": {"$": "GroupStatus", "is": "ACTIVE"}, "limit": 1}, ["Apple"]),
        ({"status": {"$": "GroupStatus", "is": "DELETED"}}, []),
    ],
    ids=str,
)
def test_groups_are_listed_sorted_searched_and_paged(
    sdk: Sdk, lister: Account, wish: dict[str, Any], names: list[str]
) -> None:
    found = sdk.get_groups(lister.session, exclude=["participants"], **wish)
    assert [each["name"] for each in found] == names


def test_groups_are_listed_by_id(sdk: Sdk, lister: Account) -> None:
    ids = [each["jid"] for each in sdk.get_groups(lister.session, sort_by="id")]
    assert len(ids) == 5
    assert ids == sorted(ids)
    assert [each["jid"] for each in sdk.get_groups(lister.session, sort_by="id", sort_order="desc")] == ids[::-1]


@pytest.mark.parametrize("wrong", [{"sort_by": "colour"}, {"sort_order": "up"}])
def test_groups_are_not_listed_by_what_they_do_not_have(sdk: Sdk, lister: Account, wrong: dict[str, Any]) -> None:
    refused(400, lambda: sdk.get_groups(lister.session, **wrong))


def test_groups_are_found_by_how_they_stand(sdk: Sdk, wagate: SandboxGateway) -> None:
    account = Account(wagate, "9990000022")
    groups = {name: account.made(STRANGER, name=name) for name in ("kept", "archived", "left")}
    chat = f"/sessions/{account.session}/chats/{groups['archived']}"
    sdk.send(session=account.session, to=groups["archived"], text="so that there is a chat")
    assert wagate.ask("PATCH", chat, {"archived": True}).status == 200
    sdk.leave_group(account.session, groups["left"])

    def found(status: str) -> list[str]:
        return [each["name"] for each in sdk.get_groups(account.session, status={"$": "GroupStatus", "is": status})]

    wagate.until(lambda: found("DELETED") == ["left"])
    assert (found("ACTIVE"), found("ARCHIVED")) == (["kept"], ["archived"])
    told = sdk.get_groups_count(account.session)
    assert told["total"] == 2
    assert told["by_status"] == {"ACTIVE": "1", "ARCHIVED": "1", "DELETED": "1"}


def test_groups_are_found_by_their_tags(sdk: Sdk, wagate: SandboxGateway) -> None:
    session = Account(wagate, "9990000023").session
    for name, tags in (("both", ["a", "b"]), ("one", ["b"]), ("none", None)):
        sdk.create_group(session, name=name, participants=[participant(STRANGER)], tags=tags)

    def found(*tags: str) -> list[str]:
        return sorted(each["name"] for each in sdk.get_groups(session, tags=list(tags)))

    assert (found("a"), found("b"), found("a", "b"), found("c")) == (["both"], ["both", "one"], ["both"], [])


def test_groups_are_listed_without_participants(sdk: Sdk, lister: Account) -> None:
    assert {len(each["participants"]) for each in sdk.get_groups(lister.session)} == {2, 3, 4, 5, 6}
    listed = sdk.get_groups(lister.session, exclude=["participants"])
    assert [each["participants"] for each in listed] == [[]] * 5


def test_groups_are_counted(sdk: Sdk, lister: Account) -> None:
    told = sdk.get_groups_count(lister.session)
    assert told["total"] == 5
    assert all(isinstance(count, str) for count in (told["by_status"] or {}).values())


def test_a_group_that_was_left_is_not_listed(sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account) -> None:
    group = guest.knows(owner.made(guest.phone))
    assert group in {each["jid"] for each in sdk.get_groups(guest.session)}
    assert sdk.leave_group(guest.session, group) is None
    assert guest.phone not in members(wagate, group)
    wagate.until(lambda: group not in {each["jid"] for each in sdk.get_groups(guest.session)})
    refused(404, lambda: sdk.set_group_subject(guest.session, group, subject="from outside"))


def test_a_group_is_seen_from_outside_and_joined_by_its_code(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account
) -> None:
    for link in ("", INVITE):
        group = owner.made(STRANGER, name="open")
        code = link + sdk.get_group_invite_code(owner.session, group)
        seen = sdk.get_group_join_info(guest.session, code)
        assert (seen["jid"], seen["name"]) == (group, "open")
        assert guest.phone not in members(wagate, group)
        joined = sdk.join_group(guest.session, code=code)
        assert (joined["id"], joined["name"], joined["participants_count"]) == (group, "open", 3)
        assert members(wagate, group)[guest.phone] == "member"


def test_a_revoked_code_no_longer_joins(sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account) -> None:
    group = owner.made(STRANGER)
    old = sdk.get_group_invite_code(owner.session, group)
    new = sdk.revoke_group_invite_code(owner.session, group)
    assert old != new == sdk.get_group_invite_code(owner.session, group)
    assert truth(wagate, group)["invite"] == INVITE + new
    for call in (sdk.get_group_join_info, lambda session, code: sdk.join_group(session, code=code)):
        refused(400, lambda call=call: call(guest.session, old))
    assert guest.phone not in members(wagate, group)
    assert sdk.join_group(guest.session, code=new)["id"] == group


def test_only_an_admin_revokes_the_code(sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account) -> None:
    group = guest.knows(owner.made(guest.phone))
    before = truth(wagate, group)["invite"]
    refused(403, lambda: sdk.revoke_group_invite_code(guest.session, group))
    refused(403, lambda: sdk.get_group_invite_code(guest.session, group))
    assert truth(wagate, group)["invite"] == before


def test_subject_and_description_are_changed(sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str) -> None:
    assert sdk.set_group_subject(owner.session, group, subject="Änder ☕") is None
    assert sdk.set_group_description(owner.session, group, description="Neu\nund lang") is None
    known = truth(wagate, group)
    assert (known["subject"], known["description"]) == ("Änder ☕", "Neu\nund lang")
    seen = sdk.get_group(owner.session, group)
    assert (seen["name"], seen["topic"], seen["topic_deleted"]) == ("Änder ☕", "Neu\nund lang", False)
    sdk.set_group_description(owner.session, group, description="")
    assert truth(wagate, group)["description"] == ""
    refused(400, lambda: sdk.set_group_subject(owner.session, group, subject=""))
    refused(400, lambda: sdk.set_group_subject(owner.session, group, subject="x" * 101))


def test_who_may_write_and_who_may_change_is_set(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, guest: Account, group: str
) -> None:
    settings = [
        (sdk.set_group_info_admin_only, sdk.get_group_info_admin_only, "isLocked"),
        (sdk.set_group_messages_admin_only, sdk.get_group_messages_admin_only, "isAnnounce"),
    ]
    for change, look, field in settings:
        refused(403, lambda change=change: change(guest.session, group, enabled=True))
        for enabled in (True, False, True):
            more = {"changed_at": "2030-01-01T00:00:00Z", "changed_by": "me"} if enabled else {}
            assert change(owner.session, group, enabled=enabled, **more) is None
            assert truth(wagate, group)[field] is enabled
            assert look(owner.session, group)["enabled"] is enabled
    seen = sdk.get_group(owner.session, group)
    assert (seen["is_locked"], seen["is_announce"]) == (True, True)
    refused(403, lambda: sdk.set_group_subject(guest.session, group, subject="not mine to change"))


def test_a_picture_is_set_shown_and_taken_away(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str, files: str
) -> None:
    refused(404, lambda: sdk.get_group_picture(owner.session, group))
    assert sdk.set_group_picture(owner.session, group, url=f"{files}/a.jpg", format="jpeg") is None
    assert truth(wagate, group)["pictureId"]
    for refresh in (None, True, False):
        assert isinstance(sdk.get_group_picture(owner.session, group, refresh)["url"], str)
    assert sdk.delete_group_picture(owner.session, group) is None
    assert "pictureId" not in truth(wagate, group)
    refused(404, lambda: sdk.get_group_picture(owner.session, group))


@pytest.mark.parametrize("wrong", [{"url": "none.jpg"}, {"url": "a.pdf"}, {"url": "a.jpg", "format": "bmp"}])
def test_a_picture_that_is_none_is_refused(
    sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str, files: str, wrong: dict[str, Any]
) -> None:
    refused(400, lambda: sdk.set_group_picture(owner.session, group, **{**wrong, "url": f"{files}/{wrong['url']}"}))
    assert "pictureId" not in truth(wagate, group)


def test_fifty_groups_are_listed_unless_more_are_asked_for(sdk: Sdk, wagate: SandboxGateway) -> None:
    many = Account(wagate, "9990000021")
    names = [f"g{number:02}" for number in range(52)]
    for name in names:
        many.made(STRANGER, name=name)
    for limit, count in ((0, 50), (1000, 52)):
        listed = sdk.get_groups(many.session, sort_by="subject", limit=limit, exclude=["participants"])
        assert [each["name"] for each in listed] == names[:count]
    assert sdk.get_groups_count(many.session)["total"] == 52
