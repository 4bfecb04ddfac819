"""Sends: everything that can be said, and what shows before and after: typing, seen, reactions.

Each body is made into one of the forms of `model/sends.py` and goes the way that every send goes.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from wagate.api import changes as native_changes
from wagate.api import messages as native
from wagate.api.compat.wasend import messages, naming
from wagate.api.compat.wasend.messages import Said
from wagate.api.compat.wasend.serving import Served, served
from wagate.api.compat.wasend.shapes import Ended
from wagate.api.operations import MEDIA_BODY, MIB, SEND, Call
from wagate.api.sessions import LIVE
from wagate.errors import BadRequest, Conflict, PayloadTooLarge, RateLimited, Refused
from wagate.gateway import actions, changes, outcomes, receipts
from wagate.gateway import messages as stored
from wagate.gateway.receipts import Reading
from wagate.gateway.targets import Pointer
from wagate.model import Ask, Line, Prose
from wagate.model import actions as live
from wagate.model.jid import ChatInput
from wagate.model.sends import (
    AudioForm,
    AudioInput,
    Base64,
    Caption,
    DocumentForm,
    Filename,
    ImageForm,
    MimeType,
    PictureInput,
    PreviewInput,
    TextForm,
    Url,
    VideoForm,
)

_PATIENCE = 25.0
"""Seconds. The SDK hangs up after 30: what could not be sent by now is withdrawn while somebody is there to be told."""

SessionName = Annotated[Line, Meta(max_length=200)]
MessageName = Annotated[Line, Meta(min_length=1, max_length=400)]
Text = Annotated[Prose, Meta(min_length=1, max_length=65536)]
Form = TextForm | ImageForm | VideoForm | AudioForm | DocumentForm


class Addressed(Ask, frozen=True, kw_only=True):
    """To whom, and from which session: the key's only one where none is named."""

    session: SessionName | None = None
    to: ChatInput


class Send(Addressed, frozen=True, kw_only=True):
    """A text, or one file by its URL with the text as its caption."""

    text: Text | None = None
    image_url: Url | None = None
    video_url: Url | None = None
    document_url: Url | None = None
    audio_url: Url | None = None
    mimetype: MimeType | None = None
    filename: Filename | None = None
    preview: dict[str, str] | None = None


class Typed(Addressed, frozen=True, kw_only=True):
    """What the typed sends share. The SDK for Python wants a `content` of its users beside what is really said: it is
    the text where no `text` is given, and nothing else.
    """

    content: Annotated[Prose, Meta(max_length=65536)] | None = None
    reply_to: MessageName | None = None

    def quoted(self) -> str | None:
        """WhatsApp's id of the message that this one answers."""
        return None if self.reply_to is None else naming.message(self.reply_to, "replyTo").wire_id


class SendText(Typed, frozen=True, kw_only=True):
    """A text."""

    text: Text | None = None


class TypedFile(Typed, frozen=True, kw_only=True):
    """A file: exactly one of `url` and `data`, which is base64 or a data: URI."""

    url: Url | None = None
    data: Base64 | None = None
    mimetype: MimeType | None = None


class SendPicture(TypedFile, frozen=True, kw_only=True):
    """A picture or a video."""

    caption: Caption | None = None


class SendFile(TypedFile, frozen=True, kw_only=True):
    """A file of any kind."""

    file_name: Filename | None = None
    mime_type: MimeType | None = None
    caption: Caption | None = None


class SendVoice(TypedFile, frozen=True, kw_only=True):
    """A voice message. How long it is is told from the sound itself."""

    duration: Annotated[float, Meta(ge=0)] | None = None


class SendLink(Typed, frozen=True, kw_only=True):
    """A text with a link, and how the link is to look."""

    text: Text | None = None
    preview: PreviewInput


class Seen(Addressed, frozen=True, kw_only=True):
    """A message that was read."""

    message_id: MessageName


class React(Ask, frozen=True, kw_only=True):
    """An emoji for a message; an empty one takes it back."""

    session: SessionName | None = None
    message_id: MessageName
    reaction: Annotated[Line, Meta(max_length=64)]


