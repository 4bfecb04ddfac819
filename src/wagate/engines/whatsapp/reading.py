"""From the library's messages to our contents: what was said, or what it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.engines.whatsapp import composed
from wagate.engines.whatsapp.addresses import Names, bare, by_text, canonical, reworded
from wagate.engines.whatsapp.content import reference
from wagate.model import Maybe
from wagate.model.contents import (
    AudioContent,
    Card,
    Change,
    ContactContent,
    DocumentContent,
    EditContent,
    ImageContent,
    LocationContent,
    Media,
    MessageContent,
    PollContent,
    Preview,
    Quote,
    ReactionContent,
    RevokeContent,
    StickerContent,
    Target,
    TextContent,
    VideoContent,
)

_QUOTED_OCTETS = 4096
_WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "groupMentionedMessage",
    "editedMessage",
    "lottieStickerMessage",
    "audioStickerMessage",
    "pollCreationMessageV4",
    "botInvokeMessage",
    "botForwardedMessage",
    "spoilerMessage",
    "questionMessage",
    "questionReplyMessage",
    "associatedChildMessage",
)
_PARTS = (3, 5, 7, 10, 12, 19)
"""What a message may be to another without being one by itself: an event's cover, the same video or picture in better
quality, a poll's picture, the moving picture of a still one."""
_POLLS = tuple(f"pollCreationMessage{version}" for version in ("", "V2", "V3", "V5", "V6"))
_EDIT, _REVOKE, _TIMER = 14, 0, 3
_SECONDS_END = 100_000_000_000


class Said(msgspec.Struct, frozen=True):
    """Who said it, and where: `sender` is empty for the account itself, else canonical; `chat` is canonical."""

    sender: str
    chat: str


def content_of(message: Any, names: Names, by: Said) -> MessageContent | Change | None:
    """What a message says; None for what we have no word for. May wait (see addresses.py).

    Votes are not read here: they are encrypted.
    """
    message = unwrapped(message)
    if message.HasField("protocolMessage"):
        return _protocol(message.protocolMessage, names, by)
    if message.HasField("reactionMessage"):
        reaction = message.reactionMessage
        return ReactionContent(target=target_of(reaction.key, names, by), emoji=reaction.text)
    content = _said(message)
    return None if content is None else _named(content, names)


def unwrapped(message: Any) -> Any:
    """The message without what it is wrapped in; an empty one for what is only a part of another."""
    while True:
        if message.messageContextInfo.messageAssociation.associationType in _PARTS:
            return type(message)()
        for wrapper in _WRAPPERS:
            if message.HasField(wrapper):
                message = getattr(message, wrapper).message
                break
        else:
            return message


def target_of(key: Any, names: Names, by: Said) -> Target:
    """The message that a change is about. Keys are written from the side of whoever made the change."""
    if key.fromMe:
        author = by.sender
    elif key.participant:
        author = "" if names.is_own(key.participant) else canonical(names, key.participant)
    else:
        # Of two, the other one.
        author = "" if by.sender else by.chat
    return Target(message_id=key.ID, from_me=not author, sender=author or UNSET)


def timer_in(message: Any) -> int | None:
    """How long messages last in its chat, in seconds, where a message says it; 0: for good, from now on."""
    message = unwrapped(message)
    if message.protocolMessage.type == _TIMER and message.HasField("protocolMessage"):
        return int(message.protocolMessage.ephemeralExpiration)
    for field, said in message.ListFields():
        if field.message_type is not None and "contextInfo" in field.message_type.fields_by_name:
            return int(said.contextInfo.expiration) or None
    return None


def _protocol(change: Any, names: Names, by: Said) -> Change | None:
    if change.type == _REVOKE and change.key.ID:
        return RevokeContent(target=target_of(change.key, names, by))
    if change.type == _EDIT:
        said = _said(unwrapped(change.editedMessage))
        if said is None:
            return None
        said = _named(said, names)
        text = said.text if isinstance(said, TextContent) else _caption(said)
        return EditContent(target=target_of(change.key, names, by), text=text)
    return None


def _named(content: MessageContent, names: Names) -> MessageContent:
    """The same with people as we call them: the reading itself knows only what stands in the message."""
    changed: dict[str, Any] = {}
    if content.mentions:
        changed["mentions"] = list(dict.fromkeys(canonical(names, each) for each in content.mentions))
        if isinstance(content, TextContent):
            changed["text"] = reworded(names, content.text, content.mentions)
        elif isinstance(media := getattr(content, "media", None), Media) and media.caption:
            caption = reworded(names, media.caption, content.mentions)
            changed["media"] = msgspec.structs.replace(media, caption=caption)
    if content.quote and (author := content.quote.sender_lid or content.quote.sender_jid):
        who = by_text(names, author)
        own = {"from_me": True} if names.is_own(author) else {}
        changed["quote"] = msgspec.structs.replace(content.quote, sender_jid=who.jid, sender_lid=who.lid, **own)
    return msgspec.structs.replace(content, **changed) if changed else content


