"""Messages as they are sent, stored and seen; what they say is in `model/contents.py`."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from wagate.model import Maybe, Millis, Shape
from wagate.model.contents import Change, Content, MessageContent

MessageStatus = Literal["queued", "pending", "sent", "delivered", "read", "played", "failed", "uncertain"]
ACK_LEVELS: dict[str, int] = {"queued": 0, "pending": 0, "sent": 1, "delivered": 2, "read": 3, "played": 4}
"""How far a message came; a receipt never moves it back."""

MessageType = Literal["text", "image", "video", "audio", "document", "sticker", "location", "contact", "poll", "system"]


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


class PostedStatus(Shape, frozen=True, kw_only=True):
    """The wire id of a status that was posted."""

    message_id: str


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
    """The network has a message: its id there, and the network's time. `item_ids`: an album's items, in order."""

    wire_id: str
    timestamp: Millis
    item_ids: Maybe[list[str]] = UNSET


class Arrived(Shape, frozen=True, kw_only=True):
    """A message, or a change of one, that reached the account: from another person, or made on the account's own phone
    (`from_me`). An album arrives as its items.

    `history` is true for what the network replays at linking: it is stored without an event.
    """

    wire_id: str
    chat: str
    from_me: bool
    timestamp: Millis
    content: MessageContent | Change
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
