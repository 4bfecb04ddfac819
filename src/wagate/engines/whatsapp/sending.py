"""Sends: our content said through the library."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec

from wagate.engines import base
from wagate.engines.whatsapp import content as contents
from wagate.engines.whatsapp import previews, wire
from wagate.engines.whatsapp.addresses import as_written_in, by_lid, parsed, to_library
from wagate.engines.whatsapp.inbound import millis
from wagate.engines.whatsapp.line import Line
from wagate.engines.whatsapp.refusals import Complaint
from wagate.errors import NoAnswer, Refused, UnsupportedByEngine
from wagate.model.contents import (
    AlbumContent,
    Content,
    EditContent,
    ImageContent,
    MediaContent,
    ReactionContent,
    RevokeContent,
    VoteContent,
)
from wagate.model.messages import Ack

_NOT_IN_CHANNELS = (MediaContent, AlbumContent, ReactionContent, VoteContent)


async def send(line: Line, want: wire.Send) -> Ack:
    """Send; returns when WhatsApp's server has it. The library chooses the id.

    Raises:
        Complaint: as the library says; whether it went out, `refusals.meant` judges.
    """
    outgoing = want.outgoing
    _must_be_allowed(outgoing.content, outgoing.chat)
    if isinstance(outgoing.content, AlbumContent):
        return await _album(line, outgoing.content, outgoing.chat, want.files)
    return await _say(line, await _message(line, outgoing.content, outgoing.chat, want.files), outgoing.chat)


def _must_be_allowed(content: Content, chat: str) -> None:
    """What WhatsApp carries and no phone shows: it cannot read that the message is another's.

    Raises:
        Refused: it is not sent.
        UnsupportedByEngine: a channel takes it in a form of its own, which the library has no way to say.
    """
    if chat.endswith("@newsletter") and isinstance(content, _NOT_IN_CHANNELS):
        raise UnsupportedByEngine("the library posts texts in channels, and no files, reactions or votes")
    if isinstance(content, EditContent) and not content.target.from_me:
        raise Refused("only one's own messages can be edited", reason="not_allowed")
    if isinstance(content, RevokeContent) and not content.target.from_me and not chat.endswith("@g.us"):
        raise Refused("only an admin of a group can revoke another's message", reason="not_allowed")


async def _album(line: Line, album: AlbumContent, chat: str, files: dict[str, str]) -> Ack:
    """Its items one after the other, each pointing at the album that announces them; all are uploaded before.

    Raises:
        NoAnswer: a part of it is there, the announcement at least: the whole is neither sent nor certainly not sent.
    """
    said = [msgspec.structs.replace(item.content, forwarded=album.forwarded) for item in album.items]
    # What the album says as a whole, its first item says.
    said[0] = msgspec.structs.replace(said[0], mentions=album.mentions, quote=album.quote)
    messages = [await _message(line, content, chat, files) for content in said]
    pictures = sum(isinstance(content, ImageContent) for content in said)
    parent = await _say(line, contents.album_of(pictures, len(said) - pictures), chat)
    acks: list[Ack] = []
    for message in messages:
        contents.belongs(message, parent.wire_id, chat)
        try:
            acks.append(await _say(line, message, chat))
        except (Complaint, NoAnswer, base.ConnectionLost):
            raise NoAnswer("only a part of the album went out") from None
    items = [ack.wire_id for ack in acks]
    return Ack(wire_id=items[0], timestamp=acks[0].timestamp, item_ids=items)


async def _message(line: Line, content: Content, chat: str, files: dict[str, str]) -> Any:
    uploaded, preview = None, previews.NOTHING
    if isinstance(content, MediaContent):
        file = files.get(content.media.id or "")
        if file is None:
            raise UnsupportedByEngine("a file without bytes of our own cannot be sent")
        name = str(content.__struct_config__.tag)
        _, kind = contents.KINDS[name]
        uploaded = await upload(line, Path(file), kind)
        preview = await previews.look(Path(file), name)
    if isinstance(content, VoteContent):
        return await _vote(line, content, chat)
    now = int(time.time() * 1000)

    def made() -> Any:
        # Addresses may have to be looked up in the session's store.
        timer = line.timers.of(chat)
        place = contents.Place(chat, lambda address: as_written_in(line, chat, address), line.own_jid, timer)
        return contents.message_of(content, place, now=now, uploaded=uploaded, preview=preview)

    return await asyncio.to_thread(made)


async def upload(line: Line, file: Path, kind: int) -> Any:
    """A file's bytes, encrypted and put where WhatsApp keeps them; the library's word on them."""
    octets = await asyncio.to_thread(file.read_bytes)
    answer = await line.call("Upload", octets, len(octets), kind, returns="UploadReturnFunction")
    return answer.UploadResponse


async def _vote(line: Line, vote: VoteContent, chat: str) -> Any:
    """A vote is encrypted for the poll that the library's store knows."""
    messages = line.library.messages
    author = line.own_jid if vote.target.from_me else vote.target.sender or chat
    if not chat.endswith("@g.us"):
        # Of two, both go by LID as soon as the library knows it, and the key of a vote is made of both addresses.
        poll_chat, author = [await asyncio.to_thread(by_lid, line, each) for each in (chat, author)]
    else:
        poll_chat, author = chat, await asyncio.to_thread(as_written_in, line, chat, author)
    source = messages.MessageSource(
        Chat=parsed(messages, poll_chat),
        Sender=parsed(messages, author),
        IsFromMe=vote.target.from_me,
        **dict.fromkeys(("SenderAlt", "RecipientAlt", "BroadcastListOwner"), parsed(messages, "")),
        IsGroup=chat.endswith("@g.us"),
    )
    blank = dict.fromkeys(("Type", "Pushname", "Category", "MediaType", "Edit"), "")
    poll = messages.MessageInfo(
        MessageSource=source, ID=vote.target.message_id, Timestamp=0, ServerID=0, Multicast=False, **blank
    ).SerializeToString()
    options = messages.ArrayString(data=vote.options).SerializeToString()
    try:
        answer = await line.call(
            "BuildPollVote", poll, len(poll), options, len(options), returns="BuildPollVoteReturnFunction"
        )  # fmt: skip
    except Complaint:
        # A vote is sealed with a key that came with the poll.
        raise Refused("there is no such poll", reason="not_allowed") from None
    return answer.PollVote


async def _say(line: Line, message: Any, chat: str) -> Ack:
    encoded = message.SerializeToString()
    to = to_library(line.library.messages, chat)
    answer = await line.call("SendMessage", to, len(to), encoded, len(encoded), returns="SendMessageReturnFunction")
    if chat.endswith("@newsletter"):
        line.did(("post", chat, answer.SendResponse.ID))
    return Ack(wire_id=answer.SendResponse.ID, timestamp=millis(answer.SendResponse.Timestamp))