def _caption(said: MessageContent | None) -> str:
    media = getattr(said, "media", None)
    return (media.caption or "") if isinstance(media, Media) else ""


def _said(message: Any) -> MessageContent | None:
    if message.conversation:
        return TextContent(text=message.conversation)
    for field, read in _READERS.items():
        if message.HasField(field):
            return read(field, getattr(message, field))
    for field in composed.FIELDS:
        if message.HasField(field):
            return _composed(field, getattr(message, field))
    return None


def _composed(field: str, said: Any) -> MessageContent | None:
    parts = composed.parts_of(field, said)
    if parts.above is None:
        return TextContent(text=parts.text, **_around(said)) if parts.text else None
    kind, above = parts.above
    content = _READERS[kind](kind, above)
    if isinstance(content, LocationContent):
        return msgspec.structs.replace(content, name=parts.text or content.name, **_around(said))
    assert isinstance(content, ImageContent | VideoContent | DocumentContent)
    captioned = msgspec.structs.replace(content.media, caption=parts.text or content.media.caption)
    return msgspec.structs.replace(content, media=captioned, **_around(said))


def _text(_: str, said: Any) -> MessageContent:
    preview: Maybe[Preview] = UNSET
    if said.title:
        preview = Preview(title=said.title, description=said.description or UNSET)
    return TextContent(text=said.text, preview=preview, **_around(said))


def _location(_: str, said: Any) -> MessageContent:
    return LocationContent(
        latitude=said.degreesLatitude,
        longitude=said.degreesLongitude,
        name=getattr(said, "name", "") or getattr(said, "caption", "") or UNSET,
        address=getattr(said, "address", "") or UNSET,
        **_around(said),
    )


def _card(said: Any) -> Card:
    return Card(name=said.displayName, vcard=said.vcard)


def _contact(_: str, said: Any) -> MessageContent:
    return ContactContent(cards=[_card(said)], **_around(said))


def _contacts(_: str, said: Any) -> MessageContent:
    return ContactContent(cards=[_card(card) for card in said.contacts], **_around(said))


def _poll(_: str, said: Any) -> MessageContent:
    # Some give it in seconds.
    end = said.endTime if said.endTime > _SECONDS_END else said.endTime * 1000
    return PollContent(
        name=said.name,
        options=[option.optionName for option in said.options],
        selectable_count=said.selectableOptionsCount,
        poll_end_time=end or UNSET,
        poll_hide_votes=True if said.hideParticipantName else UNSET,
        **_around(said),
    )


def _file(kind: Any) -> Callable[[str, Any], MessageContent]:
    def read(field: str, said: Any) -> MessageContent:
        of_a_video = "videoMessage" if field == "ptvMessage" else field
        media = Media(
            mimetype=said.mimetype or "application/octet-stream",
            size=said.fileLength,
            sha256=said.fileSHA256.hex() or UNSET,
            filename=getattr(said, "fileName", "") or UNSET,
            caption=getattr(said, "caption", "") or UNSET,
            voice=True if getattr(said, "PTT", False) else UNSET,
            ref=reference(of_a_video, said),
        )
        content: MessageContent = kind(media=media, **_around(said))
        return content

    return read


_READERS: dict[str, Callable[[str, Any], MessageContent]] = {
    "extendedTextMessage": _text,
    "imageMessage": _file(ImageContent),
    "videoMessage": _file(VideoContent),
    "ptvMessage": _file(VideoContent),
    "audioMessage": _file(AudioContent),
    "documentMessage": _file(DocumentContent),
    "stickerMessage": _file(StickerContent),
    "locationMessage": _location,
    "liveLocationMessage": _location,
    "contactMessage": _contact,
    "contactsArrayMessage": _contacts,
    **dict.fromkeys(_POLLS, _poll),
}


def _around(said: Any) -> dict[str, Any]:
    """What may go with any content."""
    if "contextInfo" not in said.DESCRIPTOR.fields_by_name or not said.HasField("contextInfo"):
        return {}
    context = said.contextInfo
    around: dict[str, Any] = {}
    if context.mentionedJID:
        around["mentions"] = [bare(mention) for mention in context.mentionedJID]
    if context.isForwarded:
        around["forwarded"] = True
    if context.stanzaID:
        around["quote"] = _quote(context)
    return around


def _quote(context: Any) -> Quote:
    author = bare(context.participant)
    body = words_of(_said(unwrapped(context.quotedMessage)))
    return Quote(
        message_id=context.stanzaID,
        sender_jid=author if author.endswith("@s.whatsapp.net") else UNSET,
        sender_lid=author if author.endswith("@lid") else UNSET,
        body=body.encode()[:_QUOTED_OCTETS].decode(errors="ignore") or UNSET,
    )


def words_of(said: MessageContent | None) -> str:
    """What is to be read of a content: a text, a caption, a poll's or a place's name; empty for none."""
    match said:
        case TextContent():
            return said.text
        case PollContent():
            return said.name
        case LocationContent():
            return said.name or ""
        case _:
            return _caption(said)
