"""Groups through the engine: every action and refusal, and what all members are told, each change once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import asdict, replace

from tests.emulator.groups import Gathering
from tests.emulator.nodes import Node, parse
from tests.support.company import ANN, BEN, CAT, DAN, NOBODY, PRIVATE, Company, Somebody
from tests.support.engines import jid, members
from tests.support.files import JPEG
from tests.support.whatsapp import why_not
from wagate.engines.base import ChatMarked, Receipt
from wagate.engines.sandbox import rules
from wagate.engines.sandbox.people import lid_of
from wagate.errors import BadRequest, NotAMember, NotFound, NotGroupAdmin, Refused, UnsupportedByEngine
from wagate.model.actions import (
    Action,
    AddMembers,
    ApproveMembers,
    CreateGroup,
    DeleteGroupPicture,
    DemoteMember,
    GetInvite,
    GetPicture,
    JoinGroup,
    LeaveGroup,
    ListPending,
    PreviewInvite,
    PromoteMember,
    RejectMembers,
    RemoveMember,
    ResetInvite,
    SetAnnounce,
    SetDescription,
    SetGroupPicture,
    SetLocked,
    SetSubject,
)
from wagate.model.contents import TextContent
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged, Participant

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def team(company: Company, **more: Any) -> str:
    """A group of Ann's with Ben and Cat; everybody has heard of it, and forgotten."""
    person = company.emulator.person
    group = str((await company.emulator.create_group(person(ANN), "Team", [person(BEN), person(CAT)], **more)).jid)
    for each in (company.ann, company.tablet, company.ben, company.cat):
        await each.hears(GroupChanged, lambda report: report.group_jid == group)
    company.forget()
    return group


def told_of(somebody: Somebody, group: str) -> list[Any]:
    """What somebody heard of a group."""
    return [each for each in somebody.sink.reports if getattr(each, "group_jid", None) == group]


def people(report: MembersChanged) -> list[str]:
    """Whom a change is about."""
    return [str(each.person.jid) for each in report.people]


async def test_actions_need_the_group_and_the_right(company: Company) -> None:
    person = company.emulator.person
    elsewhere = str((await company.emulator.create_group(person(DAN), "Other", [person(CAT)])).jid)
    with pytest.raises(NotAMember):
        await company.ben.do(SetSubject(group=elsewhere, subject="mine"))
    for group in (elsewhere, "120363999999999999@g.us"):
        with pytest.raises(NotAMember):
            await company.ben.do(LeaveGroup(group=group))
        with pytest.raises(Refused) as caught:
            await company.ben.say(TextContent(text="let me in"), group)
        assert caught.value.details["certain"]
    ours = await team(company)
    refused: list[Action] = [
        SetAnnounce(group=ours, announce=True),
        SetLocked(group=ours, locked=True),
        GetInvite(group=ours),
        ResetInvite(group=ours),
        AddMembers(group=ours, people=[jid(DAN)]),
        RemoveMember(group=ours, person=jid(CAT)),
        PromoteMember(group=ours, person=jid(BEN)),
        PromoteMember(group=ours, person=jid(DAN)),
        DemoteMember(group=ours, person=jid(ANN)),
        DemoteMember(group=ours, person=jid(BEN)),
        ListPending(group=ours),
    ]
    for action in refused:
        with pytest.raises(NotGroupAdmin):
            await company.ben.do(action)
    for unknown in (
        ApproveMembers(group=ours, people=[jid(CAT)]),
        RejectMembers(group=ours, people=[jid(CAT)]),
        DeleteGroupPicture(group=ours),
    ):
        assert type(unknown) not in company.world.engine.actions
        with pytest.raises(UnsupportedByEngine):
            await company.ann.do(unknown)
    for asked in (JoinGroup(code="nonsense"), PreviewInvite(code="nonsense")):
        with pytest.raises(BadRequest):
            await company.ben.do(asked)
    assert told_of(company.ann, ours) == []


async def test_a_made_group_is_told_once_to_each_and_skips_who_cannot_be_added(company: Company) -> None:
    asked = CreateGroup(subject="Crew", people=[jid(BEN), jid(NOBODY), jid(PRIVATE)])
    made = await company.ann.do(asked)
    assert (made.subject, made.owner_jid, made.participants) == ("Crew", jid(ANN), 2)
    for somebody, reason in ((company.ann, "created"), (company.tablet, "created"), (company.ben, "added")):
        await somebody.hears(GroupChanged, lambda report: report.group_jid == made.group_jid)
        # A second telling would come with what comes later.
        await company.ann.do(SetSubject(group=made.group_jid, subject=f"Crew {somebody.number} {reason}"))
        await somebody.hears(GroupChanged, lambda report: bool(report.subject))
        seen, joined, changed, *_ = told_of(somebody, made.group_jid)
        assert isinstance(seen, GroupSeen)
        assert members(seen) == {ANN: "superadmin", BEN: "member"}
        assert {each.person.lid for each in seen.members} == {lid_of(ANN), lid_of(BEN)}
        assert isinstance(joined, MembersChanged)
        assert (joined.change, people(joined), joined.sender) == ("join", [jid(BEN)], jid(ANN))
        assert (changed.reason, changed.sender) == (reason, jid(ANN))
    assert len(company.ann.sink.of(GroupSeen)) == len(company.ben.sink.of(GroupSeen)) == 1
    snapshot = await company.ann.connection.snapshot()
    assert made.group_jid in [group.group_jid for group in snapshot.groups]


