"""Chats as stored."""

from __future__ import annotations

from msgspec import UNSET

from wagate.model import Ask, Maybe, Millis, Shape
from wagate.model.jid import ChatType


class Chat(Shape, frozen=True, kw_only=True):
    """A conversation of one session."""

    id: int
    session_id: str
    jid: str
    type: ChatType
    unread_count: int
    archived: bool
    pinned: bool
    name: Maybe[str] = UNSET
    last_message_at: Maybe[Millis] = UNSET
    muted_until: Maybe[Millis] = UNSET
    aliases: Maybe[list[str]] = UNSET


class UpdateChat(Ask, frozen=True, kw_only=True):
    """What is to change in the stored chat; absent stays, `unmute` wins over `mutedUntil`."""

    archived: bool | None = None
    pinned: bool | None = None
    muted_until: Millis | None = None
    unmute: bool | None = None
