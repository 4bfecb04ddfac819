"""Contents: made canonical when accepted, and unfolded into the fields that clients see.

Called by api/messages, api/sandbox (canonical) and messages (said, facets, body).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
from msgspec import UNSET

from wagate.errors import BadRequest
from wagate.model import Maybe, jid
from wagate.model.contacts import Person
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    AudioContent,
    Card,
    ContactContent,
    Content,
    DocumentContent,
    ImageContent,
    LocationContent,
    Media,
    MediaContent,
    MessageContent,
    PollContent,
    Preview,
    Quote,
    StickerContent,
    TextContent,
    VideoContent,
)
from wagate.model.events import EventType, Mention, MessageSaid
from wagate.model.messages import ContactCard, MediaFacts, Place, Poll, SendError
from wagate.model.sends import (
    AlbumForm,
    AudioForm,
    CardInput,
    ContactForm,
    DocumentForm,
    Form,
    ImageForm,
    LocationForm,
    PollForm,
    StickerForm,
    TextForm,
    VideoForm,
)

decode: Callable[[str], Content] = msgspec.json.Decoder(Content).decode
"""A content as stored. Made once: reading the types costs more than reading a content."""
decode_error: Callable[[str], SendError] = msgspec.json.Decoder(SendError).decode
"""An error as stored with a send."""


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """A content's fields as messages and events show them."""

    body: Maybe[str] = UNSET
    media: MediaFacts | None = None
    quote: Maybe[Quote] = UNSET
    mentions: Maybe[dict[str, Mention]] = UNSET
    location: Maybe[Place] = UNSET
    contact: Maybe[ContactCard] = UNSET
    poll: Maybe[Poll] = UNSET


def canonical(form: Form | AlbumForm, media: Sequence[Media] = ()) -> MessageContent | AlbumContent:
    """What clients wrote, checked beyond its shape and made canonical. `media`: the files that it names, taken in.

    A quote holds the message's id only; `messages.quoted` fills in the rest.

    Raises:
        BadRequest: what the shape cannot say: equal options, a card without a name, an address that is none.
    """
    match form:
        case TextForm():
            preview = form.preview
            shown: Maybe[Preview] = UNSET
            if preview is not None:
                shown = Preview(
                    title=preview.title,
                    description=_maybe(preview.description),
                    thumbnail_url=_maybe(preview.thumbnail_url),
                )
            return TextContent(text=form.text, preview=shown, **_context(form))
        case PollForm():
            return _poll(form)
        case LocationForm():
            return LocationContent(
                latitude=form.latitude,
                longitude=form.longitude,
                name=_maybe(form.name),
                address=_maybe(form.address),
            )
        case ContactForm():
            return _cards(form)
        case AlbumForm():
            return _album(form, media)
        case _:
            kind = _MEDIA[type(form).__struct_config__.tag]
            return kind(media=media[0], **_context(form))


_MEDIA: dict[Any, type[MediaContent]] = {
    "image": ImageContent,
    "video": VideoContent,
    "audio": AudioContent,
    "document": DocumentContent,
    "sticker": StickerContent,
}


def must_end_later(content: Content, now: int) -> None:
    """Refuse a new poll whose end, in epoch milliseconds, is not after `now`; a copy of an old one may go out.

    Raises:
        BadRequest: it would have ended already.
    """
    if isinstance(content, PollContent) and not content.forwarded and (content.poll_end_time or now + 1) <= now:
        raise BadRequest.field("pollEndTime", "is in the past")


def facets(content: Content) -> Facets:
    """What clients see of a canonical content."""
    context: dict[str, Any] = {
        "quote": content.quote,
        "mentions": {m: Mention() for m in content.mentions} if content.mentions else UNSET,
        "body": body(content) or UNSET,
    }
    match content:
        case PollContent():
            poll = Poll(
                name=content.name,
                options=content.options,
                selectable_count=content.selectable_count,
                end_time=content.poll_end_time,
                hide_votes=content.poll_hide_votes,
            )
            return Facets(poll=poll, **context)
        case LocationContent():
            place = Place(
                latitude=content.latitude,
                longitude=content.longitude,
                name=content.name,
                address=content.address,
            )
            return Facets(location=place, **context)
        case ContactContent():
            card = content.cards[0]
            return Facets(contact=ContactCard(display_name=card.name, vcard=card.vcard), **context)
        case ImageContent() | VideoContent() | AudioContent() | DocumentContent() | StickerContent():
            known = content.media
            return Facets(
                media=MediaFacts(mimetype=known.mimetype, filename=known.filename, size=known.size), **context
            )
        case _:
            return Facets(**context)


def kind(content: Content) -> EventType:
    """The content's type, as clients name it."""
    return cast("EventType", content.__struct_config__.tag)


def body(content: Content) -> str | None:
    """The text that stands for a content in lists; None where there is none."""
    match content:
        case TextContent():
            return content.text
        case PollContent():
            return content.name
        case LocationContent():
            return content.name or content.address or None
        case ContactContent():
            return content.cards[0].name
        case ImageContent() | VideoContent() | AudioContent() | DocumentContent() | StickerContent():
            return content.media.caption or None
        case _:
            return None