async def send(call: Call) -> Said:
    """Send a text, or a file by its URL."""
    return await _say(call, _any(call.body))


async def send_text(call: Call) -> Said:
    """Send a text."""
    body: SendText = call.body
    return await _say(call, TextForm(text=_text(body.text, body.content), reply_to=body.quoted()))


async def send_image(call: Call) -> Said:
    """Send a picture."""
    body: SendPicture = call.body
    return await _say(call, ImageForm(media=_picture(body, body.caption), reply_to=body.quoted()))


async def send_video(call: Call) -> Said:
    """Send a video."""
    body: SendPicture = call.body
    return await _say(call, VideoForm(media=_picture(body, body.caption), reply_to=body.quoted()))


async def send_file(call: Call) -> Said:
    """Send a file of any kind."""
    body: SendFile = call.body
    media = msgspec.structs.replace(_picture(body, body.caption), filename=body.file_name)
    if body.mime_type is not None:
        media = msgspec.structs.replace(media, mimetype=body.mime_type)
    return await _say(call, DocumentForm(media=media, reply_to=body.quoted()))


async def send_voice(call: Call) -> Said:
    """Send a voice message, OGG/Opus."""
    body: SendVoice = call.body
    media = AudioInput(url=body.url, data=body.data, mimetype=body.mimetype, voice=True)
    return await _say(call, AudioForm(media=media, reply_to=body.quoted()))


async def send_link(call: Call) -> Said:
    """Send a text with a link and a preview of one's own."""
    body: SendLink = call.body
    form = TextForm(text=_text(body.text, body.content), preview=body.preview, reply_to=body.quoted())
    return await _say(call, form)


async def send_seen(call: Call) -> Ended:
    """Send a read receipt for a message."""
    body: Seen = call.body
    named = naming.message(body.message_id)
    await _from(call)
    chat = named.chat or naming.address(body.to, "to")
    reading = Reading(chat=chat, message_ids=[named.wire_id], sender=named.sender)
    await receipts.mark_read(call.gw, call.caller, call.path["session"], reading)
    return Ended(message="the message is marked as read")


async def react(call: Call) -> Ended:
    """React to a message, or take the reaction back."""
    body: React = call.body
    named = naming.message(body.message_id)
    await _from(call)
    where = call.gw, call.caller, call.path["session"]
    await actions.require_connected(*where)
    found = await stored.get(*where, named.wire_id, chat=named.chat)
    author = "" if found.from_me else found.sender_jid or found.sender_lid or None
    pointer = Pointer(chat=found.chat_jid, message_id=found.wa_message_id, sender=author)
    await native_changes.send(call, pointer, await changes.react(*where, pointer, body.reaction))
    return Ended(message="the reaction is sent" if body.reaction else "the reaction is taken back")


async def start_typing(call: Call) -> Ended:
    """Show in a chat that the account types."""
    return await _show(call, "composing", "typing is shown")


async def stop_typing(call: Call) -> Ended:
    """Show in a chat that the account types no more."""
    return await _show(call, "paused", "typing is shown no more")


async def _show(call: Call, state: Any, done: str) -> Ended:
    await _from(call)
    action = live.SetChatPresence(chat=naming.address(call.body.to, "to"), state=state)
    await actions.ask(call.gw, call.caller, call.path["session"], action)
    return Ended(message=done)


async def _from(call: Call) -> None:
    """Find the body's session; from then on the path names it, as it does for every native send."""
    call.found = await naming.session(call, call.body.session)
    call.path["session"] = call.found.id


async def _say(call: Call, form: Form) -> Said:
    started = asyncio.get_running_loop().time()
    await _from(call)
    entry = await native.accept(call, naming.address(call.body.to, "to"), form, "sync")
    # Fetching a file took of that time as well.
    patience = max(_PATIENCE - (asyncio.get_running_loop().time() - started), 1.0)
    return messages.said(await outcomes.wait(call.gw, call.caller, entry, patience=patience), call.found)


def _text(text: str | None, content: str | None) -> str:
    said = text or content
    if not said:
        raise BadRequest.field("text", "is missing")
    return said


