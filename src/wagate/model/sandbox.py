"""Driving the sandbox: what can be asked of the pretend network, and what it shows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta

from wagate.model import Ask, Line, Maybe, Millis, Prose, Shape
from wagate.model.actions import Action
from wagate.model.contents import Content
from wagate.model.groups import People, Role, Subject
from wagate.model.jid import ChatInput, PersonInput
from wagate.model.messages import Reaction
from wagate.model.sends import (
    Option,
    SendAudio,
    SendContact,
    SendDocument,
    SendImage,
    SendLocation,
    SendPoll,
    SendSticker,
    SendText,
    SendVideo,
)

FaultKind = Literal["ack_lost", "ack_delay", "refuse", "disconnect", "duplicate_event", "reorder_events"]
Phone = Annotated[Line, Meta(min_length=5, max_length=32)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]


class Scan(Ask, frozen=True, kw_only=True):
    """Which phone scans; without `phone` a free one."""

    phone: Phone | None = None
    name: Annotated[Line, Meta(min_length=1, max_length=100)] | None = None


class Scanned(Shape, frozen=True, kw_only=True):
    """The account that was linked."""

    wa_jid: str
    wa_lid: str


class Drop(Ask, frozen=True, kw_only=True):
    """For how long the network refuses the session, in seconds."""

    seconds: Seconds | None = None


class SayText(SendText, frozen=True, kw_only=True, tag="text"):
    """Somebody says a text."""

    from_: PersonInput = msgspec.field(name="from")


class SayPoll(SendPoll, frozen=True, kw_only=True, tag="poll"):
    """Somebody makes a poll."""

    from_: PersonInput = msgspec.field(name="from")


class SayLocation(SendLocation, frozen=True, kw_only=True, tag="location"):
    """Somebody shares a place."""

    from_: PersonInput = msgspec.field(name="from")


class SayContact(SendContact, frozen=True, kw_only=True, tag="contact"):
    """Somebody shares a card."""

    from_: PersonInput = msgspec.field(name="from")


class SayImage(SendImage, frozen=True, kw_only=True, tag="image"):
    """Somebody shows a picture."""

    from_: PersonInput = msgspec.field(name="from")


class SayVideo(SendVideo, frozen=True, kw_only=True, tag="video"):
    """Somebody shows a video."""

    from_: PersonInput = msgspec.field(name="from")


class SayAudio(SendAudio, frozen=True, kw_only=True, tag="audio"):
    """Somebody sends a sound or a voice message."""

    from_: PersonInput = msgspec.field(name="from")


class SayDocument(SendDocument, frozen=True, kw_only=True, tag="document"):
    """Somebody sends a file."""

    from_: PersonInput = msgspec.field(name="from")


class SaySticker(SendSticker, frozen=True, kw_only=True, tag="sticker"):
    """Somebody sends a sticker."""

    from_: PersonInput = msgspec.field(name="from")


Say = SayText | SayPoll | SayLocation | SayContact | SayImage | SayVideo | SayAudio | SayDocument | SaySticker


class Said(Shape, frozen=True, kw_only=True):
    """The message's id on the network."""

    wa_message_id: str


class From(Ask, frozen=True, kw_only=True):
    """Who does it."""

    from_: PersonInput = msgspec.field(name="from")


class React(From, frozen=True, kw_only=True):
    """The emoji somebody reacts with; an empty one takes it back."""

    emoji: Annotated[Line, Meta(max_length=64)]


class Edit(From, frozen=True, kw_only=True):
    """The new text of somebody's own message."""

    text: Annotated[Prose, Meta(min_length=1, max_length=65536)]


class Vote(From, frozen=True, kw_only=True):
    """The full set of options somebody chooses."""

    options: Annotated[list[Option], Meta(max_length=12)]


class Call(Ask, frozen=True, kw_only=True):
    """Whom somebody rings: a person, or a group they are in."""

    to: ChatInput
    video: bool | None = None


class NewGroup(Ask, frozen=True, kw_only=True):
    """A group that people make."""

    owner: PersonInput
    subject: Subject
    participants: People
    approve_joins: bool | None = None


class MadeGroup(Shape, frozen=True, kw_only=True):
    """The group that was made, and its invite link."""

    group_jid: str
    invite: str


class GroupStep(Ask, frozen=True, kw_only=True):
    """Somebody joins, leaves, asks to join, rises or falls."""

    phone: Phone
    invite: Annotated[Line, Meta(min_length=1, max_length=256)] | None = None


class ChangePerson(Ask, frozen=True, kw_only=True):
    """What is to change about somebody; absent stays. `picture`: whether they have one; true makes a new one."""

    online: bool | None = None
    typing: bool | None = None
    name: Annotated[Line, Meta(min_length=1, max_length=100)] | None = None
    about: Annotated[Prose, Meta(max_length=500)] | None = None
    blocked: bool | None = None
    picture: bool | None = None


class Fault(Ask, frozen=True, kw_only=True):
    """What is to go wrong: the next `count` times (1 unless told), or for `seconds`; for one session or for all."""

    kind: FaultKind
    session: Annotated[Line, Meta(min_length=1, max_length=64)] | None = None
    count: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    seconds: Seconds | None = None


