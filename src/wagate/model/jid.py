"""Addresses: WhatsApp's JIDs, phone numbers made canonical.

    <digits>@s.whatsapp.net   a person by phone number ("phone JID")
    <digits>@lid              a person whose phone number is hidden ("LID")
    <id>@g.us                 a group
    <id>@newsletter           a channel

Every input that takes a person takes a phone JID, a LID, `<digits>@c.us` or a bare number with `+`, spaces and dashes.
JIDs are plain strings in canonical form everywhere behind these functions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from wagate.errors import BadRequest

PHONE, HIDDEN, GROUP, CHANNEL, BROADCAST = "s.whatsapp.net", "lid", "g.us", "newsletter", "broadcast"

STATUS = f"status@{BROADCAST}"
"""The chat that holds what people post for all their contacts."""

ChatType = Literal["dm", "group", "newsletter", "broadcast", "status"]

PersonInput = Annotated[
    str,
    msgspec.Meta(
        min_length=5,
        max_length=64,
        pattern=r"^\+?[0-9][0-9 ().-]*(:[0-9]+)?(@(s\.whatsapp\.net|c\.us|lid))?$",
        description="A person: phone JID, LID, `@c.us`, or a bare phone number.",
        examples=["9990000001@s.whatsapp.net", "+999 000 0001"],
    ),
]
"""What clients may write for a person, as a JSON Schema; `person` decides."""

ChatInput = Annotated[
    str,
    msgspec.Meta(
        min_length=5,
        max_length=128,
        pattern=r"^(\+?[0-9][0-9 ().-]*(:[0-9]+)?(@(s\.whatsapp\.net|c\.us|lid))?|[0-9-]+@(g\.us|newsletter))$",
        description="A chat: a person, a group JID or a channel JID.",
        examples=["9990000001@s.whatsapp.net", "120363000000000001@g.us"],
    ),
]
"""What clients may write for a chat, as a JSON Schema; `chat` decides."""

KnownChatInput = Annotated[
    str,
    msgspec.Meta(
        min_length=5,
        max_length=128,
        pattern=r"^(\+?[0-9][0-9 ().-]*(:[0-9]+)?(@(s\.whatsapp\.net|c\.us|lid))?|[0-9-]+@(g\.us|newsletter)"
        r"|status@broadcast)$",
        description="A stored chat: a person, a group JID, a channel JID, or `status@broadcast`.",
        examples=["9990000001@s.whatsapp.net", "120363000000000001@g.us"],
    ),
]
"""What clients may write for a chat that messages are already in; `known_chat` decides."""

_USER = re.compile(r"[0-9]{5,20}(?::[0-9]{1,5})?", re.ASCII)
_PLACE = re.compile(r"[0-9]{1,40}(?:-[0-9]{1,20})?", re.ASCII)
_NUMBER = re.compile(r"\+?[0-9][0-9 ().\-]{2,30}", re.ASCII)
_SANDBOX = re.compile(r"999[0-9]{7,12}", re.ASCII)


def phone(text: str, path: str = "phone") -> str:
    """A phone number's digits, E.164 without the plus sign.

    Raises:
        BadRequest: it is no number that could exist; `path` names the field.
    """
    if not _NUMBER.fullmatch(text.strip(" ")):
        raise BadRequest.field(path, "is not a phone number")
    digits = re.sub(r"[^0-9]", "", text)
    if not _possible(digits):
        raise BadRequest.field(path, "is not a possible phone number in international form")
    return digits


def person(text: str, path: str = "jid") -> str:
    """A person's canonical JID: `<digits>@s.whatsapp.net` or `<digits>@lid`.

    Raises:
        BadRequest: no person's address; `path` names the field.
    """
    user, at, server = text.partition("@")
    if not at:
        return f"{phone(text, path)}@{PHONE}"
    server = PHONE if server == "c.us" else server
    if server not in (PHONE, HIDDEN) or not _USER.fullmatch(user):
        raise BadRequest.field(path, "is not a person's JID")
    # A linked device's address (`digits:device@…`) is the person's.
    return f"{user.partition(':')[0]}@{server}"


def chat(text: str, path: str = "to") -> str:
    """A chat's canonical JID: a person, a group or a channel.

    Raises:
        BadRequest: no chat's address; `path` names the field.
    """
    user, _, server = text.partition("@")
    if server in (GROUP, CHANNEL) and _PLACE.fullmatch(user):
        return text
    try:
        return person(text, path)
    except BadRequest:
        raise BadRequest.field(path, "is not a JID of a person, group or channel, nor a phone number") from None


def known_chat(text: str, path: str = "chat") -> str:
    """As `chat`, or the chat that statuses are in.

    Raises:
        BadRequest: no chat's address; `path` names the field.
    """
    return text if text == STATUS else chat(text, path)


def is_group(jid: str) -> bool:
    """Whether a canonical JID is a group's."""
    return jid.endswith("@g.us")


def is_group_input(text: str) -> bool:
    """Whether a path segment names a group at all."""
    user, _, server = text.partition("@")
    return server == GROUP and _PLACE.fullmatch(user) is not None


def is_channel_input(text: str) -> bool:
    """Whether a path segment names a channel at all."""
    user, _, server = text.partition("@")
    return server == CHANNEL and _PLACE.fullmatch(user) is not None


def is_lid(jid: str) -> bool:
    """Whether a canonical JID hides the phone number."""
    return jid.endswith("@lid")


def is_phone(jid: str) -> bool:
    """Whether a canonical JID shows the phone number."""
    return jid.endswith("@s.whatsapp.net")


def user(jid: str) -> str:
    """What stands before the `@`."""
    return jid.partition("@")[0]


def chat_type(jid: str) -> ChatType:
    """What kind of chat a canonical JID names."""
    name, _, server = jid.partition("@")
    if server == GROUP:
        return "group"
    if server == CHANNEL:
        return "newsletter"
    if server == BROADCAST:
        return "status" if name == "status" else "broadcast"
    return "dm"


def is_sandbox_number(digits: str) -> bool:
    """Whether a number lives on the pretend network: `999` (no country's code) and 7 to 12 digits more."""
    return _SANDBOX.fullmatch(digits) is not None


@lru_cache(maxsize=4096)
def _possible(digits: str) -> bool:
    if is_sandbox_number(digits):
        return True
    # The library holds megabytes of numbering plans; a gateway that only ever sees the sandbox never loads them.
    import phonenumbers

    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse("+" + digits)))
    except phonenumbers.NumberParseException:
        return False
