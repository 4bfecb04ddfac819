"""What is said: every content in its canonical form, as rows keep it and engines get and report it.

Canonical means: JIDs normalised, cards with a `vcard` each, a quote with all that is known of what it quotes. Clients
send the forms of `model/sends.py`; `gateway/contents.py` makes these of them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from wagate.model import Maybe, Millis, Shape

MediaKind = Literal["image", "video", "audio", "document", "sticker"]


class Preview(Shape, frozen=True, kw_only=True):
    """A link's preview as shown under a text."""

    title: str
    description: Maybe[str] = UNSET
    thumbnail_url: Maybe[str] = UNSET


class Card(Shape, frozen=True, kw_only=True):
    """A contact card: its name and the vCard itself."""

    name: str
    vcard: str


class Media(Shape, frozen=True, kw_only=True):
    """A file that was said: what is known of it, and where its bytes are.

    `size` in bytes, `sha256` in hex. `id`: our own copy (`gateway/media.py`), a key for the engine's `Files`. `ref`:
    how the network finds its copy, in words that only the engine understands. One of the two is set.
    """

    mimetype: str
    size: Maybe[int] = UNSET
    sha256: Maybe[str] = UNSET
    filename: Maybe[str] = UNSET
    caption: Maybe[str] = UNSET
    voice: Maybe[bool] = UNSET
    id: Maybe[str] = UNSET
    ref: Maybe[str] = UNSET


class Quote(Shape, frozen=True, kw_only=True):
    """The message that is answered, as far as it is known. `body` is at most 4,096 bytes of UTF-8.

    `from_me`: the account itself wrote it.
    """

    message_id: str
    sender_jid: Maybe[str] = UNSET
    sender_lid: Maybe[str] = UNSET
    body: Maybe[str] = UNSET
    from_me: Maybe[bool] = UNSET


class Target(Shape, frozen=True, kw_only=True):
    """The message that a change is about, in the same chat.

    `from_me`: the account that sends or gets the change wrote it; else `sender` is its author's canonical JID.
    """

    message_id: str
    from_me: bool
    sender: Maybe[str] = UNSET


class Said(Shape, frozen=True, kw_only=True, tag_field="type"):
    """What every message may carry. `mentions` are canonical JIDs."""

    mentions: Maybe[list[str]] = UNSET
    quote: Maybe[Quote] = UNSET
    forwarded: Maybe[bool] = UNSET


class TextContent(Said, frozen=True, kw_only=True, tag="text"):
    """A text."""

    text: str
    preview: Maybe[Preview] = UNSET


class PollContent(Said, frozen=True, kw_only=True, tag="poll"):
    """A question with options; `selectable_count` 0: any number of them."""

    name: str
    options: list[str]
    selectable_count: int = 1
    poll_end_time: Maybe[Millis] = UNSET
    poll_hide_votes: Maybe[bool] = UNSET


class LocationContent(Said, frozen=True, kw_only=True, tag="location"):
    """A place on earth, in degrees."""

    latitude: float
    longitude: float
    name: Maybe[str] = UNSET
    address: Maybe[str] = UNSET


class ContactContent(Said, frozen=True, kw_only=True, tag="contact"):
    """Contact cards, one or more."""

    cards: list[Card]


class ImageContent(Said, frozen=True, kw_only=True, tag="image"):
    """A picture."""

    media: Media


class VideoContent(Said, frozen=True, kw_only=True, tag="video"):
    """A video."""

    media: Media


class AudioContent(Said, frozen=True, kw_only=True, tag="audio"):
    """A sound, or a voice message (`media.voice`)."""

    media: Media


class DocumentContent(Said, frozen=True, kw_only=True, tag="document"):
    """A file of any kind."""

    media: Media


class StickerContent(Said, frozen=True, kw_only=True, tag="sticker"):
    """A sticker, WebP."""

    media: Media


class AlbumItem(Shape, frozen=True, kw_only=True):
    """One picture or video of an album; `message_id` is its own wire id where the engine lets ids be chosen."""

    content: ImageContent | VideoContent
    message_id: Maybe[str] = UNSET


class AlbumContent(Said, frozen=True, kw_only=True, tag="album"):
    """Pictures and videos sent as one. It arrives, is stored and is told as its items; the first has the caption."""

    items: list[AlbumItem]


class EditContent(Said, frozen=True, kw_only=True, tag="edit"):
    """A message says something else from now on."""

    target: Target
    text: str


class RevokeContent(Said, frozen=True, kw_only=True, tag="revoke"):
    """A message is taken back: its author's, or an admin's of the group."""

    target: Target


class ReactionContent(Said, frozen=True, kw_only=True, tag="reaction"):
    """An emoji on a message; an empty one takes it back."""

    target: Target
    emoji: str


class VoteContent(Said, frozen=True, kw_only=True, tag="poll_vote"):
    """The full set of what somebody chooses in a poll: labels, or a raw hash where the engine knows no label."""

    target: Target
    options: list[str]


class GoneContent(Said, frozen=True, kw_only=True, tag="gone"):
    """What is left of a message that was revoked. Only in rows."""


MediaContent = ImageContent | VideoContent | AudioContent | DocumentContent | StickerContent
MessageContent = TextContent | PollContent | LocationContent | ContactContent | MediaContent
"""What becomes a message of its own."""

Change = EditContent | RevokeContent | ReactionContent | VoteContent
"""What changes an earlier message. On the network it is sent like a message, and has a wire id of its own."""

Content = MessageContent | AlbumContent | Change | GoneContent
"""Anything that is sent, reported or stored."""
