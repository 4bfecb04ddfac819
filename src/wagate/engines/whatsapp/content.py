"""From our contents to the library's messages, made by hand: no helper of the library's that would want ffmpeg."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.engines.whatsapp.addresses import MENTION
from wagate.engines.whatsapp.previews import NOTHING, Preview
from wagate.errors import UnsupportedByEngine
from wagate.model.contents import (
    ContactContent,
    Content,
    EditContent,
    LocationContent,
    Media,
    MediaContent,
    PollContent,
    Quote,
    ReactionContent,
    RevokeContent,
    Said,
    Target,
    TextContent,
)

KINDS = {
    "image": ("imageMessage", 0),
    "video": ("videoMessage", 1),
    "audio": ("audioMessage", 2),
    "document": ("documentMessage", 3),
    "sticker": ("stickerMessage", 0),
}
"""For each type of file the field of the library's message that says it, and the number of its kind at uploads."""

_SECRET_OCTETS = 32
_EDIT, _REVOKE = 14, 0
_MEDIA_ALBUM = 1


STATUS = "status@broadcast"
"""The chat that a status is sent to."""


class Place(msgspec.Struct, frozen=True):
    """Where it is said: the chat, how somebody's address is written there, and our own. `timer`: seconds for which
    messages last there; 0: for good.
    """

    chat: str
    write: Callable[[str], str] = str
    own: str = ""
    timer: int = 0


def message_of(
    content: Content, place: Place, *, now: int, uploaded: Any = None, preview: Preview = NOTHING
) -> Any:  # fmt: skip
    """The message that says this. `now`: epoch milliseconds; `uploaded`: the library's word on a file.

    Raises:
        UnsupportedByEngine: the library has no way to say it.
    """
    match content:
        case TextContent():
            return _text(content, place)
        case LocationContent():
            return _location(content, place)
        case ContactContent():
            return _contact(content, place)
        case PollContent():
            return _poll(content, place)
        case EditContent():
            return _edit(content, place, now)
        case RevokeContent():
            return _proto().Message(protocolMessage={"key": key_of(content.target, place), "type": _REVOKE})
        case ReactionContent():
            reaction = {"key": key_of(content.target, place), "text": content.emoji, "senderTimestampMS": now}
            return _proto().Message(reactionMessage=reaction)
    if isinstance(content, MediaContent):
        return _file(content, place, uploaded, preview)
    raise UnsupportedByEngine


def key_of(target: Target, place: Place) -> Any:
    """How the network names the message that a change is about."""
    several = place.chat.endswith(("@g.us", "@broadcast"))
    participant = place.write(target.sender) if several and not target.from_me and target.sender else None
    return _keys().MessageKey(
        remoteJID=place.chat, fromMe=target.from_me, ID=target.message_id, participant=participant
    )  # fmt: skip


def _text(content: TextContent, place: Place) -> Any:
    context = _context(content, place)
    # A status is shown only when it comes in the long form.
    if context is None and content.preview is UNSET and place.chat != STATUS:
        return _proto().Message(conversation=content.text)
    extended = _proto().ExtendedTextMessage(text=_worded(content.text, content, place))
    if context is not None:
        extended.contextInfo.CopyFrom(context)
    if content.preview is not UNSET:
        extended.title = content.preview.title
        extended.description = content.preview.description or ""
        extended.matchedText = next((word for word in content.text.split() if "://" in word), content.text)
    return _proto().Message(extendedTextMessage=extended)


def _location(content: LocationContent, place: Place) -> Any:
    where = {
        "degreesLatitude": content.latitude,
        "degreesLongitude": content.longitude,
        "name": content.name or None,
        "address": content.address or None,
        "contextInfo": _context(content, place),
    }
    return _proto().Message(locationMessage=where)


def _contact(content: ContactContent, place: Place) -> Any:
    cards = [{"displayName": card.name, "vcard": card.vcard} for card in content.cards]
    context = _context(content, place)
    if len(cards) == 1:
        return _proto().Message(contactMessage={**cards[0], "contextInfo": context})
    several = {"displayName": f"{len(cards)} contacts", "contacts": cards, "contextInfo": context}
    return _proto().Message(contactsArrayMessage=several)


def _poll(content: PollContent, place: Place) -> Any:
    poll = {
        "name": content.name,
        "options": [{"optionName": option} for option in content.options],
        "selectableOptionsCount": content.selectable_count,
        "endTime": content.poll_end_time or None,
        "hideParticipantName": content.poll_hide_votes or None,
        "contextInfo": _context(content, place),
    }
    # Votes are encrypted with this secret; the library keeps it in the session's store when it sends.
    secret = {"messageSecret": os.urandom(_SECRET_OCTETS)}
    field = "pollCreationMessageV3" if content.selectable_count == 1 else "pollCreationMessage"
    return _proto().Message(**{field: poll, "messageContextInfo": secret})


def _edit(content: EditContent, place: Place, now: int) -> Any:
    change = {
        "key": key_of(content.target, place),
        "type": _EDIT,
        "editedMessage": _proto().Message(conversation=content.text),
        "timestampMS": now,
    }
    return _proto().Message(editedMessage={"message": _proto().Message(protocolMessage=change)})


