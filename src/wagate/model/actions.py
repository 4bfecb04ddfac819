"""The catalogue of live actions: what can be asked of the worker that holds a session.

Each action is data and names its answer's type; an engine lists the ones that it performs, the rest answer 501. What an
action changes is stored before its answer is given.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET

from wagate.model import Maybe
from wagate.model.channels import CreatedChannel
from wagate.model.chats import ChatPresence
from wagate.model.contacts import About, ContactCheck, Picture
from wagate.model.contents import Media
from wagate.model.groups import (
    AddResults,
    CreatedGroup,
    Invite,
    InvitePreview,
    Joined,
    PendingMember,
    PictureSet,
)
from wagate.model.media import FetchedMedia
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


class RejectMembers(Action, frozen=True, kw_only=True):
    """Turn people away who asked to join."""

    group: str
    people: list[str]


class ListPending(Action, frozen=True, kw_only=True):
    """Who asks to join a group."""

    answer: ClassVar[Any] = list[PendingMember]
    group: str


class PreviewInvite(Action, frozen=True, kw_only=True):
    """What an invite's code leads to."""

    answer: ClassVar[Any] = InvitePreview
    code: str


class SetGroupPicture(Action, frozen=True, kw_only=True):
    """A new group picture, a JPEG that lies in the engine's `Files` under `media`."""

    answer: ClassVar[Any] = PictureSet
    group: str
    media: str


class DeleteGroupPicture(Action, frozen=True, kw_only=True):
    """Take a group's picture away; nothing if it has none."""

    group: str


class SetPresence(Action, frozen=True, kw_only=True):
    """Show the account as online or not."""

    online: bool


class SetChatPresence(Action, frozen=True, kw_only=True):
    """Show in a chat that the account types, records, or stopped."""

    chat: str
    state: Literal["composing", "recording", "paused"]


class WatchPresence(Action, frozen=True, kw_only=True):
    """Where somebody is; from now on their presence is reported."""

    answer: ClassVar[Any] = ChatPresence
    chat: str


class MarkRead(Action, frozen=True, kw_only=True):
    """Send read receipts. `sender`: their author where the chat is a group."""

    chat: str
    sender: Maybe[str] = UNSET
    message_ids: list[str]


class FetchMedia(Action, frozen=True, kw_only=True):
    """Fetch a file's bytes from the network into the engine's `Files` under `into`; their SHA-256 is checked.

    Raises `Gone` when the network no longer has it.
    """

    answer: ClassVar[Any] = FetchedMedia
    media: Media
    into: str


class CheckContact(Action, frozen=True, kw_only=True):
    """Whether a number (digits) is on WhatsApp."""

    answer: ClassVar[Any] = ContactCheck
    phone: str


class GetAbout(Action, frozen=True, kw_only=True):
    """What somebody says of themselves."""

    answer: ClassVar[Any] = About
    person: str


class GetPicture(Action, frozen=True, kw_only=True):
    """A person's or a group's picture. Raises `NotFound` when there is none."""

    answer: ClassVar[Any] = Picture
    jid: str


class SetBlocked(Action, frozen=True, kw_only=True):
    """Block somebody, or no longer; nothing if it is so already."""

    person: str
    blocked: bool


class CreateChannel(Action, frozen=True, kw_only=True):
    """Make a channel; it is followed at once."""

    answer: ClassVar[Any] = CreatedChannel
    name: str
    description: str


class FollowChannel(Action, frozen=True, kw_only=True):
    """Follow a channel; nothing if it is followed already."""

    channel: str


class UnfollowChannel(Action, frozen=True, kw_only=True):
    """Follow a channel no longer; nothing if it is not followed."""

    channel: str


class MuteChannel(Action, frozen=True, kw_only=True):
    """Mute a followed channel, or no longer."""

    channel: str
    mute: bool


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
    | RejectMembers
    | ListPending
    | PreviewInvite
    | SetGroupPicture
    | DeleteGroupPicture
    | LeaveGroup
    | JoinGroup
    | SetPresence
    | SetChatPresence
    | WatchPresence
    | MarkRead
    | FetchMedia
    | CheckContact
    | GetAbout
    | GetPicture
    | SetBlocked
    | CreateChannel
    | FollowChannel
    | UnfollowChannel
    | MuteChannel
)
