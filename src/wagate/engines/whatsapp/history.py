"""What the phone hands over after linking: older messages, and whom it knows. In chunks, each as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import reading
from wagate.engines.whatsapp.addresses import bare, by_text, canonical
from wagate.model.contacts import Person
from wagate.model.contents import Change
from wagate.model.messages import Arrived

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

MESSAGES_A_CHAT = 50
"""The newest of each chat that are kept: more is an archive, and the phone has it."""


def reports(line: Line, sync: Any) -> list[base.Report]:
    """People first, then each chat's messages, the oldest first. May wait (see addresses.py)."""
    people = [
        msgspec.structs.replace(by_text(line, name.ID), push_name=name.pushname)
        for name in sync.pushnames
        if name.pushname and not line.is_own(name.ID)
    ]
    people += [
        Person(jid=bare(pair.pnJID), lid=bare(pair.lidJID))
        for pair in sync.phoneNumberToLidMappings
        if pair.pnJID and pair.lidJID
    ]
    told: list[base.Report] = [base.PeopleSeen(people=people)] if people else []
    for conversation in sync.conversations:
        told += _messages(line, conversation)
    return told


def _messages(line: Line, conversation: Any) -> list[base.Report]:
    newest = sorted(conversation.messages, key=lambda each: each.message.messageTimestamp)[-MESSAGES_A_CHAT:]
    chat = conversation.pnJID or conversation.ID
    chat = chat if chat.endswith(("@g.us", "@broadcast", "@newsletter")) else canonical(line, chat)
    return [arrived for each in newest if (arrived := _arrived(line, chat, each.message)) is not None]


def _arrived(line: Line, chat: str, said: Any) -> Arrived | None:
    mine = said.key.fromMe
    written = said.key.participant or said.participant if chat.endswith("@g.us") else chat
    author = line.me if mine else by_text(line, written)
    by = reading.Said("" if mine else author.jid or author.lid or "", chat)
    content = reading.content_of(said.message, line, by)
    if content is None or isinstance(content, Change) or not said.key.ID:
        return None
    return Arrived(
        wire_id=said.key.ID,
        chat=chat,
        from_me=mine,
        timestamp=said.messageTimestamp * 1000,
        content=content,
        sender=author.jid or author.lid,
        sender_lid=author.lid,
        push_name=(said.pushName or UNSET) if not mine else UNSET,
        history=True,
    )
