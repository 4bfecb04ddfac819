"""Groups: made, looked at, joined, left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from wagate.api import groups as native
from wagate.api.compat.wasend import pictures, shapes
from wagate.api.compat.wasend.serving import ADMIN, served
from wagate.api.compat.wasend.shapes import Ended, GroupTold, Joined
from wagate.api.lists import EVERYTHING
from wagate.api.operations import READ, SEND, Call, Reply
from wagate.api.sessions import LIVE
from wagate.errors import BadRequest, NotFound, Refused, WagateError
from wagate.gateway import Window, actions, groups, media, standings
from wagate.model import Ask, Line, jid
from wagate.model import actions as live
from wagate.model.contents import Media
from wagate.model.groups import CreatedGroup, Description, InvitePreview, Subject, invite_code
from wagate.model.groups import Joined as NativeJoined
from wagate.model.jid import PersonInput
from wagate.model.sends import Url

_EVERY = Window(EVERYTHING)
_Tags = Annotated[list[Annotated[Line, Meta(min_length=1, max_length=100)]], Meta(max_length=50)]


class NewParticipant(Ask, frozen=True, kw_only=True):
    """Somebody for a new group."""

    id: PersonInput
    is_admin: bool | None = None


class NewGroup(Ask, frozen=True, kw_only=True):
    """A new group."""

    name: Subject
    participants: Annotated[list[NewParticipant | PersonInput], Meta(min_length=1, max_length=1024)]
    description: Description | None = None
    picture_url: Url | None = None
    tags: _Tags | None = None


class CodeQuery(Ask, frozen=True, kw_only=True):
    """Which invite: its bare code, or its link."""

    code: Annotated[str, Meta(max_length=256)] | None = None


Invite = Annotated[Line, Meta(min_length=1, max_length=256)]


class JoinByInvite(Ask, frozen=True, kw_only=True):
    """An invite, by any of its three names: its bare code, or its link."""

    code: Invite | None = None
    invite_code: Invite | None = None
    invite_link: Invite | None = None


class InvitedTo(GroupTold, frozen=True, kw_only=True):
    """The group that an invite leads to: the SDK's group, with the documentation's around it."""

    success: bool = True
    data: GroupTold
    error: None = None


async def create_group(call: Call) -> Reply:
    """Create a group; those who cannot be added are skipped."""
    body: NewGroup = call.body
    session, asked = call.path["session"], [each if isinstance(each, str) else each.id for each in body.participants]
    people = [jid.person(text, f"participants[{position}].id") for position, text in enumerate(asked)]
    admins = dict.fromkeys(
        person
        for person, each in zip(people, body.participants, strict=True)
        if isinstance(each, NewParticipant) and each.is_admin
    )
    await actions.require_connected(call.gw, call.caller, session)
    # Before the group is made: a picture that cannot be had must not leave a group behind.
    files = [] if body.picture_url is None else await media.take_in(
        call.gw, call.caller, [pictures.offered(body.picture_url, "pictureUrl")], session_id=session
    )  # fmt: skip
    try:
        action = live.CreateGroup(subject=body.name, people=list(dict.fromkeys(people)))
        created: CreatedGroup = await actions.ask(call.gw, call.caller, session, action)
        call.path["gid"] = created.group_jid
        await _furnish(call, body, list(admins), files)
    finally:
        await media.discard(call.gw, call.caller, files)
    return Reply(status=201, body=await one(call))


async def _furnish(call: Call, body: NewGroup, admins: list[str], files: Sequence[Media]) -> None:
    """Give the new group what its maker wants; an error names the group, which is there all the same."""
    group = call.path["gid"]
    try:
        if body.description:
            await _ask(call, live.SetDescription(group=group, description=body.description))
        if files:
            await _ask(call, live.SetGroupPicture(group=group, media=files[0].id or ""))
        await _raise(call, admins)
        if body.tags:
            await groups.tag(call.gw, call.caller, call.path["session"], group, body.tags)
    except WagateError as error:
        error.details["applied"] = [group]
        raise


async def _raise(call: Call, admins: list[str]) -> None:
    """Make admins of those who are to be admins and could be added."""
    if not admins:
        return
    members, _ = await groups.members(call.gw, call.caller, call.path["session"], call.path["gid"], _EVERY)
    present = {address for each in members for address in (each.lid, f"{each.phone_number}@{jid.PHONE}")}
    steps = [live.PromoteMember(group=call.path["gid"], person=each) for each in admins if each in present]
    await groups.change_members(call.gw, call.caller, call.path["session"], steps)


async def get_group(call: Call) -> GroupTold:
    """Get a group as it was last seen."""
    return await one(call)


async def one(call: Call) -> GroupTold:
    """The path's group as stored, with its participants and tags."""
    where = call.gw, call.caller, call.path["session"]
    group, name = await groups.get(*where, call.path["gid"]), call.path["gid"]
    members, _ = await groups.members(*where, name, _EVERY)
    tags, stands = await groups.tags(*where), await standings.of(*where, name)
    return shapes.told(group, members, tags=tags.get(name, ()), status=stands.get(name, UNSET))


