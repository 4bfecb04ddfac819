"""Changes: a message is edited, revoked, reacted to or voted in, by this account or by somebody else.

A change goes out like a message and has a wire id of its own, but is not stored as one: it is applied to the message
that it is about, and told as an event of its own, once. What makes it once is what is stored:

- of a person's reactions to a message (votes in a poll), and of a message's edits, the newest by the network's time
  stands. What is older, or as old and equal, is a repeat: nothing changes and nothing is told.
- a revoked message stays revoked: nothing that is about it changes it, and nothing more is told of it.
- a change of a message that is not stored is told, and kept nowhere.

Called by api/changes (what is asked, made into contents), dispatch (own changes that went out) and workers/inbox.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from wagate.backends.database import Tx
from wagate.errors import BadRequest, NotFound, Refused
from wagate.gateway import Gateway, contacts, contents, media, messages, targets
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.gateway.targets import Found, Pointer
from wagate.model import jid
from wagate.model.contacts import Person
from wagate.model.contents import (
    Change,
    EditContent,
    GoneContent,
    PollContent,
    ReactionContent,
    RevokeContent,
    VoteContent,
)
from wagate.model.events import EventType, MessageChanged, MessageReaction, PollVote
from wagate.model.messages import Arrived
from wagate.model.organizations import Caller

# `edited` is when it was last edited, so that an edit that comes late does not undo a newer one.
_EDIT = """
UPDATE messages SET content = :content, body = :body, edited = :timestamp
WHERE organization_id = :organization_id AND position = :position AND deleted = 0
"""
_REVOKE = """
UPDATE messages SET deleted = 1, content = :content, body = NULL
WHERE organization_id = :organization_id AND position = :position AND deleted = 0
"""
_REACT = """
INSERT INTO reactions (session_id, chat_jid, wire_id, author, person, organization_id, emoji, timestamp)
VALUES (:session_id, :chat, :wire_id, :author, :person, :organization_id, :emoji, :timestamp)
ON CONFLICT (session_id, chat_jid, wire_id, author, person)
DO UPDATE SET emoji = excluded.emoji, timestamp = excluded.timestamp WHERE reactions.timestamp < excluded.timestamp
  OR (reactions.timestamp = excluded.timestamp AND reactions.emoji <> excluded.emoji)
"""
_VOTE = """
INSERT INTO votes (session_id, chat_jid, wire_id, author, person, organization_id, name, options, timestamp)
VALUES (:session_id, :chat, :wire_id, :author, :person, :organization_id, :name, :options, :timestamp)
ON CONFLICT (session_id, chat_jid, wire_id, author, person)
DO UPDATE SET name = COALESCE(excluded.name, votes.name), options = excluded.options, timestamp = excluded.timestamp
WHERE votes.timestamp < excluded.timestamp
  OR (votes.timestamp = excluded.timestamp AND votes.options <> excluded.options)
"""
_DROP = tuple(
    f"""
DELETE FROM {table} WHERE organization_id = :organization_id AND session_id = :session_id AND chat_jid = :chat
  AND wire_id = :wire_id AND author = :author
"""
    for table in ("reactions", "votes", "polls")
)
_GONE = msgspec.json.encode(GoneContent()).decode()


EDIT_MS = 15 * 60_000
"""How long WhatsApp lets one edit a message."""
REVOKE_MS = 60 * 3_600_000
"""How long it lets one take a message back for everybody: a little over two days."""

# What is asked


async def edit(gw: Gateway, caller: Caller, session_id: str, pointer: Pointer, text: str) -> EditContent:
    """A new text for an own message. One that is not stored is taken for the account's own: the network decides.

    Raises what `targets.point` does, and:
        Refused: the message is another's, was revoked, has no text, or is older than WhatsApp lets one edit.
    """
    own = await targets.point(gw, caller, session_id, msgspec.structs.replace(pointer, sender=""))
    if own.found is None and (await targets.point(gw, caller, session_id, pointer)).found is not None:
        raise Refused("only the account's own messages can be edited")
    if own.found is not None and own.found.deleted:
        raise Refused("the message was revoked")
    if own.found is not None and contents.reworded(own.found.content, text) is None:
        raise Refused("a message of this type has no text to edit")
    # WhatsApp carries a late edit, for it cannot read it, and phones do not show it: nobody else would say no.
    if own.found is not None and gw.clock.now() - own.found.timestamp > EDIT_MS:
        raise Refused("the message is too old to be edited", reason="too_old")
    return EditContent(target=own.target, text=text)


async def revoke(gw: Gateway, caller: Caller, session_id: str, pointer: Pointer) -> RevokeContent:
    """A message is to be taken back; whether this account may is for the network to say.

    Raises what `targets.point` does, and:
        Refused: it is older than WhatsApp lets anybody take one back.
    """
    pointed = await targets.point(gw, caller, session_id, pointer)
    # Carried and not shown, as a late edit is.
    if pointed.found is not None and gw.clock.now() - pointed.found.timestamp > REVOKE_MS:
        raise Refused("the message is too old to be revoked", reason="too_old")
    return RevokeContent(target=pointed.target)


async def react(gw: Gateway, caller: Caller, session_id: str, pointer: Pointer, emoji: str) -> ReactionContent:
    """An emoji for a message; an empty one takes the account's back. Raises what `targets.point` does."""
    return ReactionContent(target=(await targets.point(gw, caller, session_id, pointer)).target, emoji=emoji)


