"""Actions on groups: from ours to the library's calls, and what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp.addresses import as_written_in, both_known, by_text, called, parsed, text_of, to_library
from wagate.engines.whatsapp.groups import came, participant, seen
from wagate.engines.whatsapp.inbound import millis
from wagate.engines.whatsapp.line import Line
from wagate.engines.whatsapp.refusals import Complaint
from wagate.errors import BadRequest, NotFound, NotGroupAdmin, Refused
from wagate.model import actions
from wagate.model.chats import ChatMarked
from wagate.model.groups import (
    AddResult,
    AddResults,
    AddStatus,
    CreatedGroup,
    DirectInvite,
    GroupChanged,
    GroupSeen,
    Invite,
    InvitePreview,
    Joined,
    MembersChanged,
    Participant,
    PendingMember,
    PictureSet,
    Role,
)

_ADDING: dict[int, AddStatus] = {
    0: "added",
    200: "added",
    401: "declined",
    403: "invite_required",
    404: "not_on_whatsapp",
    408: "declined",
    409: "already_member",
}


async def create(line: Line, action: actions.CreateGroup) -> CreatedGroup:
    """Make a group; those who cannot be added are skipped."""
    messages = line.library.messages
    request = messages.ReqCreateGroup(
        name=action.subject,
        Participants=[parsed(messages, each) for each in action.people],
        CreateKey=secrets.token_hex(16),
    ).SerializeToString()
    made = await line.call("CreateGroup", request, len(request), returns="GetGroupInfoReturnFunction")
    group = await asyncio.to_thread(seen, line, made.GroupInfo)
    line.keep(came(line, group, sender=line.own_jid, reason="created", everybody=True))
    return CreatedGroup(
        group_jid=group.group_jid,
        subject=group.subject,
        owner_jid=_owner(group),
        participants=len(group.members),
        is_announce=group.is_announce,
        is_locked=group.is_locked,
    )


async def set_subject(line: Line, action: actions.SetSubject) -> None:
    """Rename."""
    await _tell(line, "SetGroupName", action.group, action.subject.encode())
    _changed(line, action.group, subject=action.subject)


async def set_description(line: Line, action: actions.SetDescription) -> None:
    """Describe; the library finds out which description it replaces."""
    await _tell(line, "SetGroupTopic", action.group, b"", b"", action.description.encode())
    _changed(line, action.group, description=action.description)


async def set_announce(line: Line, action: actions.SetAnnounce) -> None:
    """Who may send."""
    await _tell(line, "SetGroupAnnounce", action.group, action.announce)
    _changed(line, action.group, is_announce=action.announce)


async def set_locked(line: Line, action: actions.SetLocked) -> None:
    """Who may change the group's looks."""
    await _tell(line, "SetGroupLocked", action.group, action.locked)
    _changed(line, action.group, is_locked=action.locked)


async def get_invite(line: Line, action: actions.GetInvite) -> Invite:
    """The link."""
    return await _invite(line, action.group, reset=False)


async def reset_invite(line: Line, action: actions.ResetInvite) -> Invite:
    """A new link."""
    invite = await _invite(line, action.group, reset=True)
    _changed(line, action.group, new_invite_link=invite.invite)
    return invite


async def add(line: Line, action: actions.AddMembers) -> AddResults:
    """Add people; each has a result, in the order of the request where the network gives it."""
    found = await _update(line, action.group, action.people, b"add")
    results = await asyncio.to_thread(lambda: [_result(line, each) for each in found])
    came = [each for each, result in zip(found, results, strict=True) if result.status == "added"]
    await _moved(line, action.group, "join", came)
    return AddResults(results=results)


async def remove(line: Line, action: actions.RemoveMember) -> None:
    """Take somebody out; nothing if they are not in."""
    await _move(line, action.group, action.person, "leave", b"remove")


async def promote(line: Line, action: actions.PromoteMember) -> None:
    """Make somebody an admin; nothing if they are one.

    Raises:
        NotFound: they are not in the group.
    """
    member = await _member(line, action.group, action.person)
    if member is None:
        await _must_be_admin(line, action.group)
        raise NotFound("not a member of the group")
    if member.role == "member":
        await _move(line, action.group, action.person, "promote", b"promote")
    else:
        await _must_be_admin(line, action.group)