class Advance(Ask, frozen=True, kw_only=True):
    """How far to turn the clock, in seconds."""

    advance_seconds: Annotated[float, Meta(gt=0, le=31_536_000)]


class ShownVote(Shape, frozen=True, kw_only=True):
    """What one person chose in a poll."""

    sender_jid: str
    options: list[str]


class Shown(Shape, frozen=True, kw_only=True):
    """One copy of a message as a recipient's phone shows it, after everything that changed it.

    `content` is what it says now: the new text of an edited one, `gone` of a revoked one.
    """

    wa_message_id: str
    from_: str = msgspec.field(name="from")
    to: str
    recipient: str
    type: str
    content: Content
    timestamp: Millis
    status: Literal["sent", "delivered", "read", "played"]
    edited: bool = False
    revoked: bool = False
    reactions: list[Reaction] = []
    votes: list[ShownVote] = []


class Frame(Shape, frozen=True, kw_only=True):
    """One frame that the network saw, in order; a wire id stands here as often as it was sent."""

    number: int
    timestamp: Millis
    kind: str
    session: Maybe[str] = UNSET
    wa_message_id: Maybe[str] = UNSET
    from_: Maybe[str] = msgspec.field(name="from", default=UNSET)
    to: Maybe[str] = UNSET


class TrueMember(Shape, frozen=True, kw_only=True):
    """A member as the network knows them."""

    jid: str
    lid: str
    role: Role


class TrueGroup(Shape, frozen=True, kw_only=True):
    """A group as the network knows it."""

    group_jid: str
    subject: str
    description: str
    is_announce: bool
    is_locked: bool
    approves_joins: bool
    members: list[TrueMember]
    invite: str
    pending: list[str]
    picture_id: Maybe[str] = UNSET


class ShownPage(Shape, frozen=True, kw_only=True):
    """Some copies, and where the next ones begin; an empty `next` means no more."""

    rows: list[Shown]
    next: str


class FramePage(Shape, frozen=True, kw_only=True):
    """Some frames, and where the next ones begin; an empty `next` means no more."""

    rows: list[Frame]
    next: str


class LinkPhone(Action, frozen=True, kw_only=True):
    """A phone scans a session's code."""

    answer: ClassVar[Any] = Scanned
    session: str
    phone: str | None
    name: str | None


class Disturb(Action, frozen=True, kw_only=True):
    """Something happens to a session from outside: removed on the phone, banned, replaced, or its line drops."""

    session: str
    what: Literal["unlink", "ban", "replace", "drop"]
    seconds: float = 0


class Speak(Action, frozen=True, kw_only=True):
    """A person says something."""

    answer: ClassVar[Any] = Said
    sender: str
    to: str
    content: Content


class ChangeMessage(Action, frozen=True, kw_only=True):
    """A person reacts to a message, edits or revokes one of theirs (or, as an admin, another's), or votes.

    The message is the newest with this id that the person wrote or got.
    """

    sender: str
    message: str
    what: Literal["react", "edit", "revoke", "vote"]
    text: str = ""
    options: list[str] = []


class Ring(Action, frozen=True, kw_only=True):
    """A person rings somebody, or a group."""

    caller: str
    to: str
    video: bool


class Acknowledge(Action, frozen=True, kw_only=True):
    """A person reads or plays a message."""

    sender: str
    message: str
    what: Literal["read", "play"]


class ListShown(Action, frozen=True, kw_only=True):
    """What phones show, oldest first."""

    answer: ClassVar[Any] = ShownPage
    to: str | None
    sender: str | None
    message: str | None
    after: str
    limit: int


class ListFrames(Action, frozen=True, kw_only=True):
    """What the network saw, oldest first."""

    answer: ClassVar[Any] = FramePage
    after: str
    limit: int


class MakeGroup(Action, frozen=True, kw_only=True):
    """People make a group."""

    answer: ClassVar[Any] = MadeGroup
    owner: str
    subject: str
    people: list[str]
    approve_joins: bool = False


class LookAtGroup(Action, frozen=True, kw_only=True):
    """The network's truth about a group."""

    answer: ClassVar[Any] = TrueGroup
    group: str


class MoveMember(Action, frozen=True, kw_only=True):
    """Somebody joins, leaves, asks to join, rises or falls."""

    group: str
    person: str
    step: Literal["join", "leave", "request", "promote", "demote"]
    invite: str | None


class AlterPerson(Action, frozen=True, kw_only=True):
    """Something about a person changes."""

    phone: str
    change: ChangePerson


class InjectFault(Action, frozen=True, kw_only=True):
    """Something is to go wrong."""

    fault: Fault


NetworkAction = (
    LinkPhone
    | Disturb
    | Speak
    | ChangeMessage
    | Ring
    | Acknowledge
    | ListShown
    | ListFrames
    | MakeGroup
    | LookAtGroup
    | MoveMember
    | AlterPerson
    | InjectFault
)
