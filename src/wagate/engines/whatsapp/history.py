"""What the phone hands over after linking: older messages, and whom it knows. In chunks, each as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import reading
from wagate.engines.whatsapp.addresses import bare, by_text, canonical
from wagate.engines.whatsapp.channels import FOREVER
from wagate.model.chats import ChatMarked
from wagate.model.contacts import Person
from wagate.model.contents import Change, ReactionContent, Target
from wagate.model.messages import Arrived

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

MESSAGES_A_CHAT = 50
"""The newest of each chat that are kept: more is an archive, and the phone has it."""

_MILLIS = 100_000_000_000


def reports(line: Line, sync: Any) -> list[base.Report]:
    """People first, then each chat: its marks, and its messages, the oldest first. May wait (see addresses.py)."""
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
        chat = conversation.pnJID or conversation.ID
        chat = chat if chat.endswith(("@g.us", "@broadcast", "@newsletter")) else canonical(line, chat)
        if conversation.HasField("ephemeralExpiration"):
            line.timers.note(chat, conversation.ephemeralExpiration)
        told += [*_marks(conversation, chat), *_messages(line, conversation, chat)]
    return told


def _marks(conversation: Any, chat: str) -> list[base.Report]:
    """What the phone had made of the chat; nothing where the piece does not say it."""
    marks: dict[str, Any] = {}
    if conversation.HasField("archived"):
        marks["archived"] = conversation.archived
    if conversation.HasField("pinned"):
        marks["pinned"] = conversation.pinned > 0
    if conversation.HasField("muteEndTime"):
        # In seconds, or in milliseconds; for good is the last moment that its field holds.
        until = conversation.muteEndTime
        marks["muted_until"] = min(until * 1000 if until < _MILLIS else until, FOREVER)
    return [ChatMarked(chat=chat, history=True, **marks)] if marks else []


def _messages(line: Line, conversation: Any, chat: str) -> Iterator[base.Report]:
    newest = sorted(conversation.messages, key=lambda each: each.message.messageTimestamp)[-MESSAGES_A_CHAT:]
    for each in newest:
        arrived = _arrived(line, chat, each.message)
        if arrived is not None:
            yield arrived
            yield from _reactions(line, arrived, each.message)


def _arrived(line: Line, chat: str, said: Any) -> Arrived | None:
    mine = said.key.fromMe
    written = said.key.participant or said.participant if chat.endswith("@g.us") else chat
    author = line.me if mine else by_text(line, written)
    by = reading.Said("" if mine else author.jid or author.lid or "", chat)
    wire_id, message = said.key.ID, reading.unwrapped(said.message)
    if message.protocolMessage.HasField("editedMessage"):
        # Of a message that was edited, the edit is kept in its place.
        wire_id, message = message.protocolMessage.key.ID or wire_id, message.protocolMessage.editedMessage
    content = reading.content_of(message, line, by)
    if content is None or isinstance(content, Change) or not wire_id:
        return None
    return Arrived(
        wire_id=wire_id,
        chat=chat,
        from_me=mine,
        timestamp=said.messageTimestamp * 1000,
        content=content,
        sender=author.jid or author.lid,
        sender_lid=author.lid,
        push_name=(said.pushName or UNSET) if not mine else UNSET,
        history=True,
    )


def _reactions(line: Line, about: Arrived, said: Any) -> Iterator[Arrived]:
    """What people think of it; each of them once, the newest."""
    target = Target(message_id=about.wire_id, from_me=about.from_me, sender=UNSET if about.from_me else about.sender)
    for reaction in said.reactions:
        key = reaction.key
        # Of two, who is not this account is the other one.
        written = key.participant if about.chat.endswith("@g.us") else key.participant or about.chat
        if not reaction.text or not (key.fromMe or written):
            continue
        who = line.me if key.fromMe else by_text(line, written)
        yield Arrived(
            wire_id=key.ID,
            chat=about.chat,
            from_me=key.fromMe,
            timestamp=reaction.senderTimestampMS or about.timestamp,
            content=ReactionContent(target=target, emoji=reaction.text),
            sender=who.jid or who.lid,
            sender_lid=who.lid,
            history=True,
        )
