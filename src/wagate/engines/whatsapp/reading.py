"""From the library's messages to our contents: what was said, or what it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

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
)
_POLLS = ("pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3")
_EDIT, _REVOKE = 14, 0
_Own = Callable[[str], bool]


def content_of(message: Any, own: _Own) -> MessageContent | Change | None:
    """What a message says; None for what we have no word for. `own`: whether an address is the account's.

    Votes are not read here: they are encrypted.
    """
    message = bare(message)
    if message.HasField("protocolMessage"):
        return _protocol(message.protocolMessage, own)
    if message.HasField("reactionMessage"):
        reaction = message.reactionMessage
        return ReactionContent(target=target_of(reaction.key, own), emoji=reaction.text)
    return _said(message)


def bare(message: Any) -> Any:
    """The message without what it is wrapped in."""
    while True:
        for wrapper in _WRAPPERS:
            if message.HasField(wrapper):
                message = getattr(message, wrapper).message
                break
        else:
            return message


def target_of(key: Any, own: _Own) -> Target:
    """The message that a change is about. The key says `fromMe` of whoever made the change, so authors are compared."""
    author = key.participant or ("" if key.fromMe else key.remoteJID)
    mine = own(author) if author else key.fromMe
    return Target(message_id=key.ID, from_me=mine, sender=UNSET if mine or not author else author)


def _protocol(change: Any, own: _Own) -> Change | None:
    if change.type == _REVOKE and change.key.ID:
        return RevokeContent(target=target_of(change.key, own))
    if change.type == _EDIT:
        said = _said(bare(change.editedMessage))
        text = said.text if isinstance(said, TextContent) else _caption(said)
        return EditContent(target=target_of(change.key, own), text=text)
    return None


def _caption(said: MessageContent | None) -> str:
    media = getattr(said, "media", None)
    return (media.caption or "") if isinstance(media, Media) else ""


def _said(message: Any) -> MessageContent | None:
    if message.conversation:
        return TextContent(text=message.conversation)
    for field, read in _READERS.items():
        if message.HasField(field):
            return read(field, getattr(message, field))
    return None


def _text(_: str, said: Any) -> MessageContent:
    preview: Maybe[Preview] = UNSET
    if said.title:
        preview = Preview(title=said.title, description=said.description or UNSET)
    return TextContent(text=said.text, preview=preview, **_around(said))


def _location(_: str, said: Any) -> MessageContent:
    return LocationContent(
        latitude=said.degreesLatitude,
        longitude=said.degreesLongitude,
        name=getattr(said, "name", "") or UNSET,
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
    return PollContent(
        name=said.name,
        options=[option.optionName for option in said.options],
        selectable_count=said.selectableOptionsCount,
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
    if not said.HasField("contextInfo"):
        return {}
    context = said.contextInfo
    around: dict[str, Any] = {}
    if context.mentionedJID:
        around["mentions"] = [_bare_jid(mention) for mention in context.mentionedJID]
    if context.isForwarded:
        around["forwarded"] = True
    if context.stanzaID:
        around["quote"] = _quote(context)
    return around


def _quote(context: Any) -> Quote:
    author = _bare_jid(context.participant)
    body = _words(_said(bare(context.quotedMessage)))
    return Quote(
        message_id=context.stanzaID,
        sender_jid=author if author.endswith("@s.whatsapp.net") else UNSET,
        sender_lid=author if author.endswith("@lid") else UNSET,
        body=body.encode()[:_QUOTED_OCTETS].decode(errors="ignore") or UNSET,
    )


def _words(said: MessageContent | None) -> str:
    match said:
        case TextContent():
            return said.text
        case PollContent():
            return said.name
        case LocationContent():
            return said.name or ""
        case _:
            return _caption(said)


def _bare_jid(address: str) -> str:
    """An address without its device."""
    user, _, server = address.partition("@")
    return f"{user.partition(':')[0]}@{server}" if server else ""
