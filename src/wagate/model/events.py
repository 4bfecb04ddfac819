"""The catalogue of facts: every event and its payload.

An event is recorded once in its organization's log and read from there by everyone. `CATALOGUE` maps an event's name to
its payload's shape; the envelope is the same everywhere.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from wagate.model import Maybe, Millis, Shape
from wagate.model.messages import ContactCard, MediaFacts, Place, Poll, SendError
from wagate.model.sessions import Reason, Status

EventType = Literal[
    "text", "image", "video", "audio", "document", "sticker", "location", "contact", "poll", "system",
    "reaction", "revoke", "poll_vote",
]  # fmt: skip


class SessionStatus(Shape, frozen=True, kw_only=True):
    """A session's status changed."""

    status: Status
    reason: Maybe[Reason] = UNSET


class AuthQr(Shape, frozen=True, kw_only=True):
    """A QR code is ready to be scanned."""

    code: str


class AuthCode(Shape, frozen=True, kw_only=True):
    """Linking succeeded."""

    jid: Maybe[str] = UNSET
    lid: Maybe[str] = UNSET
    business_name: Maybe[str] = UNSET
    platform: Maybe[str] = UNSET


class Mention(Shape, frozen=True, kw_only=True):
    """Who was mentioned, as far as known."""

    push_name: Maybe[str] = UNSET
    tag: Maybe[str] = UNSET


class MessageFields(Shape, frozen=True, kw_only=True):
    """The common fields of everything said."""

    wa_message_id: str
    chat_jid: str
    from_me: bool
    type: EventType
    timestamp: Millis
    has_media: bool
    media: MediaFacts | None
    sender_jid: Maybe[str] = UNSET
    sender_lid: Maybe[str] = UNSET
    push_name: Maybe[str] = UNSET
    body: Maybe[str] = UNSET
    quoted_message_id: Maybe[str] = UNSET
    quoted_sender_jid: Maybe[str] = UNSET
    quoted_sender_lid: Maybe[str] = UNSET
    quoted_body: Maybe[str] = UNSET
    quoted_from_me: Maybe[bool] = UNSET
    mentions: Maybe[dict[str, Mention]] = UNSET
    location: Maybe[Place] = UNSET
    contact: Maybe[ContactCard] = UNSET
    poll: Maybe[Poll] = UNSET


class MessageSaid(MessageFields, frozen=True, kw_only=True):
    """A message: from somebody (`message`), or from this account (`message.from_me`)."""


class MessageStatusChanged(Shape, frozen=True, kw_only=True):
    """Messages came further; never moves one backwards. In groups one event for each member."""

    chat_jid: str
    message_ids: list[str]
    status: Literal["pending", "sent", "delivered", "read", "played", "failed", "uncertain"]
    timestamp: Millis
    sender_jid: Maybe[str] = UNSET
    outbox_id: Maybe[str] = UNSET
    error: Maybe[SendError] = UNSET


class MessageReaction(MessageFields, frozen=True, kw_only=True):
    """Somebody reacted; an empty reaction is one taken back."""

    reaction: str
    target_id: str


class MessageChanged(MessageFields, frozen=True, kw_only=True):
    """A message was edited (`body` is the new text) or revoked."""

    target_id: str


class PollVote(MessageFields, frozen=True, kw_only=True):
    """Somebody voted; the full set of their options."""

    target_id: str
    selected_options: list[str]


class OptionCount(Shape, frozen=True, kw_only=True):
    """How many chose an option."""

    option: str
    count: int


class Voter(Shape, frozen=True, kw_only=True):
    """What somebody chose."""

    voter_id: str
    display_name: str
    selected_options: list[str]


class PollRecap(Shape, frozen=True, kw_only=True):
    """A poll ended; counted once, from each voter's latest vote."""

    poll_message_id: str
    chat_jid: str
    name: str
    options: list[OptionCount]
    selectable_count: int
    end_time: Millis
    hide_votes: bool
    total_votes: int
    voters: Maybe[list[Voter]] = UNSET


