"""Groups through the unmodified library: every change, its notice to the others, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.library import LibraryError, enum, jid, raw, why_not
from tests.emulator.town import ANNA, BEN, CLEO, Town
from wagate.engines.sandbox import rules

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

DORA, PRIVATE, NOBODY = "99900000004", "99940000001", "99930000001"
NANOSECONDS = 10**9


def change(name: str) -> Any:
    return enum("ParticipantChange", name)


async def test_a_group_lives_from_its_creation_to_the_last_notice(town: Town) -> None:
    anna, ben, cleo = town.anna, town.ben, town.cleo
    made = await anna.call("create_group", "Garden", [jid(BEN)])
    group = f"{made['told']['JID']['User']}@g.us"
    joined = await ben.wait("JoinedGroup")
    assert joined.told["GroupInfo"]["GroupName"]["Name"] == "Garden"
    results = await anna.call(
        "update_group_participants", jid(group), [jid(n) for n in (CLEO, BEN, PRIVATE, NOBODY)], change("ADD")
    )
    assert [each["told"].get("Error", 0) for each in results] == [0, 409, 403, 404]
    assert results[2]["told"]["AddRequest"]["Code"]
    await cleo.wait("JoinedGroup")
    await ben.wait("GroupInfoEvent", lambda told: CLEO in str(told) or "Join" in told)
    await anna.call("send_message", jid(group), "welcome")
    await ben.text("welcome")
    await cleo.text("welcome")
    await cleo.call("send_message", jid(group), "glad to be here")
    await anna.text("glad to be here")
    for method, args, seen in (
        ("set_group_name", ["Orchard"], "Name"),
        ("set_group_topic", ["", "", "apples"], "Topic"),
        ("set_group_announce", [True], "Announce"),
        ("set_group_locked", [True], "Locked"),
        ("set_disappearing_timer", [86400 * NANOSECONDS], "Ephemeral"),
    ):
        await anna.call(method, jid(group), *args)
        await ben.wait("GroupInfoEvent", lambda told, seen=seen: seen in told)
    picture = await anna.call("set_group_photo", jid(group), raw(b"\xff\xd8\xff and so on"))
    await ben.wait("Picture", lambda told: told["JID"]["User"] in group)
    shown = await ben.call("get_profile_picture", jid(group))
    assert shown["told"]["ID"] == picture
    info = (await ben.call("get_group_info", jid(group)))["told"]
    assert info["GroupName"]["Name"] == "Orchard"
    assert info["GroupTopic"]["Topic"] == "apples"
    assert info["GroupAnnounce"]["IsAnnounce"]
    assert info["GroupLocked"]["isLocked"]
    assert info["GroupEphemeral"]["DisappearingTimer"] == 86400
    with pytest.raises(LibraryError, match=r"401|403"):
        await ben.call("send_message", jid(group), "may I?")
    for method, args in (("set_group_name", ["Mine"]), ("set_group_announce", [False])):
        with pytest.raises(LibraryError, match="401"):
            await ben.call(method, jid(group), *args)
    for name, key in (("PROMOTE", "Promote"), ("DEMOTE", "Demote"), ("REMOVE", "Leave")):
        result = await anna.call("update_group_participants", jid(group), [jid(CLEO)], change(name))
        assert result[0]["told"].get("Error", 0) == 0
        await ben.wait("GroupInfoEvent", lambda told, key=key: key in told)
    again = await anna.call("update_group_participants", jid(group), [jid(CLEO)], change("REMOVE"))
    assert again[0]["told"]["Error"] == 404
    with pytest.raises(LibraryError, match=r"403|not participating"):
        await cleo.call("get_group_info", jid(group))


async def test_what_cannot_be_is_refused_by_its_number(town: Town) -> None:
    group = jid((await town.emulator.create_group(town.emulator.person(ANNA), "Rules")).truth.jid)
    nowhere = jid("120363999999999999@g.us")
    for method, args, number in (
        ("get_group_info", [nowhere], "404|does not exist"),
        ("set_group_name", [group, "x" * 101], "406"),
        ("set_group_topic", [group, "another's", "new", "words"], "409"),
    ):
        with pytest.raises(LibraryError, match=number):
            await town.anna.call(method, *args)


async def test_invites_are_shown_reset_previewed_and_followed(town: Town) -> None:
    anna, ben = town.anna, town.ben
    group = await town.emulator.create_group(town.emulator.person(ANNA), "Choir", [town.emulator.person(CLEO)])
    address = group.truth.jid
    with pytest.raises(LibraryError, match=r"permission|401"):
        await town.cleo.call("get_group_invite_link", jid(address))
    with pytest.raises(LibraryError, match=r"participat|403"):
        await ben.call("get_group_invite_link", jid(address))
    first = await anna.call("get_group_invite_link", jid(address))
    link = await anna.call("get_group_invite_link", jid(address), True)
    assert link != first
    assert link == f"https://chat.whatsapp.com/{group.truth.invite}"
    for stale in (first, "https://chat.whatsapp.com/AAAAAAAAAAAAAAAAAAAAAA"):
        with pytest.raises(LibraryError, match=r"revoked|invalid|not valid|expired"):
            await ben.call("get_group_info_from_link", stale)
    preview = (await ben.call("get_group_info_from_link", link))["told"]
    assert preview["GroupName"]["Name"] == "Choir"
    joined = await ben.call("join_group_with_link", link)
    assert f"{joined['told']['User']}@g.us" == address
    await ben.wait("JoinedGroup", lambda told: told["GroupInfo"]["GroupName"]["Name"] == "Choir")
    await anna.wait("GroupInfoEvent", lambda told: "Join" in told and told["JID"]["User"] in address)
    await ben.call("leave_group", jid(address))
    assert BEN not in group.truth.members
    await anna.wait("GroupInfoEvent", lambda told: "Leave" in told and told["JID"]["User"] in address)


async def test_a_private_person_comes_in_by_the_code_of_their_own(town: Town) -> None:
    group = await town.emulator.create_group(town.emulator.person(ANNA), "Club")
    private = await town.library.link("private", PRIVATE)
    results = await town.anna.call("update_group_participants", jid(group.truth.jid), [jid(PRIVATE)], change("ADD"))
    asked = results[0]["told"]["AddRequest"]
    named = (jid(group.truth.jid), jid(ANNA), asked["Code"], int(float(asked["Expiration"])))
    info = await private.call("get_group_info_from_invite", *named)
    assert info["told"]["GroupName"]["Name"] == "Club"
    await private.call("join_group_with_invite", *named)
    assert PRIVATE in group.truth.members


async def test_the_groups_of_a_session_are_listed_with_all_members(town: Town) -> None:
    group = await town.emulator.create_group(town.emulator.person(DORA), "Reading", [town.emulator.person(ANNA)])
    await town.anna.wait("JoinedGroup", lambda told: told["GroupInfo"]["GroupName"]["Name"] == "Reading")
    listed = await town.anna.call("get_joined_groups")
    found = next(each["told"] for each in listed if each["told"]["JID"]["User"] in group.truth.jid)
    people = {each["PhoneNumber"]["User"]: each for each in found["Participants"]}
    assert set(people) == {ANNA, DORA}
    assert people[DORA]["IsSuperAdmin"]
    assert people[ANNA]["LID"]["User"] == town.emulator.person(ANNA).lid.partition("@")[0]


async def test_who_comes_by_the_link_waits_where_admins_approve(town: Town) -> None:
    group = await town.emulator.create_group(town.emulator.person(ANNA), "Council")
    town.emulator.groups.approve_joins(group)
    await town.ben.call("join_group_with_link", f"https://chat.whatsapp.com/{group.truth.invite}")
    assert BEN not in group.truth.members
    asking = await town.anna.call("get_group_request_participants", jid(group.truth.jid))
    assert BEN in str(asking)
    await town.emulator.groups.change(group, ANNA, rules.approve, [f"{BEN}@s.whatsapp.net"])
    await town.ben.wait("JoinedGroup", lambda told: told["GroupInfo"]["GroupName"]["Name"] == "Council")


@pytest.mark.parametrize("by_number", [False, True])
async def test_members_write_read_and_type_however_they_address_one_another(town: Town, by_number: bool) -> None:
    people = [town.emulator.person(number) for number in (BEN, CLEO)]
    made = await town.emulator.create_group(town.emulator.person(ANNA), "Talk", people, by_number=by_number)
    group, words = made.truth.jid, f"by number {by_number}"
    sent = (await town.anna.call("send_message", jid(group), words))["told"]
    arrived = (await town.ben.text(words)).told["Info"]["MessageSource"]
    assert arrived["IsGroup"]
    assert arrived["Sender"]["Server"] == ("s.whatsapp.net" if by_number else "lid")
    await town.cleo.text(words)
    author = jid(f"{arrived['Sender']['User']}@{arrived['Sender']['Server']}")
    await town.ben.call("mark_read", sent["ID"], chat=jid(group), sender=author, receipt=enum("ReceiptType", "READ"))
    await town.anna.wait("Receipt", lambda told: sent["ID"] in told["MessageIDs"] and "READ" in str(told).upper())
    state, medium = (
        enum("ChatPresence", "CHAT_PRESENCE_COMPOSING"),
        enum("ChatPresenceMedia", "CHAT_PRESENCE_MEDIA_TEXT"),
    )
    await town.cleo.call("send_chat_presence", jid(group), state, medium)
    await town.anna.wait("ChatPresence", lambda told: told["MessageSource"]["Chat"]["User"] in group)


async def test_what_the_world_outside_does_is_told_without_an_author(town: Town) -> None:
    group = await town.emulator.create_group(town.emulator.person(DORA), "Outside", [town.emulator.person(ANNA)])
    town.emulator.person("99900000009").decline_groups()
    await town.emulator.groups.change(group, None, rules.promote, ANNA)
    await town.anna.wait("GroupInfoEvent", lambda told: "Promote" in told and told["JID"]["User"] in group.truth.jid)
    added = await town.anna.call("update_group_participants", jid(group.truth.jid), [jid("99900000009")], change("ADD"))
    assert added[0]["told"]["Error"] == 401
    refused = await town.anna.call("update_group_participants", jid(group.truth.jid), [jid(DORA)], change("REMOVE"))
    assert refused[0]["told"]["Error"] == 403
    await town.emulator.groups.change(group, None, rules.rename, "Renamed from outside")
    await town.anna.wait("GroupInfoEvent", lambda told: "Renamed from outside" in str(told))
