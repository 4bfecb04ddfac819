"""Changes of earlier messages: who may make them until when, and what becomes of the message's record.

A change goes over the network as a message does, with an id and a frame of its own. The network alters the record of
the message that it is about in the same put. Of a message that it does not know (never sent, or let go long ago) it
carries a change all the same, as WhatsApp does, whose servers do not read what they carry: phones that know the message
show it. Only a vote is refused then: it is sealed with the poll's own key, so nobody can make one without the poll.
"""

from __future__ import annotations

from typing import Any, NoReturn

from msgspec.structs import replace

from wagate.engines.sandbox.frames import Changes, History, Sent
from wagate.engines.sandbox.network import Network
from wagate.engines.sandbox.people import jid_of, lid_of, number_of
from wagate.errors import Refused
from wagate.model.contents import (
    Change,
    Content,
    DocumentContent,
    EditContent,
    GoneContent,
    ImageContent,
    PollContent,
    ReactionContent,
    RevokeContent,
    Target,
    TextContent,
    VideoContent,
    VoteContent,
)
from wagate.model.jid import is_group

CHANGES = (EditContent, RevokeContent, ReactionContent, VoteContent)
EDIT_MS = 15 * 60_000
REVOKE_MS = 2 * 86_400_000


class Judged:
    """A change that the network lets pass: as it is kept, and what it does to the record it is about."""

    __slots__ = ("_after", "_before", "change", "target")

    def __init__(self, change: Change, target: Sent | None, after: dict[str, Any]) -> None:
        self.change = change
        self.target = target
        self._after = after
        self._before: dict[str, Any] = {}

    def write(self, history: History) -> Changes:
        """Alter the record in memory; what is to be put with the change."""
        target = self.target
        if target is None or not self._after or history.let_go(target):
            return {}
        self._before = {field: getattr(target, field) for field in self._after}
        self._set(self._after)
        return {target.key: history.save(target)}

    def undo(self) -> None:
        """The change could not be put."""
        self._set(self._before)

    def _set(self, fields: dict[str, Any]) -> None:
        for field, value in fields.items():
            setattr(self.target, field, value)


async def judge(network: Network, author: str, chat: str, change: Change) -> Judged:
    """Whether this person may change that message of the chat now; nothing is changed yet.

    Raises:
        Refused: `too_old`, or `not_allowed`.
    """
    told = change.target
    writer = author if told.from_me else number_of(told.sender or chat)
    found = await _find(network.history, told.message_id, writer, _sides(author, chat))
    if found is not None:
        writer = found.author
    after = _RULES[type(change)](network, _Try(author, writer == author, chat, change), found)
    if writer is not None:
        address = lid_of if found is not None and found.hidden else jid_of
        told = Target(message_id=told.message_id, from_me=writer == author, sender=address(writer))
    return Judged(replace(change, target=told), found, after)


def told_to(change: Change, number: str) -> Change:
    """The change as a session of this number gets it."""
    target = change.target
    if target.sender and number_of(target.sender) == number:
        return replace(change, target=Target(message_id=target.message_id, from_me=True))
    return replace(change, target=replace(target, from_me=False))


async def _find(history: History, wire_id: str, writer: str | None, sides: set[str]) -> Sent | None:
    if writer is not None:
        one = await history.find(wire_id, writer)
        found = [one] if one is not None else []
    else:
        found = await history.named(wire_id)
    fitting = [
        sent for sent in found if _sides(sent.author, sent.chat) == sides and not isinstance(sent.content, CHANGES)
    ]
    return fitting[-1] if fitting else None


def _sides(author: str, chat: str) -> set[str]:
    """What makes a chat the same seen from either end."""
    other = number_of(chat)
    return {chat} if other is None else {author, other}


class _Try:
    """Who wants to change what, and where."""

    __slots__ = ("author", "change", "chat", "own")

    def __init__(self, author: str, own: bool, chat: str, change: Any) -> None:
        self.author, self.own, self.chat, self.change = author, own, chat, change


def _edit(network: Network, attempt: _Try, found: Sent | None) -> dict[str, Any]:
    if not attempt.own:
        _refuse("only one's own messages can be edited")
    if found is None:
        return {}
    if network.clock.now() - found.timestamp > EDIT_MS:
        _refuse("the message is too old to be edited", reason="too_old")
    return {"content": _edited(found.content, attempt.change.text), "edited": True}


def _edited(content: Content, text: str) -> Content:
    match content:
        case TextContent():
            return replace(content, text=text)
        case ImageContent() | VideoContent() | DocumentContent():
            return replace(content, media=replace(content.media, caption=text))
        case _:
            _refuse("only texts and captions can be edited")


def _revoke(network: Network, attempt: _Try, found: Sent | None) -> dict[str, Any]:
    if not attempt.own:
        group = network.groups.get(attempt.chat) if is_group(attempt.chat) else None
        if group is None or group.members.get(attempt.author, "member") == "member":
            _refuse("only an admin of the group can revoke another's message")
    elif found is not None and network.clock.now() - found.timestamp > REVOKE_MS:
        _refuse("the message is too old to be revoked", reason="too_old")
    return {"content": GoneContent(), "reactions": {}, "votes": {}}


def _react(network: Network, attempt: _Try, found: Sent | None) -> dict[str, Any]:
    if found is None or isinstance(found.content, GoneContent):
        return {}
    left = {number: emoji for number, emoji in found.reactions.items() if number != attempt.author}
    return {"reactions": left | ({attempt.author: attempt.change.emoji} if attempt.change.emoji else {})}


def _vote(network: Network, attempt: _Try, found: Sent | None) -> dict[str, Any]:
    poll = found.content if found is not None else None
    chosen: list[str] = attempt.change.options
    if found is None or not isinstance(poll, PollContent):
        _refuse("there is no such poll")
    if poll.poll_end_time and network.clock.now() >= poll.poll_end_time:
        _refuse("the poll has ended", reason="too_old")
    if len(set(chosen)) != len(chosen) or not set(chosen) <= set(poll.options):
        _refuse("the poll has no such option")
    if poll.selectable_count and len(chosen) > poll.selectable_count:
        _refuse("more options than the poll lets one choose")
    left = {number: options for number, options in found.votes.items() if number != attempt.author}
    return {"votes": left | ({attempt.author: chosen} if chosen else {})}


def _refuse(why: str, *, reason: str = "not_allowed") -> NoReturn:
    raise Refused(why, reason=reason, waCode=410 if reason == "too_old" else 403)


_RULES = {EditContent: _edit, RevokeContent: _revoke, ReactionContent: _react, VoteContent: _vote}
