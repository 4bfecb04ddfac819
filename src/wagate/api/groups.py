"""Groups: read what is stored, change them through the network.

The order of refusals is the same on every live route: capability, session, body, connection, group, rights.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from wagate.api import lists, offers
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import MEDIA_BODY, READ, SEND, Call, HeaderParameter, Operation, Reply
from wagate.api.sessions import LIVE, find
from wagate.errors import BadRequest, NotAMember, NotFound, NotGroupAdmin, PayloadTooLarge, Refused
from wagate.gateway import actions, groups
from wagate.model import Ask, jid
from wagate.model import actions as live
from wagate.model.actions import Action
from wagate.model.groups import (
    AddResults,
    CreatedGroup,
    CreateGroup,
    Group,
    GroupMember,
    Invite,
    InvitePreview,
    Joined,
    JoinGroup,
    Participants,
    PendingMember,
    PictureSet,
    SetGroupPicture,
    UpdateGroup,
    invite_code,
)


class InviteQuery(Ask, frozen=True, kw_only=True):
    """Which invite."""

    invite: (
        Annotated[str, Meta(max_length=256, description="The invite's bare code or full link. Required.")] | None
    ) = None


async def list_groups(call: Call) -> Any:
    """List the groups that the session has stored."""
    window = lists.window(call, one_page=True)
    rows, following = await groups.page(call.gw, call.caller, call.path["session"], window)
    return lists.page(call, rows, following)


async def create_group(call: Call) -> Any:
    """Create a group; those who cannot be added are skipped."""
    action = live.CreateGroup(subject=call.body.name, people=people(call.body.participants))
    return await actions.ask(call.gw, call.caller, call.path["session"], action)


async def get_group(call: Call) -> Any:
    """Get a stored group."""
    return await groups.get(call.gw, call.caller, call.path["session"], call.path["gid"])


async def update_group(call: Call) -> None:
    """Change a group's subject, description and settings.

    Each present field is one operation of WhatsApp's. If one fails, the earlier ones stand and `details.applied` names
    them.
    """
    await groups.update(call.gw, call.caller, call.path["session"], call.path["gid"], call.body)


async def get_group_invite(call: Call) -> Any:
    """Get the group's invite link."""
    return await _ask(call, live.GetInvite(group=call.path["gid"]))


async def revoke_group_invite(call: Call) -> Any:
    """Reset the group's invite link; the old one stops working at once."""
    return await _ask(call, live.ResetInvite(group=call.path["gid"]))


async def list_group_members(call: Call) -> Any:
    """List the group's present members."""
    window = lists.window(call, one_page=True)
    where = call.path["session"], call.path["gid"]
    rows, following = await groups.members(call.gw, call.caller, *where, window)
    return lists.page(call, rows, following)


async def add_group_members(call: Call) -> Any:
    """Add people to the group.

    Those who decline do not fail the call. With `Prefer: return=representation` the answer says what became of each.
    """
    results = await _ask(call, live.AddMembers(group=call.path["gid"], people=people(call.body.participants)))
    if "return=representation" in (call.header("prefer") or "").replace(" ", "").lower():
        return Reply(status=200, body=results, headers={"preference-applied": "return=representation"})
    return None


async def remove_group_member(call: Call) -> None:
    """Remove a member; also when absent."""
    await _ask(call, live.RemoveMember(group=call.path["gid"], person=_person(call)))


async def promote_group_member(call: Call) -> None:
    """Make a member an admin."""
    await _ask(call, live.PromoteMember(group=call.path["gid"], person=_person(call)))


async def demote_group_member(call: Call) -> None:
    """Make an admin a member again."""
    await _ask(call, live.DemoteMember(group=call.path["gid"], person=_person(call)))


async def approve_group_members(call: Call) -> None:
    """Let people in who asked to join."""
    await _ask(call, live.ApproveMembers(group=call.path["gid"], people=people(call.body.participants)))


async def reject_group_members(call: Call) -> None:
    """Turn people away who asked to join."""
    await _ask(call, live.RejectMembers(group=call.path["gid"], people=people(call.body.participants)))


async def list_pending_members(call: Call) -> Any:
    """List who asks to join, as WhatsApp says now."""
    window = lists.window(call, one_page=True)
    rows, following = await groups.pending(call.gw, call.caller, call.path["session"], call.path["gid"], window)
    return lists.page(call, rows, following)


async def set_group_picture(call: Call) -> Any:
    """Set the group's picture, a JPEG."""
    picture = await offers.of_source(call.spools, call.body.media, wanted="picture")
    return await groups.set_picture(call.gw, call.caller, call.path["session"], call.path["gid"], picture)


async def delete_group_picture(call: Call) -> None:
    """Take the group's picture away; also when it has none."""
    await _ask(call, live.DeleteGroupPicture(group=call.path["gid"]))


async def leave_group(call: Call) -> None:
    """Leave the group; what is stored stays readable."""
    await _ask(call, live.LeaveGroup(group=call.path["gid"]))