def _picture(body: TypedFile, caption: str | None) -> PictureInput:
    _one_source(body)
    return PictureInput(url=body.url, data=body.data, mimetype=body.mimetype, caption=caption)


def _one_source(body: TypedFile) -> None:
    if (body.url is None) == (body.data is None):
        raise BadRequest.field("url", "exactly one of `url` and `data` is needed")


def _any(body: Send) -> Form:
    """What the one body of all kinds means."""
    sources = {
        "imageUrl": body.image_url,
        "videoUrl": body.video_url,
        "documentUrl": body.document_url,
        "audioUrl": body.audio_url,
    }
    given = [(name, url) for name, url in sources.items() if url is not None]
    if len(given) > 1:
        raise BadRequest.field(given[1][0], f"a message has one file, and {given[0][0]} names it")
    if not given:
        for name, value in (("mimetype", body.mimetype), ("filename", body.filename)):
            if value is not None:
                raise BadRequest.field(name, "does not belong to a text")
        return TextForm(text=_text(body.text, None), preview=_preview(body.preview))
    if body.preview is not None:
        raise BadRequest.field("preview", "belongs to a text only")
    name, url = given[0]
    if name == "audioUrl":
        if body.text is not None:
            raise BadRequest.field("text", "a sound has no caption: send the text by itself")
        return AudioForm(media=AudioInput(url=url, mimetype=body.mimetype, filename=body.filename))
    media = PictureInput(url=url, mimetype=body.mimetype, caption=body.text, filename=body.filename)
    if name == "imageUrl":
        return ImageForm(media=media)
    return VideoForm(media=media) if name == "videoUrl" else DocumentForm(media=media)


def _preview(given: dict[str, str] | None) -> PreviewInput | None:
    if given is None:
        return None
    try:
        return msgspec.convert(given, PreviewInput)
    except msgspec.ValidationError:
        raise BadRequest.field("preview", "holds a title, and may hold a description and a thumbnailUrl") from None


_ERRORS = (*LIVE, BadRequest, Conflict, Refused, RateLimited, PayloadTooLarge)
_ONE = "Which session sends: see [names](#names)."
_PYTHON = f"{_ONE} `content`, which the SDK for Python asks for, is the text if there is no `text`, else ignored."


def _send(id: str, path: str, run: Any, body: Any, **more: Any) -> Served:
    more = {"sdk": id, "difference": f"{_PYTHON}", "answer": Said, "max_body": MEDIA_BODY, **more}
    return served(id, f"POST {path}", run, capability=SEND, body=body, spooled=True, errors=_ERRORS, **more)


def _shown(id: str, request: str, run: Any, body: Any, difference: str = "") -> Served:
    difference = f"{difference} {_ONE}".strip()
    return served(
        id,
        request,
        run,
        sdk=id,
        capability=SEND,
        body=body,
        answer=Ended,
        errors=_ERRORS,
        difference=difference,
    )


_URLS = "One file at most; a sound takes no text."
_VOICE = "Only OGG/Opus is taken, nothing is converted; duration has no effect."
SERVED = [
    _send("send", "/send", send, Send, max_body=MIB, difference=f"{_URLS} {_ONE}"),
    _send("sendText", "/sendText", send_text, SendText, max_body=MIB),
    _send("sendImage", "/sendImage", send_image, SendPicture),
    _send("sendFile", "/sendFile", send_file, SendFile),
    _send("sendVoice", "/sendVoice", send_voice, SendVoice, difference=f"{_VOICE} {_ONE}"),
    _send("sendVideo", "/sendVideo", send_video, SendPicture),
    _send("sendLinkCustomPreview", "/send/link-custom-preview", send_link, SendLink, max_body=MIB),
    _send("sendLinkPreview", "/sendLinkCustomPreview", send_link, SendLink, max_body=MIB, sdk=""),
    _shown("sendSeen", "POST /sendSeen", send_seen, Seen),
    _shown("sendReaction", "PUT /reaction", react, React, "A message that is not stored is 404."),
    _shown("startTyping", "POST /startTyping", start_typing, Addressed),
    _shown("stopTyping", "POST /stopTyping", stop_typing, Addressed),
]
