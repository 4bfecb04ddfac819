"""Quotes as the network knows them: whose words, which words, and whether they are the reader's own."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from wagate.engines.sandbox.changes import CHANGES
from wagate.engines.sandbox.frames import History, Sent
from wagate.engines.sandbox.people import jid_of, lid_of, number_of
from wagate.model import Maybe
from wagate.model.contents import (
    AudioContent,
    ContactContent,
    Content,
    DocumentContent,
    ImageContent,
    LocationContent,
    MessageContent,
    PollContent,
    Quote,
    StickerContent,
    TextContent,
    VideoContent,
)

BODY_BYTES = 4096

M = TypeVar("M", bound=MessageContent)


async def filled(history: History, author: str, content: M) -> M:
    """The content with all that the network knows of the message it quotes; what it does not know stays as told.

    Only a message that the author wrote or got is looked into. `from_me` is for each reader to say: see `told_to`.
    """
    quote = content.quote
    if not isinstance(quote, Quote):
        return content
    writer = author if quote.from_me else number_of(quote.sender_jid or quote.sender_lid or "")
    if writer is not None:
        one = await history.find(quote.message_id, writer)
        known = [one] if one is not None else []
    else:
        known = await history.named(quote.message_id)
    found = [sent for sent in known if _had(sent, author)]
    if found:
        sent = found[-1]
        quote = Quote(
            message_id=quote.message_id,
            sender_jid=UNSET if sent.hidden else jid_of(sent.author),
            sender_lid=lid_of(sent.author),
            body=body(sent.content),
        )
    elif writer is not None:
        quote = replace(quote, sender_jid=jid_of(writer), sender_lid=lid_of(writer), from_me=UNSET)
    return replace(content, quote=quote)


def told_to(content: M, number: str) -> M:
    """The content as a session of this number gets it."""
    quote = content.quote
    if not isinstance(quote, Quote):
        return content
    writer = number_of(quote.sender_jid or quote.sender_lid or "")
    return replace(content, quote=replace(quote, from_me=UNSET if writer is None else writer == number))


def body(content: Content) -> Maybe[str]:
    """The words of a content as a quote repeats them, at most 4,096 bytes."""
    match content:
        case TextContent():
            words = content.text
        case PollContent():
            words = content.name
        case LocationContent():
            words = content.name or content.address or ""
        case ContactContent():
            words = content.cards[0].name
        case ImageContent() | VideoContent() | AudioContent() | DocumentContent() | StickerContent():
            words = content.media.caption or ""
        case _:
            words = ""
    return words.encode()[:BODY_BYTES].decode(errors="ignore") or UNSET


def _had(sent: Sent, number: str) -> bool:
    return (number == sent.author or number in sent.copies) and not isinstance(sent.content, CHANGES)
