"""What the phone hands over after linking: older messages, and whom it knows. In chunks, each as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import reading
from wagate.model.contacts import Person
from wagate.model.contents import Change
from wagate.model.messages import Arrived

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

MESSAGES_A_CHAT = 50
"""The newest of each chat that are kept: more is an archive, and the phone has it."""


def reports(line: Line, sync: Any) -> list[base.Report]:
    """People first, then each chat's messages, the oldest first."""
    people = [_person(name) for name in sync.pushnames if name.ID.endswith("@s.whatsapp.net") and name.pushname]
    told: list[base.Report] = [base.PeopleSeen(people=people)] if people else []
    for conversation in sync.conversations:
        told += _messages(line, conversation)
    return told


def _person(name: Any) -> Person:
    return Person(jid=name.ID, push_name=name.pushname)


def _messages(line: Line, conversation: Any) -> list[base.Report]:
    newest = sorted(conversation.messages, key=lambda each: each.message.messageTimestamp)[-MESSAGES_A_CHAT:]
    chat = conversation.pnJID or conversation.ID
    return [arrived for each in newest if (arrived := _arrived(line, chat, each.message)) is not None]


def _arrived(line: Line, chat: str, said: Any) -> Arrived | None:
    content = reading.content_of(said.message, line.is_own)
    if content is None or isinstance(content, Change) or not said.key.ID:
        return None
    group = chat.endswith("@g.us")
    author = said.key.participant or said.participant if group else chat
    mine = said.key.fromMe
    return Arrived(
        wire_id=said.key.ID,
        chat=chat,
        from_me=mine,
        timestamp=said.messageTimestamp * 1000,
        content=content,
        sender=(line.own_jid or UNSET) if mine else (author or UNSET),
        push_name=said.pushName or UNSET,
        history=True,
    )
