"""Groups, their participants and pictures as the dialect tells of them.

Every field without a `?` in the SDK is always there, and of its type: the SDK refuses a whole answer for one `null`.
What the gateway does not know of a group is empty, false or 0, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from wagate.api.compat.wasend.naming import digits, moment
from wagate.model import Maybe, Shape, jid
from wagate.model.groups import Group, GroupMember, InvitePreview, Standing

EMPTY = "Some fields are [always empty](#what-a-group-does-not-say)."


class Participant(Shape, frozen=True, kw_only=True):
    """A member of a group. `phoneNumber` is empty where WhatsApp hides it."""

    jid: str
    phone_number: str
    is_admin: bool
    is_super_admin: bool
    lid: Maybe[str] = UNSET
    display_name: Maybe[str] = UNSET


class Settings(Shape, frozen=True, kw_only=True):
    """Who may do what in a group."""

    info_admin_only: bool
    messages_admin_only: bool


class Unknown(Shape, frozen=True, kw_only=True):
    """Fields of a group that the gateway does not know of. The SDK wants them all the same."""

    name_set_at: str = ""
    name_set_by: str = ""
    name_set_by_pn: str = ""
    topic_id: str = ""
    topic_set_at: str = ""
    topic_set_by: str = ""
    topic_set_by_pn: str = ""
    topic_deleted: bool = False
    announce_version_id: str = ""
    is_ephemeral: bool = False
    disappearing_timer: int = 0
    is_incognito: bool = False
    is_parent: bool = False
    default_membership_approval_mode: str = ""
    linked_parent_jid: str = ""
    is_default_sub_group: bool = False
    is_join_approval_required: bool = False
    addressing_mode: str = ""
    creator_country_code: str = ""
    participant_version_id: str = ""
    member_add_mode: str = ""


UNKNOWN = tuple(Unknown.__struct_encode_fields__)
"""The names of those fields, for the guide."""


class GroupTold(Unknown, frozen=True, kw_only=True):
    """A group, with the SDK's fields and the documentation's. Times in ISO 8601, empty where they are not known."""

    jid: str
    name: str
    topic: str
    owner_jid: str
    owner_pn: str
    group_created: str
    is_announce: bool
    is_locked: bool
    participants: list[Participant]
    id: str
    description: str
    created_at: str
    participants_count: int
    settings: Settings
    status: Maybe[Standing] = UNSET
    tags: list[str] = []


class Joined(Shape, frozen=True, kw_only=True):
    """The group that an invite led to; `pending`: somebody has to let the account in."""

    id: str
    name: str
    participants_count: int
    description: Maybe[str] = UNSET
    pending: Maybe[bool] = UNSET
    success: bool = True
    group: dict[str, Any]


class PictureFacts(Shape, frozen=True, kw_only=True):
    """A picture as the documentation has it."""

    url: str
    type: str
    size: int


class PictureTold(Shape, frozen=True, kw_only=True):
    """A picture, for either kind of client. `url` is empty where the network has no address for it (the sandbox)."""

    url: str
    id: Maybe[str] = UNSET
    success: bool = True
    picture: PictureFacts


class Ended(Shape, frozen=True, kw_only=True):
    """What was asked for is done; the rest is the documentation's, the SDK reads none of it."""

    success: bool = True
    message: str


def participant(member: GroupMember) -> Participant:
    """A stored member."""
    number = member.phone_number or ""
    hidden = jid.is_lid(member.lid)
    return Participant(
        jid=f"{number}@{jid.PHONE}" if number else member.lid,
        phone_number=number,
        is_admin=member.role != "member",
        is_super_admin=member.role == "superadmin",
        lid=member.lid if hidden else UNSET,
        display_name=member.tag,
    )


def told(
    group: Group, members: Sequence[GroupMember], *, tags: Sequence[str] = (), status: Maybe[Standing] = UNSET
) -> GroupTold:
    """A stored group. `members` may be left out, by an empty list."""
    description, owner = group.description or "", group.owner_jid or ""
    created = moment(group.created_at_wa) if isinstance(group.created_at_wa, int) else ""
    return GroupTold(
        jid=group.group_jid,
        id=group.group_jid,
        name=group.subject or "",
        topic=description,
        description=description,
        owner_jid=owner,
        owner_pn=digits(owner),
        group_created=created,
        created_at=created,
        is_announce=group.is_announce is True,
        is_locked=group.is_locked is True,
        participants=[participant(each) for each in members],
        participants_count=group.participant_count or 0,
        settings=settings(group),
        status=status,
        tags=list(tags),
    )


def settings(group: Group) -> Settings:
    """Who may do what, as stored."""
    return Settings(info_admin_only=group.is_locked is True, messages_admin_only=group.is_announce is True)


def previewed(preview: InvitePreview) -> GroupTold:
    """A group as somebody outside sees it who holds an invite: without its participants and its settings."""
    seen = Group(
        id=0,
        group_jid=preview.group_jid,
        first_seen_at=0,
        updated_at=0,
        subject=preview.subject,
        description=preview.description,
        owner_jid=preview.owner_jid,
        participant_count=preview.participant_count,
        created_at_wa=preview.created_at_wa,
    )
    return told(seen, [])


def picture(url: Maybe[str], id: Maybe[str]) -> PictureTold:
    """A picture as WhatsApp tells of it: where it is, and no more."""
    where = url or ""
    return PictureTold(url=where, id=id, picture=PictureFacts(url=where, type="", size=0))
