"""Contents: made canonical when accepted, and unfolded into the fields that clients see.

Canonical: JIDs normalised, every card with a name and a vCard. Called by api/messages, api/sandbox (canonical) and
messages (said, facets, body).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET

from wagate.errors import BadRequest
from wagate.model import Maybe, jid
from wagate.model.contacts import Person
from wagate.model.events import Mention, MessageSaid
from wagate.model.messages import (
    Card,
    ContactCard,
    ContactContent,
    Content,
    LocationContent,
    Place,
    Poll,
    PollContent,
    SendError,
    TextContent,
)

decode: Callable[[str], Content] = msgspec.json.Decoder(Content).decode
"""A content as stored. Made once: reading the types costs more than reading a content."""
decode_error: Callable[[str], SendError] = msgspec.json.Decoder(SendError).decode
"""An error as stored with a send."""


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """A content's fields as messages and events show them."""

    body: Maybe[str] = UNSET
    quoted_message_id: Maybe[str] = UNSET
    mentions: Maybe[dict[str, Mention]] = UNSET
    location: Maybe[Place] = UNSET
    contact: Maybe[ContactCard] = UNSET
    poll: Maybe[Poll] = UNSET


def canonical(send: Content) -> Content:
    """The content of a send, checked beyond its shape and made canonical.

    Raises:
        BadRequest: what the shape cannot say: equal options, a card without a name, an address that is none.
    """
    match send:
        case TextContent():
            mentions = None
            if send.mentions is not None:
                mentions = [jid.person(m, f"mentions[{i}]") for i, m in enumerate(send.mentions)]
            return TextContent(text=send.text, mentions=mentions, reply_to=send.reply_to, preview=send.preview)
        case PollContent():
            return _poll(send)
        case LocationContent():
            return LocationContent(
                latitude=send.latitude, longitude=send.longitude, name=send.name, address=send.address
            )
        case ContactContent():
            return _cards(send)


def facets(content: Content) -> Facets:
    """What clients see of a canonical content."""
    match content:
        case TextContent():
            return Facets(
                body=content.text,
                quoted_message_id=content.reply_to or UNSET,
                mentions={m: Mention() for m in content.mentions} if content.mentions else UNSET,
            )
        case PollContent():
            poll = Poll(
                name=content.name,
                options=content.options,
                selectable_count=1 if content.selectable_count is None else content.selectable_count,
                end_time=UNSET if content.poll_end_time is None else content.poll_end_time,
                hide_votes=UNSET if content.poll_hide_votes is None else content.poll_hide_votes,
            )
            return Facets(body=content.name, poll=poll)
        case LocationContent():
            place = Place(
                latitude=content.latitude,
                longitude=content.longitude,
                name=content.name or UNSET,
                address=content.address or UNSET,
            )
            return Facets(body=content.name or content.address or UNSET, location=place)
        case ContactContent():
            card = _first(content)
            shown = ContactCard(display_name=card.name or UNSET, vcard=card.vcard or UNSET)
            return Facets(body=card.name or UNSET, contact=shown)


Kind = Literal["text", "poll", "location", "contact"]


def kind(content: Content) -> Kind:
    """The content's type, as clients name it."""
    return cast("Kind", content.__struct_config__.tag)


def body(content: Content) -> str | None:
    """The text that stands for a content in lists."""
    match content:
        case TextContent():
            return content.text
        case PollContent():
            return content.name
        case LocationContent():
            return content.name or content.address
        case ContactContent():
            return _first(content).name


def said(content: Content, *, sender: Person, **fields: Any) -> MessageSaid:
    """The payload of a message event; `fields` are those that do not come from the content."""
    seen = facets(content)
    return MessageSaid(
        type=kind(content),
        has_media=False,
        media=None,
        sender_jid=sender.jid,
        sender_lid=sender.lid,
        push_name=sender.push_name,
        body=seen.body,
        quoted_message_id=seen.quoted_message_id,
        mentions=seen.mentions,
        location=seen.location,
        contact=seen.contact,
        poll=seen.poll,
        **fields,
    )


def _poll(send: PollContent) -> PollContent:
    if len(set(send.options)) != len(send.options):
        raise BadRequest.field("options", "holds the same option twice")
    choices = 1 if send.selectable_count is None else send.selectable_count
    if choices > len(send.options):
        raise BadRequest.field("selectableCount", "is more than there are options")
    return PollContent(
        name=send.name,
        options=send.options,
        selectable_count=choices,
        poll_end_time=send.poll_end_time,
        poll_hide_votes=send.poll_hide_votes,
    )


def _cards(send: ContactContent) -> ContactContent:
    if (send.contact is None) == (send.contacts is None):
        raise BadRequest.field("contact", "exactly one of `contact` and `contacts` is needed")
    if send.contact is not None:
        return ContactContent(contact=_card(send.contact, "contact"))
    return ContactContent(contacts=[_card(c, f"contacts[{i}]") for i, c in enumerate(send.contacts or [])])


def _card(card: Card, path: str) -> Card:
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


def _first(content: ContactContent) -> Card:
    return content.contact or (content.contacts or [Card()])[0]
