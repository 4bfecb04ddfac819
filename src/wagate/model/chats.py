"""Chats as stored, and who is there: presence."""

from __future__ import annotations

from typing import Literal

import msgspec
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


class SetPresence(Ask, frozen=True, kw_only=True):
    """Whether the account shows as online."""

    state: Literal["online", "offline"]


class SetChatPresence(Ask, frozen=True, kw_only=True):
    """What the account does in a chat."""

    state: Literal["composing", "recording", "paused"]


PresenceState = Literal["unknown", "available", "unavailable", "composing", "paused"]


class ChatPresence(Shape, frozen=True, kw_only=True):
    """Where somebody is, as last heard."""

    from_: str = msgspec.field(name="from")
    state: PresenceState
    last_seen: Maybe[Millis] = UNSET
    chat_jid: Maybe[str] = UNSET
    media: Maybe[Literal["text", "audio"]] = UNSET
    unavailable: Maybe[bool] = UNSET


class PresenceHeard(Shape, frozen=True, kw_only=True):
    """Somebody came, went or types, as an engine reports it; `person` is a canonical JID."""

    person: str
    state: PresenceState
    chat: Maybe[str] = UNSET
    media: Maybe[Literal["text", "audio"]] = UNSET
    last_seen: Maybe[Millis] = UNSET


class ChatMarked(Shape, frozen=True, kw_only=True):
    """The account's own phone archived, pinned, muted or read a chat, or somebody changed its picture, as an engine
    reports it; only what changed is set. `history` is true for what was so when the account was linked: it is stored
    without an event.
    """

    chat: str
    archived: Maybe[bool] = UNSET
    pinned: Maybe[bool] = UNSET
    muted_until: Maybe[Millis] = UNSET
    read: Maybe[bool] = UNSET
    picture_id: Maybe[str] = UNSET
    picture_removed: Maybe[bool] = UNSET
    history: bool = False
