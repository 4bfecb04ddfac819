"""From the library's events to our reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp.addresses import both_of, known_as, text_of
from wagate.model.contents import MessageContent, TextContent
from wagate.model.messages import Arrived, Receipt

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

_RECEIPTS = {1: "delivered", 9: "delivered", 4: "read", 6: "played"}
"""The library's number of a receipt; 9 is a device that has the message while its person is not there."""


def reports(line: Line, code: int, body: bytes) -> list[base.Report]:
    """What an event says; nothing for what we have no word for. Runs on a thread of the library's."""
    match code:
        case 17:
            return _message(line.library.read("Message", body))
        case 18:
            return _receipt(line.library.read("Receipt", body))
    return []


def _message(event: Any) -> list[base.Report]:
    info = event.Info
    source = info.MessageSource
    content = said(event.Message)
    if content is None:
        return []
    phone, lid = both_of(source.Sender, source.SenderAlt)
    chat = text_of(source.Chat)
    if not source.IsGroup and chat.endswith("@lid"):
        other = (source.RecipientAlt,) if source.IsFromMe else (source.SenderAlt,)
        chat = known_as(source.Chat, *other)
    return [
        Arrived(
            wire_id=info.ID,
            chat=chat,
            from_me=source.IsFromMe,
            timestamp=_millis(info.Timestamp),
            content=content,
            sender=phone or lid,
            sender_lid=lid,
            push_name=info.Pushname or UNSET,
        )
    ]


def said(message: Any) -> MessageContent | None:
    """A content of ours; None for what has none."""
    text = message.conversation or message.extendedTextMessage.text
    return TextContent(text=text) if text else None


def _receipt(event: Any) -> list[base.Report]:
    status = _RECEIPTS.get(event.Type)
    source = event.MessageSource
    if status is None or source.IsFromMe:
        return []
    sender = known_as(source.Sender, source.SenderAlt)
    return [
        Receipt(
            chat=text_of(source.Chat) if source.IsGroup else sender,
            wire_ids=list(event.MessageIDs),
            status=status,  # type: ignore[arg-type]
            timestamp=_millis(event.Timestamp),
            sender=sender or UNSET,
        )
    ]


def _millis(moment: int) -> int:
    """The library gives seconds in some events and milliseconds in others; our messages are younger than 2001."""
    return moment * 1000 if moment < 100_000_000_000 else moment
