"""Groups and their members."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from wagate.errors import BadRequest
from wagate.model import Ask, Line, Maybe, Millis, Prose, Shape
from wagate.model.contacts import Person
from wagate.model.jid import PersonInput
from wagate.model.sends import Source

Role = Literal["member", "admin", "superadmin"]
Standing = Literal["active", "archived", "deleted"]
"""Of a group with an account: in it, in it with its chat archived, in it no longer."""
AddStatus = Literal["added", "already_member", "invite_required", "declined", "not_on_whatsapp", "failed"]
Subject = Annotated[Line, Meta(min_length=1, max_length=100)]
Description = Annotated[Prose, Meta(max_length=2048)]
People = Annotated[list[PersonInput], Meta(min_length=1, max_length=1024)]


class Group(Shape, frozen=True, kw_only=True):
    """A group as one session stored it."""

    id: int
    group_jid: str
    first_seen_at: Millis
    updated_at: Millis
    subject: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    owner_jid: Maybe[str] = UNSET
    participant_count: Maybe[int] = UNSET
    is_announce: Maybe[bool] = UNSET
    is_locked: Maybe[bool] = UNSET
    created_at_wa: Maybe[Millis] = UNSET


class GroupMember(Shape, frozen=True, kw_only=True):
    """A member of a group. `tag` is the name they show in the group."""

    id: int
    session_id: str
    group_jid: str
    lid: str
    role: Role
    first_seen_at: Millis
    last_seen_at: Millis
    tag: Maybe[str] = UNSET
    phone_number: Maybe[str] = UNSET


class CreateGroup(Ask, frozen=True, kw_only=True):
    """A new group, and whom to add."""

    name: Subject
    participants: People


class CreatedGroup(Shape, frozen=True, kw_only=True):
    """The group that was made; `participants` counts everyone in it."""

    group_jid: str
    subject: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    owner_jid: Maybe[str] = UNSET
    participants: Maybe[int] = UNSET
    is_announce: Maybe[bool] = UNSET
    is_locked: Maybe[bool] = UNSET


class UpdateGroup(Ask, frozen=True, kw_only=True):
    """What is to change; absent stays, `null` is refused, an empty description removes it."""

    subject: Subject | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    announce: bool | UnsetType = UNSET
    locked: bool | UnsetType = UNSET


class Participants(Ask, frozen=True, kw_only=True):
    """Whom it is about."""

    participants: People


class JoinGroup(Ask, frozen=True, kw_only=True):
    """An invite: the bare code or the full link."""

    invite: Annotated[Line, Meta(min_length=1, max_length=256)]


class Joined(Shape, frozen=True, kw_only=True):
    """The group an invite led to; `pending`: it approves joins and somebody has to."""

    group_jid: str
    pending: Maybe[bool] = UNSET


class InvitePreview(Shape, frozen=True, kw_only=True):
    """The group that an invite leads to, as somebody outside sees it."""

    group_jid: str
    subject: str
    participant_count: Maybe[int] = UNSET
    description: Maybe[str] = UNSET
    owner_jid: Maybe[str] = UNSET
    created_at_wa: Maybe[Millis] = UNSET


class PendingMember(Shape, frozen=True, kw_only=True):
    """Somebody who asks to join."""

    jid: str
    requested_at: Millis
    lid: Maybe[str] = UNSET


class SetGroupPicture(Ask, frozen=True, kw_only=True):
    """A group's picture: JPEG."""

    media: Source


class PictureSet(Shape, frozen=True, kw_only=True):
    """The new picture's id."""

    id: str


class Invite(Shape, frozen=True, kw_only=True):
    """A group's invite link."""

    invite: str


class DirectInvite(Shape, frozen=True, kw_only=True):
    """An invite for one person who cannot be added directly."""

    code: str
    expires_at: Millis


class AddResult(Shape, frozen=True, kw_only=True):
    """What became of one person who was to be added."""

    jid: str
    status: AddStatus
    wa_code: Maybe[int] = UNSET
    invite: Maybe[DirectInvite] = UNSET


class AddResults(Shape, frozen=True, kw_only=True):
    """What became of each person who was to be added."""

    results: list[AddResult]


class Participant(Shape, frozen=True, kw_only=True):
    """A member as an engine reports them."""

    person: Person
    role: Role
    tag: Maybe[str] = UNSET


class GroupSeen(Shape, frozen=True, kw_only=True):
    """A whole group as an engine reports it: it replaces what is stored."""

    group_jid: str
    subject: str
    description: str
    is_announce: bool
    is_locked: bool
    members: list[Participant]
    owner: Maybe[Person] = UNSET
    created_at_wa: Maybe[Millis] = UNSET


class GroupChanged(Shape, frozen=True, kw_only=True):
    """Settings of a group changed; only what changed is set. `reason`: why this account is in the group now."""

    group_jid: str
    timestamp: Millis
    sender: Maybe[str] = UNSET
    subject: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    is_announce: Maybe[bool] = UNSET
    is_locked: Maybe[bool] = UNSET
    new_invite_link: Maybe[str] = UNSET
    reason: Maybe[str] = UNSET


class MembersChanged(Shape, frozen=True, kw_only=True):
    """People came, went, rose or fell. When the account itself left, the group is stored as left."""

    group_jid: str
    timestamp: Millis
    change: Literal["join", "leave", "promote", "demote"]
    people: list[Participant]
    sender: Maybe[str] = UNSET
    self_left: bool = False


_CODE = re.compile(r"(?:https?://chat\.whatsapp\.com/(?:invite/)?)?([A-Za-z0-9_-]{8,64})(?:\?[^\s]*)?", re.ASCII)


def invite_code(invite: str) -> str:
    """The code of an invite, given bare or as a link.

    Raises:
        BadRequest: neither.
    """
    found = _CODE.fullmatch(invite.strip())
    if found is None:
        raise BadRequest.field("invite", "is neither an invite's code nor its link")
    return found.group(1)
