"""Names that the dialect's clients use, read and written.

Sessions go by the gateway's id, or by the name that they were given if no other session of the caller has it; groups by
JID or without its end; people by `+` and number, `@c.us`, phone JID or LID; messages by WhatsApp's id, or by one that
says the chat too: `false_9990000002@c.us_3EB0…`, with the author at the end in a group. People are shown as `@c.us`
where messages, chats and contacts are told of, and by their JIDs in groups.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from wagate.api.operations import Call
from wagate.errors import BadRequest, Conflict, NotFound
from wagate.gateway import Window, messages, sessions
from wagate.model import jid
from wagate.model.messages import Message
from wagate.model.sessions import Session

SDK_AGENT = "wasend-dev/1.0.0"
"""What the SDK calls itself, in every version of it."""

_BARE_GROUP = re.compile(r"[0-9]{10,40}(?:-[0-9]{1,20})?", re.ASCII)
_MESSAGE = re.compile(r"(true|false)_([^_\s]{1,128}@[a-z.]{1,32})_([^_\s]{1,128})(?:_([^_\s]{1,128}))?", re.ASCII)


def is_sdk(call: Call) -> bool:
    """Whether the caller is the SDK: where it and the documentation differ, it gets what it can read."""
    return call.header("user-agent") == SDK_AGENT


async def session(call: Call, named: str | None) -> Session:
    """The session that a request means: by id, by name, or the caller's only one where none is named.

    Raises:
        NotFound: not the caller's.
        Conflict: several are called so.
        BadRequest: none is named, and the caller has not exactly one.
    """
    if not named:
        return await _only(call)
    try:
        return await sessions.get(call.gw, call.caller, named)
    except NotFound:
        return await sessions.named(call.gw, call.caller, named)


async def _only(call: Call) -> Session:
    mine, _ = await sessions.page(call.gw, call.caller, Window(2))
    if len(mine) == 1:
        return mine[0]
    why = "and this key has none" if not mine else "and this key has more than one"
    raise BadRequest.field("session", f"is missing, {why}: name the session that the request is for")


async def find(call: Call) -> Session:
    """The session that the path names; from then on the path holds the gateway's own names."""
    found = await session(call, call.path["session"])
    call.path["session"] = found.id
    if "gid" in call.path:
        call.path["gid"] = group(call.path["gid"])
    return found


def group(text: str) -> str:
    """A group's JID; what names none stays as it is, and is not found."""
    return f"{text}@{jid.GROUP}" if _BARE_GROUP.fullmatch(text) else text


def address(text: str, path: str) -> str:
    """A chat's canonical JID, a group's also without its end.

    Raises:
        BadRequest: no chat's address; `path` names the field.
    """
    # Nobody's phone number is as long as the ids of groups are today.
    return jid.known_chat(f"{text}@{jid.GROUP}" if len(text) > 15 and _BARE_GROUP.fullmatch(text) else text, path)


def shown(address: str) -> str:
    """A canonical JID as messages, chats and contacts show it."""
    return f"{jid.user(address)}@c.us" if jid.is_phone(address) else address


def digits(address: str) -> str:
    """The phone number of a canonical JID, empty where it hides it."""
    return jid.user(address) if jid.is_phone(address) else ""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a message's id says: WhatsApp's own id, and what else was in it, canonical."""

    wire_id: str
    chat: str | None = None
    from_me: bool | None = None
    sender: str | None = None

    def fits(self, message: Message) -> bool:
        """Whether a message with this id, in this chat, is the one that is meant."""
        return self.from_me is None or self.from_me == message.from_me


def message(text: str, path: str = "messageId") -> Named:
    """Read a message's id, plain or with the chat in it.

    Raises:
        BadRequest: the chat in it is none; `path` names the field.
    """
    found = _MESSAGE.fullmatch(text)
    if found is None:
        return Named(wire_id=text)
    mine, chat, wire_id, sender = found.groups()
    return Named(
        wire_id=wire_id,
        chat=jid.known_chat(chat, path),
        from_me=mine == "true",
        sender=jid.person(sender, path) if sender else None,
    )


def message_id(wire_id: str, chat: str, *, from_me: bool, sender: str | None = None) -> str:
    """A message's id with its chat in it, as clients are given it; in a group another's says the author too."""
    parts = ["true" if from_me else "false", shown(chat), wire_id]
    if jid.is_group(chat) and sender and not from_me:
        parts.append(shown(sender))
    return "_".join(parts)


async def anywhere(call: Call, named: Named) -> Message:
    """The message with this id in any of the caller's sessions.

    Raises:
        NotFound: none has it.
        Conflict: more than one has.
    """
    found: list[Message] = []
    for session_id in await messages.sessions_with(call.gw, call.caller, named.wire_id):
        try:
            one = await messages.get(call.gw, call.caller, session_id, named.wire_id, chat=named.chat)
        except NotFound:
            continue
        if named.fits(one):
            found.append(one)
    if not found:
        raise NotFound("message not found")
    if len(found) > 1:
        raise Conflict("several sessions have a message with this id; ask for it by its session and chat")
    return found[0]


def moment(millis: int) -> str:
    """A time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
