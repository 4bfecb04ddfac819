"""Channels: WhatsApp's one-way newsletters."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from wagate.model import Ask, Line, Maybe, Prose, Shape


class CreateChannel(Ask, frozen=True, kw_only=True):
    """A new channel."""

    name: Annotated[Line, Meta(min_length=1, max_length=100)]
    description: Annotated[Prose, Meta(max_length=2048)] | None = None


class CreatedChannel(Shape, frozen=True, kw_only=True):
    """The channel that was made."""

    jid: str


class MuteChannel(Ask, frozen=True, kw_only=True):
    """Whether it is to be silent; true if absent."""

    mute: bool | None = None


class ChannelChanged(Shape, frozen=True, kw_only=True):
    """The account joined, left or muted a channel, as an engine reports it. `name` when it is known."""

    jid: str
    action: Literal["join", "leave", "mute"]
    name: Maybe[str] = UNSET