async def test_each_setting_is_told_once_whoever_changed_it(company: Company) -> None:
    group = await team(company)
    await company.ann.do(SetSubject(group=group, subject="Crew"))
    await company.ann.do(SetDescription(group=group, description="What we do"))
    await company.ann.do(SetDescription(group=group, description=""))
    await company.ann.do(SetAnnounce(group=group, announce=True))
    await company.ann.do(SetLocked(group=group, locked=True))
    fresh = (await company.ann.do(ResetInvite(group=group))).invite
    assert (await company.ann.do(GetInvite(group=group))).invite == fresh
    with pytest.raises(NotGroupAdmin) as caught:
        await company.ben.say(TextContent(text="may I?"), group)
    assert caught.value.details["certain"]
    gathering = _gathering(company, group)
    await company.emulator.groups.change(gathering, None, rules.rename, "By somebody else")
    for somebody in (company.ann, company.tablet, company.ben):
        await somebody.hears(GroupChanged, lambda report: report.subject == "By somebody else")
        said = [
            {name: value for name, value in asdict(each).items() if value is not UNSET} | {"timestamp": 0}
            for each in somebody.sink.of(GroupChanged)
        ]
        ours = {"group_jid": group, "timestamp": 0, "sender": jid(ANN)}
        assert said == [
            ours | {"subject": "Crew"},
            ours | {"description": "What we do"},
            ours | {"description": ""},
            ours | {"is_announce": True},
            ours | {"is_locked": True},
            ours | {"new_invite_link": fresh},
            {"group_jid": group, "timestamp": 0, "subject": "By somebody else"},
        ]


async def test_members_come_go_rise_and_fall_with_a_result_for_each(company: Company) -> None:
    group = await team(company)
    asked = [jid(DAN), jid(BEN), jid(NOBODY), jid(PRIVATE)]
    added = (await company.ann.do(AddMembers(group=group, people=asked))).results
    results = {each.jid: (each.status, each.wa_code) for each in added}
    assert results == {
        jid(DAN): ("added", 200),
        jid(BEN): ("already_member", 409),
        jid(NOBODY): ("not_on_whatsapp", 404),
        jid(PRIVATE): ("invite_required", 403),
    }
    (invited,) = [each for each in added if each.invite]
    assert invited.invite
    assert invited.invite.code
    await company.ann.do(PromoteMember(group=group, person=jid(DAN)))
    await company.ann.do(PromoteMember(group=group, person=jid(DAN)))
    with pytest.raises(NotFound):
        await company.ann.do(PromoteMember(group=group, person=jid(PRIVATE)))
    await company.ann.do(DemoteMember(group=group, person=jid(DAN)))
    await company.ann.do(DemoteMember(group=group, person=jid(DAN)))
    await company.ann.do(RemoveMember(group=group, person=jid(DAN)))
    await company.ann.do(RemoveMember(group=group, person=jid(DAN)))
    await company.ann.do(SetSubject(group=group, subject="the end"))
    for somebody in (company.ann, company.tablet, company.ben):
        await somebody.hears(GroupChanged, lambda report: report.subject == "the end")
        moved = somebody.sink.of(MembersChanged)
        assert [each.change for each in moved] == ["join", "promote", "demote", "leave"]
        assert all(people(each) == [jid(DAN)] and each.sender == jid(ANN) for each in moved)
        assert moved[1].people == [Participant(person=moved[1].people[0].person, role="admin")]
        assert all(each.people[0].person.lid == lid_of(DAN) for each in moved)
        assert not any(each.self_left for each in moved)


