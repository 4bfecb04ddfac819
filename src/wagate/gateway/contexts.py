"""Contexts: what the store knows around a message: what it quotes, whom it mentions, who reacted to it.

Nothing here is stored: it is looked up when a message is accepted, told or read, so a name that is learnt later shows.
Called by outbox and messages (quoted), messages (mentions, around) and polls (people).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from wagate.backends.database import Reader
from wagate.model import Maybe
from wagate.model.contents import AlbumContent, AlbumItem, Content, Quote
from wagate.model.events import Mention
from wagate.model.messages import Reaction

QUOTED_BYTES = 4096
"""The most that a quote shows of what it quotes, in bytes of UTF-8."""

MOST_PEOPLE = 4096
"""How many people are looked up at once: more than a page of groups mentions, and who mentions is a stranger."""

_QUOTED = """
SELECT author, sender_jid, sender_lid, body FROM messages WHERE organization_id = :organization_id
  AND session_id = :session_id AND wire_id = :wire_id AND chat_jid = :chat ORDER BY position DESC LIMIT 1
"""
# By LID somebody is in a few groups; a group may have a thousand members: `|| ''` keeps the index of the group out.
_PEOPLE = """
SELECT jid, lid, push_name, COALESCE(full_name, push_name, business_name), NULL FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND jid IN ({each:people})
UNION
SELECT jid, lid, push_name, COALESCE(full_name, push_name, business_name), NULL FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND lid IN ({each:people})
UNION
SELECT jid, lid, NULL, NULL, tag FROM members WHERE organization_id = :organization_id AND session_id = :session_id
  AND group_jid = :chat AND jid IN ({each:people})
UNION
SELECT jid, lid, NULL, NULL, tag FROM members WHERE organization_id = :organization_id AND session_id = :session_id
  AND lid IN ({each:people}) AND group_jid || '' = :chat
"""
_REACTIONS = """
SELECT wire_id, author, emoji, person FROM reactions WHERE organization_id = :organization_id
  AND session_id = :session_id AND chat_jid = :chat AND wire_id IN ({each:wire_ids}) AND emoji <> ''
ORDER BY timestamp, person
"""

C = TypeVar("C", bound=Content)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A chat of a session of an organization."""

    organization_id: str
    session_id: str
    chat: str

    def params(self) -> dict[str, Any]:
        """The parameters that name its rows."""
        return {"organization_id": self.organization_id, "session_id": self.session_id, "chat": self.chat}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as far as the store knows them; `jid` is canonical, `tag` what they are called in the chat's group."""

    jid: str
    push_name: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    tag: Maybe[str] = UNSET

    @property
    def shown(self) -> str:
        """A name to show, empty when none is known."""
        return self.name or self.tag or ""


async def quoted(reader: Reader, place: Place, content: C) -> C:
    """The content, its quote completed: what is told of it stays, what is missing comes from the store."""
    quote = content.quote
    if not isinstance(quote, Quote):
        return content
    row = await reader.one(_QUOTED, **place.params(), wire_id=quote.message_id)
    told = {name: value for name in _TOLD if (value := getattr(quote, name)) is not UNSET}
    if row is not None:
        stored = {"sender_jid": row[1], "sender_lid": row[2], "body": row[3], "from_me": row[0] == ""}
        told = {**{name: value for name, value in stored.items() if value is not None}, **told}
    if "body" in told:
        told["body"] = cut(told["body"])
    return _with_quote(content, Quote(message_id=quote.message_id, **told))


_TOLD = ("sender_jid", "sender_lid", "body", "from_me")


def cut(text: str, most: int = QUOTED_BYTES) -> str:
    """The beginning of a text, at most so many bytes of UTF-8, never half a character."""
    if len(text) * 4 <= most:
        return text
    return text.encode()[:most].decode(errors="ignore")


async def people(reader: Reader, place: Place, addresses: Iterable[str]) -> dict[str, Known]:
    """Everybody of these addresses, by the address that was asked for, in that order: at most one statement.

    Beyond `MOST_PEOPLE` nothing is known of anybody.
    """
    asked = list(dict.fromkeys(addresses))
    if not asked:
        return {}
    rows = await reader.all(_PEOPLE, **place.params(), people=msgspec.json.encode(asked[:MOST_PEOPLE]).decode())
    found = {address: Known(jid=address) for address in asked}
    for jid, lid, *told in rows:
        names = {key: value for key, value in zip(("push_name", "name", "tag"), told, strict=True) if value}
        for address in (jid, lid):
            if address in found:
                found[address] = msgspec.structs.replace(found[address], jid=jid or lid, **names)
    return found


async def mentions(reader: Reader, place: Place, content: Content) -> Maybe[dict[str, Mention]]:
    """Whom a content mentions, by canonical JID, with what is known of them; unset for nobody."""
    if not content.mentions:
        return UNSET
    known = await people(reader, place, content.mentions)
    return {each.jid: Mention(push_name=each.push_name, tag=each.tag) for each in known.values()}


async def reactions(reader: Reader, place: Place, wire_ids: Sequence[str]) -> dict[tuple[str, str], list[Reaction]]:
    """The reactions to messages of a chat, oldest first, by wire id and author: one statement, however many."""
    rows = await reader.all(_REACTIONS, **place.params(), wire_ids=msgspec.json.encode(wire_ids).decode())
    found: dict[tuple[str, str], list[Reaction]] = {}
    for wire_id, author, emoji, person in rows:
        found.setdefault((wire_id, author), []).append(Reaction(emoji=emoji, sender_jid=person))
    return found


def _with_quote(content: C, quote: Quote) -> C:
    """With this quote; an album's first item says what the album says."""
    made = msgspec.structs.replace(content, quote=quote)
    if isinstance(content, AlbumContent):
        first = content.items[0]
        shown = AlbumItem(content=_with_quote(first.content, quote), message_id=first.message_id)
        made = msgspec.structs.replace(made, items=[shown, *content.items[1:]])
    return made