class PresenceUpdate(Shape, frozen=True, kw_only=True):
    """Somebody came, went or types."""

    from_: str = msgspec.field(name="from")
    state: str
    chat_jid: Maybe[str] = UNSET
    media: Maybe[Literal["text", "audio"]] = UNSET
    unavailable: Maybe[bool] = UNSET
    last_seen: Maybe[Millis] = UNSET


class GroupUpdate(Shape, frozen=True, kw_only=True):
    """A group's settings changed; only what changed is there."""

    group_jid: str
    sender: Maybe[str] = UNSET
    timestamp: Maybe[Millis] = UNSET
    subject: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    is_announce: Maybe[bool] = UNSET
    is_locked: Maybe[bool] = UNSET
    new_invite_link: Maybe[str] = UNSET
    reason: Maybe[str] = UNSET


class GroupParticipant(Shape, frozen=True, kw_only=True):
    """People came, went, rose or fell; one of the four is there."""

    group_jid: str
    sender: Maybe[str] = UNSET
    timestamp: Maybe[Millis] = UNSET
    join: Maybe[list[str]] = UNSET
    leave: Maybe[list[str]] = UNSET
    promote: Maybe[list[str]] = UNSET
    demote: Maybe[list[str]] = UNSET


class ChatUpdate(Shape, frozen=True, kw_only=True):
    """A chat changed."""

    chat_jid: str
    change: Literal["picture", "archived", "pinned", "muted", "read", "merged"]
    picture_id: Maybe[str] = UNSET
    removed: Maybe[bool] = UNSET
    archived: Maybe[bool] = UNSET
    pinned: Maybe[bool] = UNSET
    muted_until: Maybe[Millis] = UNSET
    unread_count: Maybe[int] = UNSET


class ContactUpdate(Shape, frozen=True, kw_only=True):
    """A contact's name was learnt or changed."""

    jid: str
    push_name: Maybe[str] = UNSET
    full_name: Maybe[str] = UNSET
    first_name: Maybe[str] = UNSET


class CallIncoming(Shape, frozen=True, kw_only=True):
    """Somebody rings."""

    call_id: str
    from_: str = msgspec.field(name="from")
    timestamp: Millis
    is_group: bool
    group_jid: Maybe[str] = UNSET


class NewsletterUpdate(Shape, frozen=True, kw_only=True):
    """A channel was followed, left or muted."""

    jid: str
    action: Literal["join", "leave", "mute"]


class WebhookNotice(Shape, frozen=True, kw_only=True):
    """About a webhook itself."""

    webhook_id: str
    reason: Maybe[str] = UNSET
    last_error: Maybe[str] = UNSET


CATALOGUE: dict[str, type[Shape]] = {
    "session.status": SessionStatus,
    "auth.qr": AuthQr,
    "auth.code": AuthCode,
    "message": MessageSaid,
    "message.from_me": MessageSaid,
    "message.status": MessageStatusChanged,
    "message.reaction": MessageReaction,
    "message.edited": MessageChanged,
    "message.revoked": MessageChanged,
    "poll.vote": PollVote,
    "poll.recap": PollRecap,
    "presence.update": PresenceUpdate,
    "group.update": GroupUpdate,
    "group.participant": GroupParticipant,
    "chat.update": ChatUpdate,
    "contact.update": ContactUpdate,
    "call.incoming": CallIncoming,
    "newsletter.update": NewsletterUpdate,
    "webhook.disabled": WebhookNotice,
    "webhook.test": WebhookNotice,
}

EventId = Annotated[str, Meta(pattern=r"^evt_[0-9A-HJKMNP-TV-Z]{26}$")]


class Event(Shape, frozen=True, kw_only=True):
    """The envelope: one recorded fact. `payload` is already encoded, in the shape that `CATALOGUE` names."""

    schema: Literal["v1"] = "v1"
    id: str
    event: str
    session: str
    organization: str
    timestamp: Millis
    payload: msgspec.Raw
