"""The catalogue of live actions: what can be asked of the worker that holds a session.

Each action is data and names its answer's type; an engine lists the ones that it performs, the rest answer 501. What an
action changes is stored before its answer is given.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from wagate.model.groups import AddResults, CreatedGroup, Invite, Joined
from wagate.model.sessions import PairingCode


class Action(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something live to do; `answer` is the type of what comes back, None for nothing."""

    answer: ClassVar[Any] = None


class RequestCode(Action, frozen=True, kw_only=True):
    """Begin linking by a code for the phone with these digits."""

    answer: ClassVar[Any] = PairingCode
    phone: str


class CreateGroup(Action, frozen=True, kw_only=True):
    """Make a group of these people; those who cannot be added are skipped."""

    answer: ClassVar[Any] = CreatedGroup
    subject: str
    people: list[str]


class SetSubject(Action, frozen=True, kw_only=True):
    """Rename a group."""

    group: str
    subject: str


class SetDescription(Action, frozen=True, kw_only=True):
    """Describe a group; empty removes the description."""

    group: str
    description: str


class SetAnnounce(Action, frozen=True, kw_only=True):
    """Whether only admins may send."""

    group: str
    announce: bool


class SetLocked(Action, frozen=True, kw_only=True):
    """Whether only admins may change subject and description."""

    group: str
    locked: bool


class GetInvite(Action, frozen=True, kw_only=True):
    """The group's present invite link."""

    answer: ClassVar[Any] = Invite
    group: str


class ResetInvite(Action, frozen=True, kw_only=True):
    """A new invite link; the old one stops working at once."""

    answer: ClassVar[Any] = Invite
    group: str


class AddMembers(Action, frozen=True, kw_only=True):
    """Add people; each gets a result of their own."""

    answer: ClassVar[Any] = AddResults
    group: str
    people: list[str]


class RemoveMember(Action, frozen=True, kw_only=True):
    """Take somebody out; nothing if they are not in."""

    group: str
    person: str


class PromoteMember(Action, frozen=True, kw_only=True):
    """Make a member an admin; nothing if they are one."""

    group: str
    person: str


class DemoteMember(Action, frozen=True, kw_only=True):
    """Make an admin a member; nothing if they are one."""

    group: str
    person: str


class ApproveMembers(Action, frozen=True, kw_only=True):
    """Let people in who asked to join."""

    group: str
    people: list[str]


class LeaveGroup(Action, frozen=True, kw_only=True):
    """Leave a group."""

    group: str


class JoinGroup(Action, frozen=True, kw_only=True):
    """Join by an invite's code."""

    answer: ClassVar[Any] = Joined
    code: str


SessionAction = (
    RequestCode
    | CreateGroup
    | SetSubject
    | SetDescription
    | SetAnnounce
    | SetLocked
    | GetInvite
    | ResetInvite
    | AddMembers
    | RemoveMember
    | PromoteMember
    | DemoteMember
    | ApproveMembers
    | LeaveGroup
    | JoinGroup
)