async def join_info(call: Call) -> InvitedTo:
    """Look at the group that an invite leads to, without joining."""
    if call.query.code is None:
        raise BadRequest.field("code", "is missing")
    seen = shapes.previewed(await _preview(call, _code(call.query.code)))
    return InvitedTo(**msgspec.structs.asdict(seen), data=seen)


async def join_group(call: Call) -> Joined:
    """Join a group by an invite's code or link."""
    body: JoinByInvite = call.body
    given = body.code or body.invite_code or body.invite_link
    if given is None:
        raise BadRequest.field("code", "is missing")
    code = _code(given)
    # Before joining: a group that approves who joins is not shown from inside.
    preview = await _preview(call, code)
    joined: NativeJoined = await actions.ask(call.gw, call.caller, call.path["session"], live.JoinGroup(code=code))
    try:
        group = await groups.get(call.gw, call.caller, call.path["session"], joined.group_jid)
        count = group.participant_count or 0
    except NotFound:
        count = preview.participant_count or 0
    return Joined(
        id=joined.group_jid,
        name=preview.subject,
        participants_count=count,
        description=preview.description,
        pending=joined.pending,
        group={"id": joined.group_jid, "name": preview.subject, "participantsCount": count},
    )


async def leave_group(call: Call) -> Ended:
    """Leave a group; what is stored stays readable."""
    await native.leave_group(call)
    return Ended(message="the account has left the group")


def _code(text: str) -> str:
    try:
        return invite_code(text)
    except BadRequest:
        raise BadRequest.field("code", "is neither an invite's code nor its link") from None


async def _preview(call: Call, code: str) -> InvitePreview:
    found: InvitePreview = await actions.ask(call.gw, call.caller, call.path["session"], live.PreviewInvite(code=code))
    return found


async def _ask(call: Call, action: live.Action) -> Any:
    return await groups.ask(call.gw, call.caller, call.path["session"], action, group=call.path["gid"])


_GROUPS = "/{session}/groups"
_GROUP = _GROUPS + "/{gid}"
SERVED = [
    served(
        "createGroup",
        f"POST {_GROUPS}",
        create_group,
        sdk="createGroup",
        capability=SEND,
        body=NewGroup,
        answer=GroupTold,
        statuses=(201,),
        errors=(*LIVE, BadRequest, Refused),
        difference="Whoever cannot be added is left out. If the group is made and the rest fails, the error names it "
        "in `applied`. tags are the gateway's: kept, shown and filtered by, unknown to WhatsApp. "
        f"{pictures.JPEG}",
    ),
    served(
        "getGroupJoinInfo",
        f"GET {_GROUPS}/join-info",
        join_info,
        sdk="getGroupJoinInfo",
        capability=READ,
        query=CodeQuery,
        answer=InvitedTo,
        errors=(*LIVE, BadRequest),
        difference="Nobody outside sees participants and settings: they are empty and false.",
    ),
    served(
        "joinGroup",
        f"POST {_GROUPS}/join",
        join_group,
        sdk="joinGroup",
        capability=SEND,
        body=JoinByInvite,
        answer=Joined,
        errors=(*LIVE, BadRequest, Refused),
        difference="`pending` is there and true while somebody has to let the account in. No pictureUrl.",
    ),
    served(
        "getGroup",
        f"GET {_GROUP}",
        get_group,
        sdk="getGroup",
        capability=READ,
        answer=GroupTold,
        difference=shapes.EMPTY,
    ),
    served("getGroupInfo", f"GET {_GROUP}/info", get_group, capability=READ, answer=GroupTold, difference=shapes.EMPTY),
    served(
        "leaveGroup",
        f"POST {_GROUP}/leave",
        leave_group,
        sdk="leaveGroup",
        capability=SEND,
        answer=Ended,
        errors=ADMIN,
    ),
]
