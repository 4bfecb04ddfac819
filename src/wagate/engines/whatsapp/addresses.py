"""Addresses between the library's form and ours. A device's number is dropped: we speak of people."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from wagate.model import Maybe
from wagate.model.contacts import Person

_PHONE, _LID = "s.whatsapp.net", "lid"


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
    """How one person is called by us: by phone where that is known, else by LID; empty for none."""
    phone, lid = both_of(*addresses)
    return phone or lid or ""


def to_library(messages: Any, jid: str) -> bytes:
    """An address of ours as the library reads it."""
    user, _, server = jid.rpartition("@")
    made = messages.JID(User=user, RawAgent=0, Device=0, Integrator=0, Server=server, IsEmpty=False)
    return bytes(made.SerializeToString())
