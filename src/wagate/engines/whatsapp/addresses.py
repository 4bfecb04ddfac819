"""Addresses between the library's form and ours. A device's number is dropped: we speak of people.

Whoever has a phone JID that the session's store knows is called by it; the LID goes beside it. Functions with `names`
may wait for that store: they are for threads, not for the event loop.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from msgspec import UNSET

from wagate.engines.whatsapp.timers import Timers
from wagate.model import Maybe
from wagate.model.contacts import Person

_PHONE, _LID, _GROUP = "s.whatsapp.net", "lid", "g.us"
MENTION = re.compile(r"@(\d{5,20})")
"""Somebody in a text."""


class Names(Protocol):
    """Who is who in one session; the host's `Line` is one."""

    library: Any
    hidden: set[str]
    """Groups whose members address one another by LID."""
    plain: set[str]
    """People whose messages come from their phone's address: the others' come from their LID."""

    timers: Timers
    """How long messages last in its chats."""

    def is_own(self, address: str) -> bool:
        """Whether this is the account itself."""
        ...

    def phone_of(self, address: Any) -> str:
        """How we call somebody that the library names: by phone where its store knows that. It may wait."""
        ...

    def call_now(self, name: str, *arguments: Any) -> bytes:
        """Call the library; it may wait."""
        ...


def text_of(address: Any) -> str:
    """A JID of the library's as ours; empty for none."""
    return f"{address.User}@{address.Server}" if address.Server and not address.IsEmpty else ""


def both_of(*addresses: Any) -> tuple[Maybe[str], Maybe[str]]:
    """The phone JID and the LID among some addresses of one person."""
    phone: Maybe[str] = UNSET
    lid: Maybe[str] = UNSET
    for address in addresses:
        if address.Server == _PHONE and address.User:
            phone = text_of(address)
        elif address.Server == _LID and address.User:
            lid = text_of(address)
    return phone, lid


def person_of(*addresses: Any) -> Person:
    """One person, by all addresses of theirs."""
    phone, lid = both_of(*addresses)
    return Person(jid=phone, lid=lid)


def known_as(*addresses: Any) -> str:
    """How one person is called by us: by phone where that is told, else by LID; empty for none."""
    phone, lid = both_of(*addresses)
    return phone or lid or ""


def person(names: Names, *addresses: Any) -> Person:
    """One person, by all addresses of theirs and the phone JID that the store knows for the LID."""
    phone, lid = both_of(*addresses)
    if phone is UNSET and lid is not UNSET:
        phone = _phone_or_none(names, next(each for each in addresses if each.Server == _LID))
    return Person(jid=phone, lid=lid)


def called(names: Names, *addresses: Any) -> str:
    """How one person is called by us; empty for none. What is nobody's (a group's address) stays as it is."""
    who = person(names, *addresses)
    return who.jid or who.lid or (text_of(addresses[0]) if addresses else "")


def by_text(names: Names, address: str) -> Person:
    """The person behind an address in text, as messages have them in mentions, quotes and keys."""
    return both_known(names, parsed(names.library.messages, address))


def canonical(names: Names, address: str) -> str:
    """An address in text as we write it: without a device, by phone where that is known."""
    return called(names, parsed(names.library.messages, address)) or bare(address)


def both_known(names: Names, *addresses: Any) -> Person:
    """As `person`, and with the LID that the store knows for the phone."""
    who = person(names, *addresses)
    if who.jid and not who.lid:
        lid = _lid_of(names, who.jid)
        return Person(jid=who.jid, lid=lid or UNSET)
    return who


def as_written_in(names: Names, group: str, address: str) -> str:
    """Somebody's address as the members of a group write it: by LID where they do and the store knows it."""
    return by_lid(names, address) if group in names.hidden else address


def by_lid(names: Names, address: str) -> str:
    """Somebody's LID where the store knows it, else their address as it is."""
    return (_lid_of(names, address) or address) if address.endswith(f"@{_PHONE}") else address


def as_addressed(names: Names, chat: str) -> str:
    """How a chat is named to whoever wrote in it: a receipt goes back to the address that the message came from."""
    return chat if chat in names.plain else by_lid(names, chat)


def note_mode(names: Names, chat: str, someone: Any) -> None:
    """Remember how a group's members address one another, or somebody writes to us, by an address of theirs there."""
    if chat.endswith(f"@{_GROUP}"):
        (names.hidden.add if someone.Server == _LID else names.hidden.discard)(chat)
    elif chat.endswith(f"@{_PHONE}"):
        (names.plain.add if someone.Server == _PHONE else names.plain.discard)(chat)


def reworded(names: Names, text: str, mentions: list[str]) -> str:
    """A text whose mentions stand in it as `@` and digits, with the digits of the phone where the mention is a LID."""
    digits = {
        bare(mention).partition("@")[0]: canonical(names, mention).partition("@")[0]
        for mention in mentions
        if mention.endswith(f"@{_LID}")
    }
    return MENTION.sub(lambda found: f"@{digits.get(found[1], found[1])}", text) if digits else text


def bare(address: str) -> str:
    """An address without its device; empty for what is none."""
    user, _, server = address.partition("@")
    return f"{user.partition(':')[0].partition('.')[0]}@{server}" if server else ""


def parsed(messages: Any, address: str) -> Any:
    """An address of ours, or one in a message, in the library's form."""
    user, _, server = bare(address).rpartition("@")
    return messages.JID(User=user, RawAgent=0, Device=0, Integrator=0, Server=server, IsEmpty=not server)


def to_library(messages: Any, jid: str) -> bytes:
    """An address of ours as the library reads it."""
    return bytes(parsed(messages, jid).SerializeToString())


def _lid_of(names: Names, phone: str) -> str:
    encoded = to_library(names.library.messages, phone)
    found = names.library.read(
        "GetJIDFromStoreReturnFunction", names.call_now("GetLIDFromPN", encoded, len(encoded))
    )  # fmt: skip
    return text_of(found.Jid)


def _phone_or_none(names: Names, lid: Any) -> Maybe[str]:
    found = names.phone_of(lid)
    return found if found.endswith(f"@{_PHONE}") else UNSET