async def vote(gw: Gateway, caller: Caller, session_id: str, pointer: Pointer, options: list[str]) -> VoteContent:
    """The full set of options to choose in a stored poll, in the poll's order.

    Raises what `targets.point` does, and:
        NotFound: the message is not stored.
        BadRequest: it is no poll, an option is none of its options, or there are too many.
        Refused: the poll has ended.
    """
    pointed = await targets.point(gw, caller, session_id, pointer)
    if pointed.found is None:
        raise NotFound("message not found")
    poll = pointed.found.content
    if not isinstance(poll, PollContent):
        raise BadRequest.field("mid", "is not the id of a poll")
    if poll.poll_end_time and gw.clock.now() >= poll.poll_end_time:
        raise Refused("the poll has ended", reason="too_old")
    for position, option in enumerate(options):
        if option not in poll.options:
            raise BadRequest.field(f"options[{position}]", "is not an option of this poll")
    if len(set(options)) != len(options):
        raise BadRequest.field("options", "holds the same option twice")
    if poll.selectable_count and len(options) > poll.selectable_count:
        raise BadRequest.field("options", f"holds more than the {poll.selectable_count} that may be chosen")
    return VoteContent(target=pointed.target, options=[each for each in poll.options if each in options])


# What happened


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A change that the network has: its own wire id, its chat, who made it (`from_me`: this account) and when."""

    wire_id: str
    chat: str
    from_me: bool
    timestamp: int
    content: Change
    sender: Person


async def arrived(tx: Tx, held: Held, now: int, report: Arrived) -> list[Fact]:
    """A change reached the account: apply it, once. History is applied without being told."""
    assert isinstance(report.content, Change)
    sender = await messages.author(tx, held, report)
    facts: list[Fact] = []
    if not report.from_me:
        facts += await contacts.seen(tx, held, now, sender)
    made = Made(
        wire_id=report.wire_id,
        chat=await contacts.resolve(tx, held.organization_id, held.id, report.chat),
        from_me=report.from_me,
        timestamp=report.timestamp,
        content=report.content,
        sender=sender,
    )
    told = await apply(tx, held, made)
    return facts if report.history else [*facts, *told]


async def apply(tx: Tx, held: Held, made: Made) -> list[Fact]:
    """Change what is stored, and the fact that tells of it; none for a repeat, nor for what nobody may do."""
    target = made.content.target
    pointer = Pointer(chat=made.chat, message_id=target.message_id, sender=_author_of(held, made))
    found = await targets.find(tx, held.organization_id, held.id, pointer)
    if found is not None and found.deleted:
        return []
    match made.content:
        case EditContent():
            change = _edited(tx, held, made, found)
        case RevokeContent():
            change = _revoked(tx, held, made, found)
        case ReactionContent():
            change = _reacted(tx, held, made, found)
        case VoteContent():
            change = _voted(tx, held, made, found)
    fact = await change
    return [] if fact is None else [fact]


def _author_of(held: Held, made: Made) -> str | None:
    """The author of the message that a change is about: empty for the account itself, None where nobody knows."""
    target = made.content.target
    if target.from_me or target.sender in (held.wa_jid, held.wa_lid):
        return ""
    if target.sender:
        return target.sender
    return made.chat if jid.chat_type(made.chat) == "dm" else None


async def _is_author(tx: Tx, held: Held, made: Made) -> bool:
    """Whether who made the change wrote the message that it is about."""
    author = _author_of(held, made)
    if made.from_me or author == "":
        return made.from_me and author == ""
    if author is None:
        return True
    both = await contacts.addresses(tx, held.organization_id, held.id, author)
    return made.sender.jid in both or made.sender.lid in both


async def _edited(tx: Tx, held: Held, made: Made, found: Found | None) -> Fact | None:
    assert isinstance(made.content, EditContent)
    text = made.content.text
    # Networks pass on what clients claim: nobody else's message is edited.
    if not await _is_author(tx, held, made):
        return None
    if found is not None:
        content = contents.reworded(found.content, text)
        if content is None or made.timestamp < found.edited:
            return None
        if made.timestamp == found.edited and contents.body(found.content) == (text or None):
            return None
        await tx.run(
            _EDIT,
            organization_id=held.organization_id,
            position=found.position,
            content=msgspec.json.encode(content).decode(),
            body=contents.body(content),
            timestamp=made.timestamp,
        )
    said = _fields(made, "text" if found is None else found.type)
    if found is not None and (file := contents.facets(found.content).media) is not None:
        said |= {"has_media": True, "media": file}
    return "message.edited", MessageChanged(**said, body=text)


async def _revoked(tx: Tx, held: Held, made: Made, found: Found | None) -> Fact | None:
    # Of a group's admins the network knows; elsewhere only the author takes a message back.
    if not jid.is_group(made.chat) and not await _is_author(tx, held, made):
        return None
    if found is not None:
        await tx.run(_REVOKE, organization_id=held.organization_id, position=found.position, content=_GONE)
        await media.drop(tx, held.organization_id, found.content)
        key = _key(held, made, found)
        for statement in _DROP:
            await tx.run(statement, **key)
    return "message.revoked", MessageChanged(**_fields(made, "revoke"))


async def _reacted(tx: Tx, held: Held, made: Made, found: Found | None) -> Fact | None:
    assert isinstance(made.content, ReactionContent)
    emoji = made.content.emoji
    if found is not None:
        # One that is taken back is kept as empty: a late repeat of it is known by that.
        who = {"person": contacts.canonical(made.sender), "timestamp": made.timestamp}
        if not await tx.run(_REACT, **_key(held, made, found), **who, emoji=emoji):
            return None
    return "message.reaction", MessageReaction(**_fields(made, "reaction"), reaction=emoji)


async def _voted(tx: Tx, held: Held, made: Made, found: Found | None) -> Fact | None:
    assert isinstance(made.content, VoteContent)
    options = made.content.options
    if found is not None and isinstance(found.content, PollContent):
        options = _labels(found.content, options)
        who = {"person": contacts.canonical(made.sender), "timestamp": made.timestamp}
        name, chosen = made.sender.push_name or None, msgspec.json.encode(options).decode()
        if not await tx.run(_VOTE, **_key(held, made, found), **who, name=name, options=chosen):
            return None
    return "poll.vote", PollVote(**_fields(made, "poll_vote"), selected_options=options)


def _labels(poll: PollContent, chosen: list[str]) -> list[str]:
    """What somebody chose, by the poll's own labels and in its order.

    Networks that encrypt votes tell an option by its hash: the SHA-256 of the label, in hex. What is neither a label of
    this poll nor the hash of one stays as it is, behind the others.
    """
    by_hash = {sha256(option.encode()).hexdigest(): option for option in poll.options}
    named = [option if option in poll.options else by_hash.get(option, option) for option in chosen]
    known = [option for option in poll.options if option in named]
    return known + [option for option in dict.fromkeys(named) if option not in known]


def _key(held: Held, made: Made, found: Found) -> dict[str, Any]:
    return {
        "organization_id": held.organization_id,
        "session_id": held.id,
        "chat": made.chat,
        "wire_id": made.content.target.message_id,
        "author": found.author,
    }


def _fields(made: Made, type: EventType) -> dict[str, Any]:
    """What every event of a change says."""
    return {
        "wa_message_id": made.wire_id,
        "chat_jid": made.chat,
        "from_me": made.from_me,
        "type": type,
        "timestamp": made.timestamp,
        "has_media": False,
        "media": None,
        "sender_jid": made.sender.jid,
        "sender_lid": made.sender.lid,
        "push_name": made.sender.push_name,
        "target_id": made.content.target.message_id,
    }
