"""Actions on groups: from ours to the library's calls, and what came of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp.addresses import known_as, person_of, text_of, to_library
from wagate.engines.whatsapp.groups import participant, seen
from wagate.engines.whatsapp.inbound import millis
from wagate.engines.whatsapp.line import Line
from wagate.engines.whatsapp.refusals import Complaint
from wagate.errors import Refused
from wagate.model import actions
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
)

_ADDING: dict[int, AddStatus] = {
    0: "added",
    200: "added",
    403: "invite_required",
    404: "not_on_whatsapp",
    408: "declined",
    409: "already_member",
}


async def create(line: Line, action: actions.CreateGroup) -> CreatedGroup:
    """Make a group; those who cannot be added are skipped."""
    messages = line.library.messages
    key = await line.call("GenerateMessageID")
    request = messages.ReqCreateGroup(
        name=action.subject, Participants=[_jid(line, person) for person in action.people], CreateKey=key.decode()
    ).SerializeToString()
    made = await line.call("CreateGroup", request, len(request), returns="GetGroupInfoReturnFunction")
    group = seen(made.GroupInfo)
    line.keep([group])
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
    results = [_result(each) for each in found]
    came = [participant(each) for each in found if _ADDING.get(each.Error) == "added"]
    _moved(line, action.group, "join", came)
    return AddResults(results=results)


async def remove(line: Line, action: actions.RemoveMember) -> None:
    """Take somebody out."""
    await _move(line, action.group, action.person, "leave", b"remove")


async def promote(line: Line, action: actions.PromoteMember) -> None:
    """Make somebody an admin."""
    await _move(line, action.group, action.person, "promote", b"promote")


async def demote(line: Line, action: actions.DemoteMember) -> None:
    """Make an admin a member."""
    await _move(line, action.group, action.person, "demote", b"demote")


async def pending(line: Line, action: actions.ListPending) -> list[PendingMember]:
    """Who asks to join."""
    group = to_library(line.library.messages, action.group)
    found = await line.call(
        "GetGroupRequestParticipants", group, len(group), returns="GetGroupRequestParticipantsReturnFunction"
    )  # fmt: skip
    return [
        PendingMember(
            jid=text_of(each.Participant),
            requested_at=each.TimeAt // 1000 if each.TimeAt > 10**14 else millis(each.TimeAt),
            lid=person_of(each.Participant).lid,
        )
        for each in found.Participants
    ]


async def preview(line: Line, action: actions.PreviewInvite) -> InvitePreview:
    """What an invite leads to."""
    found = await line.call("GetGroupInfoFromLink", action.code.encode(), returns="GetGroupInfoReturnFunction")
    group = seen(found.GroupInfo)
    return InvitePreview(
        group_jid=group.group_jid,
        subject=group.subject,
        participant_count=len(group.members) or UNSET,
        description=group.description or UNSET,
        owner_jid=_owner(group),
        created_at_wa=group.created_at_wa,
    )


async def join(line: Line, action: actions.JoinGroup) -> Joined:
    """Join by an invite's code."""
    found = await line.call("JoinGroupWithLink", action.code.encode(), returns="JoinGroupWithLinkReturnFunction")
    group = text_of(found.Jid)
    try:
        line.keep([await look_at(line, group)])
    except Complaint:
        return Joined(group_jid=group, pending=True)
    return Joined(group_jid=group)


async def leave(line: Line, action: actions.LeaveGroup) -> None:
    """Leave."""
    await _tell(line, "LeaveGroup", action.group)
    me = Participant(person=line.me, role="member")
    _moved(line, action.group, "leave", [me], self_left=True)


async def set_picture(line: Line, action: actions.SetGroupPicture, file: str) -> PictureSet:
    """A new picture, a JPEG at this path."""
    octets = Path(file).read_bytes()
    group = to_library(line.library.messages, action.group)
    done = await line.call(
        "SetGroupPhoto", group, len(group), octets, len(octets), returns="SetGroupPhotoReturnFunction"
    )  # fmt: skip
    return PictureSet(id=done.PictureID)


async def look_at(line: Line, group: str) -> GroupSeen:
    """A group as it is now."""
    encoded = to_library(line.library.messages, group)
    found = await line.call("GetGroupInfo", encoded, len(encoded), returns="GetGroupInfoReturnFunction")
    return seen(found.GroupInfo)


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
    whom = messages.JIDArray(JIDS=[_jid(line, person) for person in people]).SerializeToString()
    done = await line.call(
        "UpdateGroupParticipants", encoded, len(encoded), whom, len(whom), how,
        returns="UpdateGroupParticipantsReturnFunction",
    )  # fmt: skip
    return list(done.participants)


async def _move(line: Line, group: str, person: str, change: Any, how: bytes) -> None:
    found = await _update(line, group, [person], how)
    refused = [each.Error for each in found if each.Error not in (0, 200, 404, 409)]
    if refused:
        raise Refused(waCode=refused[0])
    moved = [participant(each) for each in found if each.Error in (0, 200)]
    _moved(line, group, change, moved)


def _result(each: Any) -> AddResult:
    status = _ADDING.get(each.Error, "failed")
    invite: Any = UNSET
    if each.AddRequest.Code:
        invite = DirectInvite(code=each.AddRequest.Code, expires_at=millis(int(each.AddRequest.Expiration)))
    return AddResult(
        jid=known_as(each.PhoneNumber, each.JID, each.LID),
        status=status,
        wa_code=each.Error if each.Error not in (0, 200) else UNSET,
        invite=invite if status == "invite_required" else UNSET,
    )


def _changed(line: Line, group: str, **what: Any) -> None:
    line.keep([GroupChanged(group_jid=group, timestamp=_now(), sender=line.own_jid, **what)])


def _moved(line: Line, group: str, change: Any, people: list[Participant], *, self_left: bool = False) -> None:
    if people:
        moved: base.Report = MembersChanged(
            group_jid=group, timestamp=_now(), change=change, people=people, sender=line.own_jid, self_left=self_left
        )
        line.keep([moved])


def _owner(group: GroupSeen) -> Any:
    return UNSET if group.owner is UNSET else group.owner.jid or group.owner.lid or UNSET


def _jid(line: Line, address: str) -> Any:
    return line.library.messages.JID.FromString(to_library(line.library.messages, address))


def _now() -> int:
    return int(time.time() * 1000)
