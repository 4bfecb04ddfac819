"""What clients ask to send, and to change: the bodies of the message operations."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wagate.model import Ask, Line, Millis, Prose
from wagate.model.jid import ChatInput, KnownChatInput, PersonInput

MessageId = Annotated[Line, Meta(min_length=1, max_length=128)]
Caption = Annotated[Prose, Meta(max_length=65536)]
Mentions = Annotated[list[PersonInput], Meta(max_length=1024)]
MimeType = Annotated[
    str,
    Meta(
        max_length=128,
        pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *; *[A-Za-z0-9_-]+=[^\u0000-\u001f\u007f]*)?$",
    ),
]
Filename = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f/\\])")]
Url = Annotated[str, Meta(max_length=2048, pattern=r"^https?://[^\u0000-\u0020\u007f]+$")]
Base64 = Annotated[str, Meta(description="The bytes in base64, with or without padding, or a `data:` URI.")]


class PreviewInput(Ask, frozen=True, kw_only=True):
    """A link's preview as shown under a text."""

    title: Annotated[Line, Meta(min_length=1, max_length=300)]
    description: Annotated[Prose, Meta(max_length=1000)] | None = None
    thumbnail_url: Url | None = None


class CardInput(Ask, frozen=True, kw_only=True):
    """A contact card: `vcard`, or `name` and `phone` from which one is made; `vcard` wins."""

    name: Annotated[Line, Meta(min_length=1, max_length=255)] | None = None
    phone: Annotated[Line, Meta(min_length=5, max_length=32)] | None = None
    vcard: Annotated[Prose, Meta(min_length=1, max_length=65536)] | None = None


class Source(Ask, frozen=True, kw_only=True):
    """Where bytes come from: exactly one of `data`, `url` and `id` (of an upload).

    `mimetype` is detected from the bytes when it is absent.
    """

    data: Base64 | None = None
    url: Url | None = None
    id: Annotated[Line, Meta(min_length=1, max_length=64)] | None = None
    mimetype: MimeType | None = None


class PictureInput(Source, frozen=True, kw_only=True):
    """A picture, a video or a document."""

    caption: Caption | None = None
    filename: Filename | None = None


class AudioInput(Source, frozen=True, kw_only=True):
    """A sound; `voice`: a voice message, OGG/Opus."""

    filename: Filename | None = None
    voice: bool | None = None


class StickerInput(Source, frozen=True, kw_only=True):
    """A sticker: WebP."""

    filename: Filename | None = None


class AlbumMedia(Source, frozen=True, kw_only=True):
    """One item of an album."""

    type: Literal["image", "video"] | None = None


