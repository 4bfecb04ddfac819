"""What every engine that performs group actions promises."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.engines import Sandbox, chosen, jid, members, near, settle, text, until
from wagate.engines.base import (
    Arrived,
    ChatMarked,
    Receipt,
)
from wagate.engines.sandbox.people import lid_of
from wagate.errors import BadRequest, NotAMember, NotFound, NotGroupAdmin, Refused, UnsupportedByEngine
from wagate.model.actions import (
    AddMembers,
    ApproveMembers,
    CheckContact,
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
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged

pytestmark = pytest.mark.anyio

ANN, BEN, CAT, DAN = "9990000001", "9990000002", "9990000003", "9990000004"
NOBODY = "9993000001"


async def test_actions_need_the_group_and_the_right(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    elsewhere = await world.group(BEN, [jid(CAT)])
    with pytest.raises(NotAMember):
        await connection.perform(SetSubject(group=elsewhere.group_jid, subject="mine"))
    with pytest.raises(NotAMember):
        await connection.perform(LeaveGroup(group="120363999999999999@g.us"))
    ours = (await world.group(BEN, [jid(ANN)])).group_jid
    for action in (
        SetAnnounce(group=ours, announce=True),
        SetLocked(group=ours, locked=True),
        GetInvite(group=ours),
        ResetInvite(group=ours),
        AddMembers(group=ours, people=[jid(CAT)]),
        RemoveMember(group=ours, person=jid(CAT)),
        PromoteMember(group=ours, person=jid(ANN)),
        DemoteMember(group=ours, person=jid(BEN)),
        ApproveMembers(group=ours, people=[jid(CAT)]),
        RejectMembers(group=ours, people=[jid(CAT)]),
        ListPending(group=ours),
    ):
        with pytest.raises(NotGroupAdmin if type(action) in world.engine.actions else UnsupportedByEngine):
            await connection.perform(action)
    with pytest.raises(Refused):
        await connection.send(text("W1", elsewhere.group_jid))
    with pytest.raises(BadRequest):
        await connection.perform(JoinGroup(code="nonsense"))
    with pytest.raises(BadRequest):
        await connection.perform(PreviewInvite(code="nonsense"))


async def test_a_made_group_is_stored_before_the_answer(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    made = await connection.perform(CreateGroup(subject="Team", people=[jid(BEN), jid(NOBODY)]))
    (group,) = sink.of(GroupSeen)
    assert (group.group_jid, group.subject) == (made.group_jid, "Team")
    assert members(group) == {ANN: "superadmin", BEN: "member"}
    assert made.participants == 2
    assert [each.group_jid for each in (await connection.snapshot()).groups] == [made.group_jid]


async def test_a_change_passes_the_sink_before_the_answer(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    group = (await connection.perform(CreateGroup(subject="Team", people=[jid(BEN)]))).group_jid
    sink.gate.clear()
    acting = asyncio.ensure_future(connection.perform(SetSubject(group=group, subject="Crew")))
    await settle()
    assert not acting.done()
    sink.gate.set()
    await acting
    assert sink.of(GroupChanged)[-1].subject == "Crew"


async def test_every_member_is_told(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(BEN)]))).group_jid
    await until(lambda: their_sink.of(GroupChanged))
    assert members(their_sink.of(GroupSeen)[0]) == {ANN: "superadmin", BEN: "member"}
    assert their_sink.of(GroupChanged)[0].reason == "added"
    await theirs.close()
    await ours.perform(SetAnnounce(group=group, announce=True))
    await ours.perform(AddMembers(group=group, people=[jid(CAT)]))
    await ours.perform(PromoteMember(group=group, person=jid(CAT)))
    again, later = await world.open("s2", jid=jid(BEN))
    await again.connect()
    await until(lambda: len(later.reports) == 3)
    assert later.of(GroupChanged)[0].is_announce is True
    assert [(each.change, each.sender) for each in later.of(MembersChanged)] == [
        ("join", jid(ANN)),
        ("promote", jid(ANN)),
    ]
    assert len(our_sink.of(MembersChanged)) == 3


async def test_invites_lead_in_until_they_are_reset(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(CAT)]))).group_jid
    stale = (await ours.perform(GetInvite(group=group))).invite
    fresh = (await ours.perform(ResetInvite(group=group))).invite
    assert stale != fresh
    with pytest.raises(BadRequest):
        await theirs.perform(JoinGroup(code=stale.rpartition("/")[2]))
    code = fresh.rpartition("/")[2]
    assert (await theirs.perform(JoinGroup(code=code))).group_jid == group
    assert (await theirs.perform(JoinGroup(code=code))).group_jid == group
    assert members(sink.of(GroupSeen)[0]) == {ANN: "superadmin", CAT: "member", BEN: "member"}
    assert [change.reason for change in sink.of(GroupChanged)] == ["invite"]


async def test_leaving_is_told_to_who_left(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(BEN)]))).group_jid
    await theirs.perform(LeaveGroup(group=group))
    left = their_sink.of(MembersChanged)[-1]
    assert (left.change, left.self_left) == ("leave", True)
    await until(lambda: our_sink.of(MembersChanged)[-1].change == "leave")
    assert not our_sink.of(MembersChanged)[-1].self_left
    with pytest.raises(NotAMember):
        await theirs.perform(LeaveGroup(group=group))
    assert (await theirs.snapshot()).groups == []


async def test_a_message_to_a_group_reaches_every_member(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    _, their_sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(BEN), jid(CAT), jid(DAN)]))).group_jid
    sent = chosen(world, await ours.send(text("W1", group)), "W1")
    await until(lambda: their_sink.of(Arrived))
    assert (their_sink.of(Arrived)[0].chat, their_sink.of(Arrived)[0].sender) == (group, jid(ANN))
    assert {copy.recipient for copy in await world.shown(sent)} == {jid(BEN), jid(CAT), jid(DAN)}
    await world.pass_time(1)
    await until(lambda: len(our_sink.of(Receipt)) == 5)
    told = {(receipt.chat, receipt.sender, receipt.status) for receipt in our_sink.of(Receipt)}
    assert told == {
        (group, jid(BEN), "delivered"),
        (group, jid(CAT), "delivered"),
        (group, jid(CAT), "read"),
        (group, jid(DAN), "delivered"),
        (group, jid(DAN), "read"),
    }


async def test_an_invite_shows_its_group_until_it_is_reset(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(CAT)]))).group_jid
    code = (await ours.perform(GetInvite(group=group))).invite.rpartition("/")[2]
    seen = await theirs.perform(PreviewInvite(code=code))
    assert (seen.group_jid, seen.subject, seen.owner_jid) == (group, "Team", jid(ANN))
    # How many there are not every library hands on.
    assert (seen.participant_count or 2) == 2
    assert not seen.description
    near(world, seen.created_at_wa, world.clock.now())
    await ours.perform(SetDescription(group=group, description="words"))
    assert (await theirs.perform(PreviewInvite(code=code))).description == "words"
    await ours.perform(ResetInvite(group=group))
    with pytest.raises(BadRequest):
        await theirs.perform(PreviewInvite(code=code))
    assert sink.reports == []


async def test_who_asks_waits_until_an_admin_decides(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    made = await world.group(ANN, [jid(DAN)], approve_joins=True)
    group = made.group_jid
    assert (await world.truth(group)).approves_joins
    decides = {ApproveMembers, RejectMembers} <= world.engine.actions
    for action in (ApproveMembers, RejectMembers):
        with pytest.raises(NotFound if decides else UnsupportedByEngine):
            await ours.perform(action(group=group, people=[jid(BEN)]))
    for _ in range(2):
        asked = await theirs.perform(JoinGroup(code=made.invite.rpartition("/")[2]))
        assert (asked.group_jid, asked.pending) == (group, True)
    # A client learns somebody's LID when it looks their number up.
    await ours.perform(CheckContact(phone=BEN))
    at = world.clock.now()
    await world.pass_time(1)
    await world.move(group, CAT, "request")
    first, second = await ours.perform(ListPending(group=group))
    assert (first.jid, first.lid, second.jid) == (jid(BEN), lid_of(BEN), jid(CAT))
    near(world, first.requested_at, at)
    near(world, second.requested_at, world.clock.now())
    if not decides:
        # Somebody does it on a phone.
        await world.approve(group, BEN)
    else:
        await ours.perform(RejectMembers(group=group, people=[jid(CAT)]))
        assert (await world.truth(group)).pending == [jid(BEN)]
        await ours.perform(ApproveMembers(group=group, people=[lid_of(BEN)]))
    await until(lambda: their_sink.of(GroupChanged))
    assert members(their_sink.of(GroupSeen)[0]) == {ANN: "superadmin", DAN: "member", BEN: "member"}
    # That it was asked for not every library tells.
    assert [change.reason for change in their_sink.of(GroupChanged)] == ["approved" if decides else "added"]
    await until(lambda: our_sink.of(MembersChanged)[-1].people[0].person.jid == jid(BEN))
    assert our_sink.of(MembersChanged)[-1].change == "join"
    left = await ours.perform(ListPending(group=group))
    assert [each.jid for each in left] == ([] if decides else [jid(CAT)])


async def test_a_picture_is_shown_to_every_member(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(BEN)]))).group_jid
    await world.file("med_1")
    with pytest.raises(NotFound):
        await theirs.perform(GetPicture(jid=group))
    picture = (await theirs.perform(SetGroupPicture(group=group, media="med_1"))).id
    assert their_sink.of(ChatMarked) == [ChatMarked(chat=group, picture_id=picture)]
    assert (await ours.perform(GetPicture(jid=group))).id == picture
    assert (await world.truth(group)).picture_id == picture
    await until(lambda: our_sink.of(ChatMarked))
    # Not every library tells others which picture it is.
    assert [bool(each.picture_id) for each in our_sink.of(ChatMarked)] == [True]
    if DeleteGroupPicture not in world.engine.actions:
        with pytest.raises(UnsupportedByEngine):
            await ours.perform(DeleteGroupPicture(group=group))
        await world.undress(group, ANN)
    else:
        await ours.perform(DeleteGroupPicture(group=group))
        await ours.perform(DeleteGroupPicture(group=group))
    for sink in (our_sink, their_sink):
        await until(lambda sink=sink: len(sink.of(ChatMarked)) == 2)  # type: ignore[misc]
        assert sink.of(ChatMarked)[1] == ChatMarked(chat=group, picture_removed=True)
    with pytest.raises(NotFound):
        await theirs.perform(GetPicture(jid=group))