def reworded(content: Content, text: str) -> Content | None:
    """The content with another text, its caption where it is a file; None where it has none to change."""
    match content:
        case TextContent():
            # The preview was of the old text.
            return msgspec.structs.replace(content, text=text, preview=UNSET)
        case ImageContent() | VideoContent() | DocumentContent():
            return msgspec.structs.replace(content, media=msgspec.structs.replace(content.media, caption=text))
        case _:
            return None


def numbered(album: AlbumContent, ids: Iterable[str]) -> AlbumContent:
    """The album, its items with these wire ids."""
    items = [AlbumItem(content=item.content, message_id=id) for item, id in zip(album.items, ids, strict=True)]
    return msgspec.structs.replace(album, items=items)


def item_ids(content: Content) -> list[str]:
    """The wire ids of an album's items, where they are known; of nothing else."""
    items = content.items if isinstance(content, AlbumContent) else []
    return [item.message_id for item in items if isinstance(item.message_id, str)]


def said(
    content: MessageContent, *, sender: Person, mentions: Maybe[dict[str, Mention]] = UNSET, **fields: Any
) -> MessageSaid:
    """The payload of a message event; `mentions` are those of the content with what is known of them, `fields` what
    does not come from the content.
    """
    seen = facets(content)
    quote: Maybe[Quote] = seen.quote
    quoted: dict[str, Any] = {}
    if isinstance(quote, Quote):
        quoted = {
            "quoted_message_id": quote.message_id,
            "quoted_sender_jid": quote.sender_jid,
            "quoted_sender_lid": quote.sender_lid,
            "quoted_body": quote.body,
            "quoted_from_me": quote.from_me,
        }
    return MessageSaid(
        type=kind(content),
        has_media=seen.media is not None,
        media=seen.media,
        sender_jid=sender.jid,
        sender_lid=sender.lid,
        push_name=sender.push_name,
        body=seen.body,
        mentions=mentions or seen.mentions,
        location=seen.location,
        contact=seen.contact,
        poll=seen.poll,
        **quoted,
        **fields,
    )


def _maybe(value: Any) -> Any:
    return UNSET if value is None else value


def _context(
    form: TextForm | ImageForm | VideoForm | AudioForm | DocumentForm | StickerForm | AlbumForm,
) -> dict[str, Any]:
    mentions: Maybe[list[str]] = UNSET
    if form.mentions:
        mentions = list(dict.fromkeys(jid.person(m, f"mentions[{i}]") for i, m in enumerate(form.mentions)))
    quote = UNSET if form.reply_to is None else Quote(message_id=form.reply_to)
    return {"mentions": mentions, "quote": quote}


def _album(form: AlbumForm, media: Sequence[Media]) -> AlbumContent:
    items: list[AlbumItem] = []
    context = _context(form)
    for position, known in enumerate(media):
        # What the album says, its first item says: that is where every phone shows it.
        first = position == 0
        if first and form.caption:
            known = msgspec.structs.replace(known, caption=form.caption)
        kind = VideoContent if known.mimetype.startswith("video/") else ImageContent
        items.append(AlbumItem(content=kind(media=known, **(context if first else {}))))
    return AlbumContent(items=items, **context)


def _poll(send: PollForm) -> PollContent:
    if len(set(send.options)) != len(send.options):
        raise BadRequest.field("options", "holds the same option twice")
    choices = 1 if send.selectable_count is None else send.selectable_count
    if choices > len(send.options):
        raise BadRequest.field("selectableCount", "is more than there are options")
    return PollContent(
        name=send.name,
        options=send.options,
        selectable_count=choices,
        poll_end_time=_maybe(send.poll_end_time),
        poll_hide_votes=_maybe(send.poll_hide_votes),
    )


def _cards(send: ContactForm) -> ContactContent:
    if (send.contact is None) == (send.contacts is None):
        raise BadRequest.field("contact", "exactly one of `contact` and `contacts` is needed")
    if send.contact is not None:
        return ContactContent(cards=[_card(send.contact, "contact")])
    return ContactContent(cards=[_card(c, f"contacts[{i}]") for i, c in enumerate(send.contacts or [])])


def _card(card: CardInput, path: str) -> Card:
    # The vCard library is slow to load, and most sends carry no card.
    import vobject

    if card.vcard is not None:
        try:
            read = vobject.readOne(card.vcard)
            name = str(read.fn.value) if read.name == "VCARD" else ""
        except Exception:
            name = ""
        if not name:
            raise BadRequest.field(f"{path}.vcard", "is not a vCard with a full name (FN)") from None
        return Card(name=name[:255], vcard=card.vcard)
    if card.name is None or card.phone is None:
        raise BadRequest.field(path, "`vcard`, or both `name` and `phone` are needed")
    digits = jid.phone(card.phone, f"{path}.phone")
    made = vobject.vCard()
    made.add("fn").value = card.name
    made.add("n").value = vobject.vcard.Name(given=card.name)
    number = made.add("tel")
    number.value = f"+{digits}"
    number.type_param = "CELL"
    number.params["WAID"] = [digits]
    return Card(name=card.name, vcard=made.serialize())
