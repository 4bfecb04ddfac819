"""Groups as the network keeps them, and as they are seen."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from wagate.engines.sandbox.people import jid_of, lid_of, person_of
from wagate.errors import BadRequest
from wagate.model.groups import GroupSeen, InvitePreview, Participant, Role
from wagate.model.sandbox import TrueGroup, TrueMember

LINK = "https://chat.whatsapp.com/"


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """An invite for one person."""

    number: str
    expires_at: int


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group as the network keeps it. Everybody by number; `members` in the order in which they came."""

    jid: str
    subject: str
    owner: str
    created_at: int
    invite: str
    description: str = ""
    announce: bool = False
    locked: bool = False
    approves: bool = False
    picture: str = ""
    members: dict[str, Role] = {}
    pending: dict[str, int] = {}
    removed: dict[str, int] = {}
    passes: dict[str, Pass] = {}


def seen(group: Group, names: Callable[[str], str | None]) -> GroupSeen:
    """The whole group as sessions are told of it."""
    return GroupSeen(
        group_jid=group.jid,
        subject=group.subject,
        description=group.description,
        is_announce=group.announce,
        is_locked=group.locked,
        members=[Participant(person=person_of(each, names(each)), role=role) for each, role in group.members.items()],
        owner=person_of(group.owner, names(group.owner)),
        created_at_wa=group.created_at,
    )


def truth(group: Group) -> TrueGroup:
    """The whole group as those see it who drive the network."""
    return TrueGroup(
        group_jid=group.jid,
        subject=group.subject,
        description=group.description,
        is_announce=group.announce,
        is_locked=group.locked,
        approves_joins=group.approves,
        members=[TrueMember(jid=jid_of(each), lid=lid_of(each), role=role) for each, role in group.members.items()],
        invite=LINK + group.invite,
        pending=[jid_of(number) for number in group.pending],
        picture_id=group.picture or UNSET,
    )


def preview(group: Group) -> InvitePreview:
    """The group as somebody outside sees it who holds an invite."""
    return InvitePreview(
        group_jid=group.jid,
        subject=group.subject,
        participant_count=len(group.members),
        description=group.description or UNSET,
        owner_jid=jid_of(group.owner),
        created_at_wa=group.created_at,
    )


def leads_to(group: Group, code: str, number: str, now: int) -> bool:
    """Whether this person can come in by the code now."""
    given = group.passes.get(code)
    return code == group.invite or (given is not None and given.number == number and given.expires_at > now)


def must_lead_to(group: Group, code: str, number: str, now: int) -> None:
    """Refuse a code by which this person cannot come in now.

    Raises:
        BadRequest: it is stale, or another one's.
    """
    if not leads_to(group, code, number, now):
        raise bad_invite()


def may_speak(group: Group, number: str) -> bool:
    """Whether this person may send into the group."""
    role = group.members.get(number)
    return role is not None and (role != "member" or not group.announce)


def bad_invite() -> BadRequest:
    """The code leads nowhere, or no longer."""
    return BadRequest.field("invite", "is not an invite, or was revoked or has expired")


def code_of(text: str) -> str:
    """The bare code of an invite or its link."""
    return text.strip().removeprefix(LINK).partition("?")[0].strip("/")