async def test_an_invite_leads_in_until_it_is_reset_and_leaving_leads_out(company: Company) -> None:
    person = company.emulator.person
    group = str((await company.emulator.create_group(person(ANN), "Open", [person(CAT)])).jid)
    stale = (await company.ann.do(GetInvite(group=group))).invite.rpartition("/")[2]
    code = (await company.ann.do(ResetInvite(group=group))).invite.rpartition("/")[2]
    for asked in (JoinGroup(code=stale), PreviewInvite(code=stale)):
        with pytest.raises(BadRequest):
            await company.ben.do(asked)
    preview = await company.ben.do(PreviewInvite(code=code))
    assert (preview.group_jid, preview.subject, preview.owner_jid) == (group, "Open", jid(ANN))
    joined = await company.ben.do(JoinGroup(code=code))
    assert (joined.group_jid, bool(joined.pending)) == (group, False)
    assert [type(each) for each in told_of(company.ben, group)] == [GroupSeen, MembersChanged, GroupChanged]
    assert members(company.ben.sink.of(GroupSeen)[0])[BEN] == "member"
    assert company.ben.sink.of(GroupChanged)[0].reason == "invite"
    came = await company.ann.hears(MembersChanged, lambda report: people(report) == [jid(BEN)])
    assert (people(came), came.sender) == ([jid(BEN)], jid(BEN))
    await company.ben.do(LeaveGroup(group=group))
    left = company.ben.sink.of(MembersChanged)[-1]
    assert (left.change, left.self_left, people(left)) == ("leave", True, [jid(BEN)])
    seen = await company.ann.hears(MembersChanged, lambda report: report.change == "leave")
    assert (seen.self_left, people(seen)) == (False, [jid(BEN)])
    with pytest.raises(NotAMember):
        await company.ben.do(LeaveGroup(group=group))
    # Once more by an admin's hand, and out by an admin's hand: no way back by the link.
    await company.ann.do(AddMembers(group=group, people=[jid(BEN)]))
    await company.ben.hears(GroupChanged, lambda report: report.reason == "added")
    await company.ann.do(RemoveMember(group=group, person=jid(BEN)))
    removed = await company.ben.hears(MembersChanged, lambda report: report.sender == jid(ANN) and report.self_left)
    assert people(removed) == [jid(BEN)]
    with pytest.raises(Refused):
        await company.ben.do(JoinGroup(code=code))
    assert len([each for each in company.ben.sink.of(MembersChanged) if each.self_left]) == 2


async def test_who_asks_to_come_is_listed_and_waits(company: Company) -> None:
    person = company.emulator.person
    gathering = await company.emulator.create_group(person(ANN), "Closed", [person(CAT)])
    gathering.truth = replace(gathering.truth, approves=True)
    code = (await company.ann.do(GetInvite(group=str(gathering.jid)))).invite.rpartition("/")[2]
    await company.ann.say(TextContent(text="so that the LID is known"), BEN)
    assert (await company.ben.do(JoinGroup(code=code))).pending
    (asking,) = await company.ann.do(ListPending(group=str(gathering.jid)))
    assert (asking.jid, asking.lid) == (jid(BEN), lid_of(BEN))
    assert company.ben.sink.of(GroupSeen) == []


async def test_a_group_that_is_no_more_has_been_left(company: Company) -> None:
    person = company.emulator.person
    gathering = await company.emulator.create_group(person(ANN), "Soon gone", [person(CAT)])
    group = str(gathering.jid)
    await company.cat.hears(GroupSeen, lambda report: report.group_jid == group)
    gone = {"type": "w:gp2", "from": gathering.jid, "participant": parse(lid_of(ANN))}
    await company.emulator.notify(person(CAT).account, gone, [Node("delete", {"reason": "suspended"})])
    left = await company.cat.hears(MembersChanged, lambda report: report.change == "leave")
    assert (left.group_jid, left.self_left, left.sender) == (group, True, jid(ANN))
    assert [each.person.jid for each in left.people] == [jid(CAT)]


async def test_a_picture_is_set_told_once_and_looked_at(company: Company) -> None:
    group = await team(company)
    with pytest.raises(NotFound):
        await company.ann.do(GetPicture(jid=group))
    await company.world.files.put("med_p", [JPEG])
    done = await company.ann.do(SetGroupPicture(group=group, media="med_p"))
    assert company.ann.sink.of(ChatMarked)[0] == ChatMarked(chat=group, picture_id=done.id)
    await company.ben.hears(ChatMarked, lambda report: report.chat == group)
    picture = await company.ben.do(GetPicture(jid=group))
    assert picture.id == done.id
    assert picture.url
    await company.ann.do(SetSubject(group=group, subject="the end"))
    await company.ann.hears(GroupChanged)
    assert len(company.ann.sink.of(ChatMarked)) == 1


async def test_each_member_tells_how_far_a_message_came(company: Company) -> None:
    group = await team(company)
    ack = await company.ann.say(TextContent(text="read this"), group)
    for somebody in (company.ben, company.cat):
        await somebody.gets(ack)
        await somebody.connection.read(group, jid(ANN), [ack.wire_id])
        for status in ("delivered", "read"):
            await company.ann.hears(
                Receipt,
                lambda report, status=status, who=somebody.jid: (  # type: ignore[misc]
                    (report.chat, report.wire_ids, report.status, report.sender) == (group, [ack.wire_id], status, who)
                ),
            )


def _gathering(company: Company, group: str) -> Gathering:
    found = company.emulator.groups.get(parse(group))
    assert found is not None
    return found
