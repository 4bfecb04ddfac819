"""Channels as the network keeps them: who owns one, and who follows it.

Kept under `c/<jid>`, each follower under `cf/<jid>/<number>`. Here is only the memory of it: `following` commits a
change before it is noted.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wagate.errors import Refused

MUTED, HEARD = "muted", "heard"


class Channel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel. `owner` is a number."""

    jid: str
    name: str
    owner: str
    created_at: int
    description: str = ""


class Channels:
    """The channels of one network, each with its followers by number and whether they muted it."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._followers: dict[str, dict[str, str]] = {}

    def load(self, channels: Iterable[str], followers: Iterable[tuple[str, str]]) -> None:
        """Take up what was kept: channels, and followers with their keys."""
        for text in channels:
            self.add(msgspec.json.decode(text, type=Channel))
        for key, heard in followers:
            _, jid, number = key.split("/")
            self.follow(jid, number, heard)

    def get(self, jid: str) -> Channel | None:
        """The channel with this JID."""
        return self._channels.get(jid)

    def may_post(self, number: str, jid: str) -> bool:
        """Whether what this person sends to the channel reaches its followers: they own it."""
        channel = self._channels.get(jid)
        return channel is not None and channel.owner == number

    def audience(self, number: str, jid: str) -> list[str]:
        """Whom it reaches when this person posts.

        Raises:
            Refused: they may not, or there is no such channel.
        """
        if not self.may_post(number, jid):
            raise Refused("not allowed to post in this channel", waCode=403)
        return [each for each in self.followers(jid) if each != number]

    def followers(self, jid: str) -> list[str]:
        """The numbers that follow a channel, in the order in which they came."""
        return list(self._followers.get(jid, ()))

    def heard(self, jid: str, number: str) -> str | None:
        """How a follower follows: `HEARD` or `MUTED`; None: not at all."""
        return self._followers.get(jid, {}).get(number)

    def add(self, channel: Channel) -> None:
        """There is this channel from now on."""
        self._channels[channel.jid] = channel

    def follow(self, jid: str, number: str, heard: str | None) -> None:
        """Somebody follows a channel like this from now on; None: no longer."""
        followers = self._followers.setdefault(jid, {})
        if heard is None:
            followers.pop(number, None)
        else:
            followers[number] = heard


def channel_key(jid: str) -> str:
    """Where a channel is kept."""
    return f"c/{jid}"


def follower_key(jid: str, number: str) -> str:
    """Where it is kept that somebody follows a channel."""
    return f"cf/{jid}/{number}"
