"""Messages: what is said (content), and a message as it is sent, stored and seen."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from wagate.model import Ask, Line, Maybe, Millis, Prose, Shape
from wagate.model.jid import ChatInput, PersonInput

MessageStatus = Literal["queued", "pending", "sent", "delivered", "read", "played", "failed", "uncertain"]
ACK_LEVELS: dict[str, int] = {"queued": 0, "pending": 0, "sent": 1, "delivered": 2, "read": 3, "played": 4}
"""How far a message came; a receipt never moves it back."""

MessageType = Literal["text", "image", "video", "audio", "document", "sticker", "location", "contact", "poll", "system"]
MessageId = Annotated[Line, Meta(min_length=1, max_length=128)]


class Preview(Ask, frozen=True, kw_only=True):
    """A link's preview as shown under a text."""

    title: Annotated[Line, Meta(min_length=1, max_length=300)]
    description: Annotated[Prose, Meta(max_length=1000)] | None = None
    thumbnail_url: Annotated[str, Meta(max_length=2048, pattern=r"^https?://[^\u0000-\u0020\u007f]+$")] | None = None


class Card(Ask, frozen=True, kw_only=True):
    """A contact card: `vcard`, or `name` and `phone` from which one is made; `vcard` wins."""

    name: Annotated[Line, Meta(min_length=1, max_length=255)] | None = None
    phone: Annotated[Line, Meta(min_length=5, max_length=32)] | None = None
    vcard: Annotated[Prose, Meta(min_length=1, max_length=65536)] | None = None


class TextContent(Ask, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A text."""

    text: Annotated[Prose, Meta(min_length=1, max_length=65536)]
    mentions: Annotated[list[PersonInput], Meta(max_length=1024)] | None = None
    reply_to: MessageId | None = None
    preview: Preview | None = None


Option = Annotated[Line, Meta(min_length=1, max_length=100)]


class PollContent(Ask, frozen=True, kw_only=True, tag_field="type", tag="poll"):
    """A question with options."""

    name: Annotated[Line, Meta(min_length=1, max_length=255)]
    options: Annotated[list[Option], Meta(min_length=2, max_length=12, extra_json_schema={"uniqueItems": True})]
    selectable_count: (
        Annotated[int, Meta(ge=0, le=12, description="How many may be chosen; 0: any. 1 if absent.")] | None
    ) = None
    poll_end_time: Millis | None = None
    poll_hide_votes: bool | None = None


class LocationContent(Ask, frozen=True, kw_only=True, tag_field="type", tag="location"):
    """A place on earth, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: Annotated[Line, Meta(max_length=255)] | None = None
    address: Annotated[Line, Meta(max_length=1024)] | None = None


class ContactContent(Ask, frozen=True, kw_only=True, tag_field="type", tag="contact"):
    """One contact card (`contact`) or several (`contacts`)."""

    contact: Card | None = None
    contacts: Annotated[list[Card], Meta(min_length=1, max_length=50)] | None = None


Content = TextContent | PollContent | LocationContent | ContactContent
"""What is said. In rows and behind the engine port it is canonical: JIDs normalised, cards with a `vcard` each."""


class SendText(TextContent, frozen=True, kw_only=True, tag="text"):
    """Send a text."""

    to: ChatInput


class SendPoll(PollContent, frozen=True, kw_only=True, tag="poll"):
    """Send a poll."""

    to: ChatInput


class SendLocation(LocationContent, frozen=True, kw_only=True, tag="location"):
    """Send a location."""

    to: ChatInput


class SendContact(ContactContent, frozen=True, kw_only=True, tag="contact"):
    """Send contact cards."""

    to: ChatInput


Send = SendText | SendPoll | SendLocation | SendContact


class SendError(Shape, frozen=True, kw_only=True):
    """Why a send failed. `certain` false: it may have gone out all the same."""

    code: str
    reason: Maybe[str] = UNSET
    wa_code: Maybe[int] = UNSET
    certain: bool


class SendResult(Shape, frozen=True, kw_only=True):
    """Where a send stands."""

    mode: Literal["sync", "async"]
    status: Maybe[MessageStatus] = UNSET
    wa_message_id: Maybe[str] = UNSET
    timestamp: Maybe[Millis] = UNSET
    outbox_id: Maybe[str] = UNSET
    replayed: Maybe[bool] = UNSET
    item_ids: Maybe[list[str]] = UNSET
    error: Maybe[SendError] = UNSET


class Place(Shape, frozen=True, kw_only=True):
    """A location as seen."""

    latitude: float
    longitude: float
    name: Maybe[str] = UNSET
    address: Maybe[str] = UNSET


class ContactCard(Shape, frozen=True, kw_only=True):
    """A contact card as seen."""

    display_name: Maybe[str] = UNSET
    vcard: Maybe[str] = UNSET


class Poll(Shape, frozen=True, kw_only=True):
    """A poll as seen."""

    name: str
    options: list[str]
    selectable_count: int
    end_time: Maybe[Millis] = UNSET
    hide_votes: Maybe[bool] = UNSET


class MediaFacts(Shape, frozen=True, kw_only=True):
    """What is known of a message's media without its bytes; `size` in bytes."""

    mimetype: Maybe[str] = UNSET
    filename: Maybe[str] = UNSET
    size: Maybe[int] = UNSET


class Reaction(Shape, frozen=True, kw_only=True):
    """One person's reaction."""

    emoji: str
    sender_jid: str


class Message(Shape, frozen=True, kw_only=True):
    """A message as stored."""

    id: str
    session_id: str
    wa_message_id: str
    chat_jid: str
    direction: Literal["in", "out"]
    from_me: bool
    type: MessageType
    timestamp: Millis
    created_at: Millis
    deleted: bool
    edited: bool
    has_media: bool
    sender_jid: Maybe[str] = UNSET
    sender_lid: Maybe[str] = UNSET
    sender_name: Maybe[str] = UNSET
    body: Maybe[str] = UNSET
    quoted_message_id: Maybe[str] = UNSET
    mentions: Maybe[list[str]] = UNSET
    mention_names: Maybe[dict[str, str]] = UNSET
    media: Maybe[MediaFacts] = UNSET
    status: Maybe[MessageStatus] = UNSET
    ack_level: Maybe[int] = UNSET
    error: Maybe[SendError] = UNSET
    poll: Maybe[Poll] = UNSET
    location: Maybe[Place] = UNSET
    contact: Maybe[ContactCard] = UNSET
    reactions: Maybe[list[Reaction]] = UNSET


class Outgoing(Shape, frozen=True, kw_only=True):
    """A send as an engine gets it. `wire_id` is set where the engine chooses ids beforehand."""

    wire_id: str | None
    chat: str
    content: Content


class Ack(Shape, frozen=True, kw_only=True):
    """The network has a message: its id there, and the network's time."""

    wire_id: str
    timestamp: Millis


class Arrived(Shape, frozen=True, kw_only=True):
    """A message that reached the account: from another person, or typed on the account's own phone (`from_me`).

    `history` is true for what the network replays at linking: it is stored without an event.
    """

    wire_id: str
    chat: str
    from_me: bool
    timestamp: Millis
    content: Content
    sender: Maybe[str] = UNSET
    sender_lid: Maybe[str] = UNSET
    push_name: Maybe[str] = UNSET
    history: bool = False


class Receipt(Shape, frozen=True, kw_only=True):
    """How far messages came, by whom: `sender` is the person who received, read or played them."""

    chat: str
    wire_ids: list[str]
    status: Literal["delivered", "read", "played"]
    timestamp: Millis
    sender: Maybe[str] = UNSET