async def join_group(call: Call) -> Any:
    """Join a group by an invite's code or link."""
    action = live.JoinGroup(code=invite_code(call.body.invite))
    return await actions.ask(call.gw, call.caller, call.path["session"], action)


async def preview_invite(call: Call) -> Any:
    """Look at the group that an invite leads to, without joining."""
    if call.query.invite is None:
        raise BadRequest.field("invite", "is missing")
    action = live.PreviewInvite(code=invite_code(call.query.invite))
    return await actions.ask(call.gw, call.caller, call.path["session"], action)


async def _ask(call: Call, action: Action) -> Any:
    return await groups.ask(call.gw, call.caller, call.path["session"], action, group=call.path["gid"])


def _person(call: Call) -> str:
    return jid.person(call.path["jid"], "jid")


def people(asked: list[str]) -> list[str]:
    """Those whom a body names, canonical and without repeats, in the order given."""
    return list(dict.fromkeys(jid.person(text, f"participants[{i}]") for i, text in enumerate(asked)))


_LIVE = (*LIVE, NotAMember)
_ADMIN = (*_LIVE, NotGroupAdmin)
_GROUP = "/{gid}"
_MEMBER = "/{gid}/members/{jid}"
_PREFER = HeaderParameter(name="Prefer", description="`return=representation`: answer 200 with a result for each.")


def _stored(id: str, path: str, run: Any, **more: Any) -> Operation:
    return Operation(
        id=id,
        method="GET",
        path="/sessions/{session}/groups" + path,
        run=run,
        tag="groups",
        capability=READ,
        errors=(NotFound,),
        **more,
    )


def _live(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    more = {"capability": SEND, "errors": _ADMIN, **more}
    return Operation(
        id=id, method=method, path="/sessions/{session}/groups" + path, run=run, tag="groups", find=find, **more
    )


_NO_CONTENT = {"statuses": (204,)}
OPERATIONS = [
    _stored("listGroups", "", list_groups, query=ListQuery, answer=Page[Group]),
    _live(
        "createGroup",
        "POST",
        "",
        create_group,
        body=CreateGroup,
        answer=CreatedGroup,
        statuses=(201,),
        errors=(*_LIVE, BadRequest, Refused),
    ),
    _stored("getGroup", _GROUP, get_group, answer=Group),
    _live("updateGroup", "PATCH", _GROUP, update_group, body=UpdateGroup, **_NO_CONTENT),
    _live("getGroupInvite", "GET", _GROUP + "/invite", get_group_invite, capability=READ, answer=Invite),
    _live("revokeGroupInvite", "DELETE", _GROUP + "/invite", revoke_group_invite, answer=Invite),
    _stored("listGroupMembers", _GROUP + "/members", list_group_members, query=ListQuery, answer=Page[GroupMember]),
    _live(
        "addGroupMembers",
        "POST",
        _GROUP + "/members",
        add_group_members,
        body=Participants,
        answer=AddResults,
        statuses=(204, 200),
        headers=(_PREFER,),
    ),
    _live("removeGroupMember", "DELETE", _MEMBER, remove_group_member, **_NO_CONTENT),
    _live("promoteGroupMember", "POST", _MEMBER + "/promote", promote_group_member, **_NO_CONTENT),
    _live("demoteGroupMember", "POST", _MEMBER + "/demote", demote_group_member, **_NO_CONTENT),
    _live(
        "approveGroupMembers",
        "POST",
        _GROUP + "/members:approve",
        approve_group_members,
        body=Participants,
        **_NO_CONTENT,
    ),
    _live(
        "rejectGroupMembers",
        "POST",
        _GROUP + "/members:reject",
        reject_group_members,
        body=Participants,
        **_NO_CONTENT,
    ),
    _live(
        "listPendingMembers",
        "GET",
        _GROUP + "/members:pending",
        list_pending_members,
        capability=READ,
        query=ListQuery,
        answer=Page[PendingMember],
    ),
    _live(
        "setGroupPicture",
        "PUT",
        _GROUP + "/picture",
        set_group_picture,
        body=SetGroupPicture,
        answer=PictureSet,
        max_body=MEDIA_BODY,
        spooled=True,
        errors=(*_ADMIN, BadRequest, PayloadTooLarge),
    ),
    _live("deleteGroupPicture", "DELETE", _GROUP + "/picture", delete_group_picture, **_NO_CONTENT),
    _live("leaveGroup", "POST", _GROUP + ":leave", leave_group, **_NO_CONTENT),
    Operation(
        id="joinGroup",
        method="POST",
        path="/sessions/{session}/groups:join",
        run=join_group,
        tag="groups",
        capability=SEND,
        body=JoinGroup,
        answer=Joined,
        errors=(*_LIVE, BadRequest, Refused),
        find=find,
    ),
    Operation(
        id="previewInvite",
        method="GET",
        path="/sessions/{session}/groups:preview",
        run=preview_invite,
        tag="groups",
        capability=READ,
        query=InviteQuery,
        answer=InvitePreview,
        errors=(*_LIVE, BadRequest),
        find=find,
    ),
]