class TextForm(Ask, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A text."""

    text: Annotated[Prose, Meta(min_length=1, max_length=65536)]
    mentions: Mentions | None = None
    reply_to: MessageId | None = None
    preview: PreviewInput | None = None


Option = Annotated[Line, Meta(min_length=1, max_length=100)]


class PollForm(Ask, frozen=True, kw_only=True, tag_field="type", tag="poll"):
    """A question with options."""

    name: Annotated[Line, Meta(min_length=1, max_length=255)]
    options: Annotated[list[Option], Meta(min_length=2, max_length=12, extra_json_schema={"uniqueItems": True})]
    selectable_count: (
        Annotated[int, Meta(ge=0, le=12, description="How many may be chosen; 0: any. 1 if absent.")] | None
    ) = None
    poll_end_time: Millis | None = None
    poll_hide_votes: bool | None = None


class LocationForm(Ask, frozen=True, kw_only=True, tag_field="type", tag="location"):
    """A place on earth, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: Annotated[Line, Meta(max_length=255)] | None = None
    address: Annotated[Line, Meta(max_length=1024)] | None = None


class ContactForm(Ask, frozen=True, kw_only=True, tag_field="type", tag="contact"):
    """One contact card (`contact`) or several (`contacts`)."""

    contact: CardInput | None = None
    contacts: Annotated[list[CardInput], Meta(min_length=1, max_length=50)] | None = None


class MediaForm(Ask, frozen=True, kw_only=True):
    """What every media message may carry."""

    reply_to: MessageId | None = None
    mentions: Mentions | None = None


class ImageForm(MediaForm, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """A picture."""

    media: PictureInput


class VideoForm(MediaForm, frozen=True, kw_only=True, tag_field="type", tag="video"):
    """A video."""

    media: PictureInput


class AudioForm(MediaForm, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """A sound or a voice message."""

    media: AudioInput


class DocumentForm(MediaForm, frozen=True, kw_only=True, tag_field="type", tag="document"):
    """A file of any kind."""

    media: PictureInput


class StickerForm(MediaForm, frozen=True, kw_only=True, tag_field="type", tag="sticker"):
    """A sticker."""

    media: StickerInput


class AlbumForm(MediaForm, frozen=True, kw_only=True, tag_field="type", tag="album"):
    """Pictures and videos sent as one."""

    medias: Annotated[list[AlbumMedia], Meta(min_length=2, max_length=10)]
    caption: Caption | None = None


Form = TextForm | PollForm | LocationForm | ContactForm | ImageForm | VideoForm | AudioForm | DocumentForm | StickerForm
"""What is to be said, without to whom."""


class SendText(TextForm, frozen=True, kw_only=True, tag="text"):
    """Send a text."""

    to: ChatInput


class SendPoll(PollForm, frozen=True, kw_only=True, tag="poll"):
    """Send a poll."""

    to: ChatInput


class SendLocation(LocationForm, frozen=True, kw_only=True, tag="location"):
    """Send a location."""

    to: ChatInput


class SendContact(ContactForm, frozen=True, kw_only=True, tag="contact"):
    """Send contact cards."""

    to: ChatInput


class SendImage(ImageForm, frozen=True, kw_only=True, tag="image"):
    """Send a picture."""

    to: ChatInput


class SendVideo(VideoForm, frozen=True, kw_only=True, tag="video"):
    """Send a video."""

    to: ChatInput


class SendAudio(AudioForm, frozen=True, kw_only=True, tag="audio"):
    """Send a sound or a voice message."""

    to: ChatInput


class SendDocument(DocumentForm, frozen=True, kw_only=True, tag="document"):
    """Send a file."""

    to: ChatInput


class SendSticker(StickerForm, frozen=True, kw_only=True, tag="sticker"):
    """Send a sticker."""

    to: ChatInput


class SendAlbum(AlbumForm, frozen=True, kw_only=True, tag="album"):
    """Send pictures and videos as one."""

    to: ChatInput


Send = (
    SendText
    | SendPoll
    | SendLocation
    | SendContact
    | SendImage
    | SendVideo
    | SendAudio
    | SendDocument
    | SendSticker
    | SendAlbum
)


class EditMessage(Ask, frozen=True, kw_only=True):
    """The new text of an own message."""

    chat: KnownChatInput
    text: Annotated[Prose, Meta(min_length=1, max_length=65536)]


SenderInput = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^(\+?[0-9][0-9 ().-]*(:[0-9]+)?(@(s\.whatsapp\.net|c\.us|lid))?)?$",
        description="The message's author: phone JID, LID, `@c.us`, or a bare phone number; empty counts as absent.",
    ),
]


class PointAt(Ask, frozen=True, kw_only=True):
    """A message: its chat and its author; without `sender` the stored author, else the account itself."""

    chat: KnownChatInput
    sender: SenderInput | None = None


class PointAtOptional(Ask, frozen=True, kw_only=True):
    """As `PointAt`; what is absent here may stand in the query."""

    chat: KnownChatInput | None = None
    sender: SenderInput | None = None


class ForwardMessage(PointAt, frozen=True, kw_only=True):
    """Where a copy is to go."""

    to: ChatInput


Emoji = Annotated[Line, Meta(min_length=1, max_length=64)]


class AddReaction(PointAt, frozen=True, kw_only=True):
    """The emoji to react with."""

    emoji: Emoji


class RevokeMessage(PointAtOptional, frozen=True, kw_only=True):
    """The message that is taken back."""


class RemoveReaction(PointAtOptional, frozen=True, kw_only=True):
    """The message whose reaction of ours goes; `emoji` is ignored."""

    emoji: Annotated[Line, Meta(max_length=64)] | None = None


class CastVote(PointAt, frozen=True, kw_only=True):
    """The full set of options to choose; none takes the vote back."""

    options: Annotated[list[Option], Meta(max_length=12)]


class MarkRead(PointAt, frozen=True, kw_only=True):
    """Messages that were read."""

    message_ids: Annotated[list[MessageId], Meta(min_length=1, max_length=1000)]


class PostStatus(Ask, frozen=True, kw_only=True):
    """A status for all contacts: a text, or a picture with an optional `text` as its caption."""

    type: Literal["text", "image"] | None = None
    text: Annotated[Prose, Meta(min_length=1, max_length=65536)] | None = None
    media: PictureInput | None = None