async def demote(line: Line, action: actions.DemoteMember) -> None:
    """Make an admin a member; nothing if they are one."""
    member = await _member(line, action.group, action.person)
    if member is None or member.role == "member":
        await _must_be_admin(line, action.group)
    else:
        await _move(line, action.group, action.person, "demote", b"demote")


async def pending(line: Line, action: actions.ListPending) -> list[PendingMember]:
    """Who asks to join."""
    group = to_library(line.library.messages, action.group)
    found = await line.call(
        "GetGroupRequestParticipants", group, len(group), returns="GetGroupRequestParticipantsReturnFunction"
    )  # fmt: skip
    return await asyncio.to_thread(lambda: [_asking(line, each) for each in found.Participants])


def _asking(line: Line, each: Any) -> PendingMember:
    who = both_known(line, each.Participant)
    asked = each.TimeAt // 1000 if each.TimeAt > 10**14 else millis(each.TimeAt)
    return PendingMember(jid=who.jid or who.lid or "", requested_at=asked, lid=who.lid)


async def preview(line: Line, action: actions.PreviewInvite) -> InvitePreview:
    """What an invite leads to.

    Raises:
        BadRequest: nowhere (any more).
    """
    with _an_invite():
        found = await line.call("GetGroupInfoFromLink", action.code.encode(), returns="GetGroupInfoReturnFunction")
    group = await asyncio.to_thread(seen, line, found.GroupInfo)
    return InvitePreview(
        group_jid=group.group_jid,
        subject=group.subject,
        participant_count=len(group.members) or UNSET,
        description=group.description or UNSET,
        owner_jid=_owner(group),
        created_at_wa=group.created_at_wa,
    )


async def join(line: Line, action: actions.JoinGroup) -> Joined:
    """Join by an invite's code.

    Raises:
        BadRequest: it leads nowhere (any more).
        Refused: the account may not come.
    """
    code = action.code.encode()
    with _an_invite():
        led = await line.call("GetGroupInfoFromLink", code, returns="GetGroupInfoReturnFunction")
        jid = text_of(led.GroupInfo.JID)
        # What coming in again is answered with nobody says: who is in already is left as they are.
        if await _inside(line, jid) is not None:
            return Joined(group_jid=jid)
        await line.call("JoinGroupWithLink", code, returns="JoinGroupWithLinkReturnFunction")
    group = await _inside(line, jid)
    if group is None:
        return Joined(group_jid=jid, pending=True)
    line.keep(came(line, group, sender=line.own_jid, reason="invite", everybody=False))
    return Joined(group_jid=jid)


async def _inside(line: Line, group: str) -> GroupSeen | None:
    """A group as it is now, if this account is in it."""
    try:
        return await look_at(line, group)
    except Complaint as complaint:
        if complaint.code in (401, 403, 404):
            return None
        raise


@contextlib.contextmanager
def _an_invite() -> Iterator[None]:
    try:
        yield
    except Complaint as complaint:
        if complaint.code in (400, 404, 406, 410):
            raise BadRequest.field("invite", "leads to no group (any more)") from None
        if complaint.code == 401:
            raise Refused(reason="removed_earlier", waCode=401) from None
        if complaint.code == 419:
            raise Refused(reason="group_full", waCode=419) from None
        raise


async def leave(line: Line, action: actions.LeaveGroup) -> None:
    """Leave."""
    # The library takes the refusal of this request for success: whether there is a group to leave is asked first.
    await look_at(line, action.group)
    await _tell(line, "LeaveGroup", action.group)
    me = Participant(person=line.me, role="member")
    _keep_moved(line, action.group, "leave", [me], self_left=True)


async def set_picture(line: Line, action: actions.SetGroupPicture, file: str | None) -> PictureSet:
    """A new picture, a JPEG at this path."""
    if file is None:
        raise NotFound("the picture's bytes are not there")
    octets = await asyncio.to_thread(Path(file).read_bytes)
    group = to_library(line.library.messages, action.group)
    done = await line.call(
        "SetGroupPhoto", group, len(group), octets, len(octets), returns="SetGroupPhotoReturnFunction"
    )  # fmt: skip
    line.keep([ChatMarked(chat=action.group, picture_id=done.PictureID)])
    return PictureSet(id=done.PictureID)