def _file(content: MediaContent, place: Place, uploaded: Any, preview: Preview) -> Any:
    field, _ = KINDS[content.__struct_config__.tag]  # type: ignore[index]
    media = content.media
    said: dict[str, Any] = {
        "URL": uploaded.url,
        "directPath": uploaded.DirectPath,
        "mediaKey": uploaded.MediaKey,
        "fileSHA256": uploaded.FileSHA256,
        "fileEncSHA256": uploaded.FileEncSHA256,
        "fileLength": uploaded.FileLength,
        "mimetype": media.mimetype,
        "contextInfo": _context(content, place),
    }
    if media.caption:
        media = msgspec.structs.replace(media, caption=_worded(media.caption, content, place))
    more: Callable[[Media, Preview], dict[str, Any]] = _OF_A_FILE.get(field, lambda media, preview: {})
    message = _proto().Message(**{field: said | more(media, preview)})
    if field == "documentMessage" and media.caption:
        # The words under a document are shown only in this wrapping.
        return _proto().Message(documentWithCaptionMessage={"message": message})
    return message


def _picture(media: Media, preview: Preview) -> dict[str, Any]:
    size = {"width": preview.width or None, "height": preview.height or None}
    return {"caption": media.caption or None, "JPEGThumbnail": preview.jpeg or None, **size}


def _sound(media: Media, preview: Preview) -> dict[str, Any]:
    voice = media.voice is True
    return {"PTT": voice, "seconds": preview.seconds or None, "waveform": (preview.wave if voice else b"") or None}


_OF_A_FILE: dict[str, Callable[[Media, Preview], dict[str, Any]]] = {
    "imageMessage": _picture,
    "videoMessage": lambda media, preview: _picture(media, preview) | {"seconds": preview.seconds or None},
    "audioMessage": _sound,
    "documentMessage": lambda media, preview: {
        "caption": media.caption or None,
        "fileName": media.filename or None,
        "title": media.filename or None,
    },
}


def _context(content: Said, place: Place) -> Any:
    """What goes with any content: mentions, what is quoted, that it was forwarded, how long it lasts; None where there
    is nothing.
    """
    plain = content.mentions is UNSET and content.quote is UNSET and content.forwarded is not True
    if plain and not place.timer:
        return None
    context = _proto().ContextInfo(expiration=place.timer or None)
    if content.mentions is not UNSET:
        context.mentionedJID.extend(place.write(each) for each in content.mentions)
    if content.forwarded is True:
        context.isForwarded, context.forwardingScore = True, 1
    if content.quote is not UNSET:
        _quote(context, content.quote, place)
    return context


def _worded(text: str, content: Said, place: Place) -> str:
    """A text whose mentions stand in it with the digits by which the chat's members address one another: phones show a
    name only for these.
    """
    digits = {_user(each): _user(place.write(each)) for each in content.mentions or []}
    return MENTION.sub(lambda found: f"@{digits.get(found[1], found[1])}", text) if digits else text


def _user(address: str) -> str:
    return address.partition("@")[0]


def _quote(context: Any, quote: Quote, place: Place) -> None:
    context.stanzaID = quote.message_id
    if author := quote.sender_jid or quote.sender_lid or (place.own if quote.from_me else ""):
        context.participant = place.write(author)
    context.quotedMessage.conversation = quote.body or ""


def album_of(pictures: int, videos: int) -> Any:
    """What announces an album of so many."""
    return _proto().Message(albumMessage={"expectedImageCount": pictures, "expectedVideoCount": videos})


def belongs(message: Any, album: str, chat: str) -> None:
    """Make a message an item of an album."""
    message.messageContextInfo.messageAssociation.associationType = _MEDIA_ALBUM
    message.messageContextInfo.messageAssociation.parentMessageKey.CopyFrom(
        _keys().MessageKey(remoteJID=chat, fromMe=True, ID=album)
    )


def reference(field: str, said: Any) -> str:
    """Where a file's bytes are on the network, in words that `referred` understands again."""
    from google.protobuf.message_factory import GetMessageClass

    kept = type(said)()
    for name in ("directPath", "mediaKey", "fileSHA256", "fileEncSHA256", "fileLength", "URL"):
        # The path is better than the URL: by it the library tries each host of the network's.
        if said.HasField(name) and not (name == "URL" and said.directPath):
            setattr(kept, name, getattr(said, name))
    whole = GetMessageClass(said.DESCRIPTOR.file.message_types_by_name["Message"])(**{field: kept})
    return base64.urlsafe_b64encode(whole.SerializeToString()).decode()


def referred(ref: str) -> bytes:
    """The library's message that leads to the bytes of a `reference`.

    Raises:
        ValueError: it is none.
    """
    from google.protobuf.message import DecodeError

    encoded = base64.b64decode(ref, altchars=b"-_", validate=True)
    try:
        leads = any(getattr(said, "directPath", "") or getattr(said, "URL", "") for _, said in _files_in(encoded))
    except DecodeError:
        leads = False
    if not leads:
        raise ValueError(ref)
    return encoded


def _files_in(encoded: bytes) -> list[tuple[Any, Any]]:
    return list(_proto().Message.FromString(encoded).ListFields())


def _proto() -> Any:
    from neonize.proto.waE2E import WAWebProtobufsE2E_pb2

    return WAWebProtobufsE2E_pb2


def _keys() -> Any:
    from neonize.proto.waCommon import WACommon_pb2

    return WACommon_pb2