async def look_at(line: Line, group: str) -> GroupSeen:
    """A group as it is now."""
    encoded = to_library(line.library.messages, group)
    found = await line.call("GetGroupInfo", encoded, len(encoded), returns="GetGroupInfoReturnFunction")
    return await asyncio.to_thread(seen, line, found.GroupInfo)


async def _invite(line: Line, group: str, *, reset: bool) -> Invite:
    encoded = to_library(line.library.messages, group)
    found = await line.call(
        "GetGroupInviteLink", encoded, len(encoded), reset, returns="GetGroupInviteLinkReturnFunction"
    )  # fmt: skip
    return Invite(invite=found.InviteLink)


async def _tell(line: Line, name: str, group: str, *what: Any) -> None:
    encoded = to_library(line.library.messages, group)
    await line.call(name, encoded, len(encoded), *what)


async def _update(line: Line, group: str, people: list[str], how: bytes) -> list[Any]:
    messages = line.library.messages
    encoded = to_library(messages, group)
    whom = messages.JIDArray(JIDS=[parsed(messages, each) for each in people]).SerializeToString()
    done = await line.call(
        "UpdateGroupParticipants", encoded, len(encoded), whom, len(whom), how,
        returns="UpdateGroupParticipantsReturnFunction",
    )  # fmt: skip
    return list(done.participants)


async def _move(line: Line, group: str, person: str, change: Any, how: bytes) -> None:
    # As the members address one another: that is how the network knows them there.
    found = await _update(line, group, [await asyncio.to_thread(as_written_in, line, group, person)], how)
    refused = [each.Error for each in found if each.Error not in (0, 200, 404, 409)]
    if refused:
        raise (NotGroupAdmin if refused[0] in (401, 403) else Refused)(waCode=refused[0])
    await _moved(line, group, change, [each for each in found if each.Error in (0, 200)])


async def _member(line: Line, group: str, address: str) -> Participant | None:
    """Somebody as they are in the group now."""
    members = (await look_at(line, group)).members
    who = await asyncio.to_thread(by_text, line, address)
    return next((each for each in members if address in _both(each) or (who.jid and who.jid in _both(each))), None)


def _both(member: Participant) -> tuple[Any, Any]:
    return member.person.jid, member.person.lid


async def _must_be_admin(line: Line, group: str) -> None:
    """Where there is nothing to do, the network is not asked: the right to do it is looked at here."""
    own = await _member(line, group, line.own_jid)
    if own is None or own.role == "member":
        raise NotGroupAdmin


def _result(line: Line, each: Any) -> AddResult:
    status = _ADDING.get(each.Error, "failed")
    invite: Any = UNSET
    if each.AddRequest.Code:
        invite = DirectInvite(code=each.AddRequest.Code, expires_at=millis(int(each.AddRequest.Expiration)))
    return AddResult(
        jid=called(line, each.PhoneNumber, each.JID, each.LID),
        status=status,
        wa_code=each.Error or 200,
        invite=invite if status == "invite_required" else UNSET,
    )


def _changed(line: Line, group: str, **what: Any) -> None:
    line.keep([GroupChanged(group_jid=group, timestamp=_now(), sender=line.own_jid, **what)])


async def _moved(line: Line, group: str, change: Any, moved: list[Any]) -> None:
    """These participants, as the network answered, came, went, rose or fell."""
    people = await asyncio.to_thread(lambda: [_whole(line, participant(line, each)) for each in moved])
    _keep_moved(line, group, change, people)


def _whole(line: Line, member: Participant) -> Participant:
    """With both addresses, where the answer names one."""
    who = member.person
    if who.lid or not who.jid:
        return member
    return msgspec.structs.replace(member, person=both_known(line, parsed(line.library.messages, who.jid)))


def _keep_moved(
    line: Line, group: str, change: Any, people: list[Participant], *, self_left: bool = False
) -> None:  # fmt: skip
    if not people:
        return
    if change in ("promote", "demote"):
        role: Role = "admin" if change == "promote" else "member"
        people = [msgspec.structs.replace(each, role=role) for each in people]
    moved: base.Report = MembersChanged(
        group_jid=group, timestamp=_now(), change=change, people=people, sender=line.own_jid, self_left=self_left
    )
    line.keep([moved])


def _owner(group: GroupSeen) -> Any:
    return UNSET if group.owner is UNSET else group.owner.jid or group.owner.lid or UNSET


def _now() -> int:
    return int(time.time() * 1000)
