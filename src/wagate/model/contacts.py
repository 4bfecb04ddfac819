"""Contacts: who is who."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET

from wagate.model import Maybe, Millis, Shape


class Person(Shape, frozen=True, kw_only=True):
    """A person as an engine reports them: at least one of `jid` (phone JID) and `lid` is set."""

    jid: Maybe[str] = UNSET
    lid: Maybe[str] = UNSET
    push_name: Maybe[str] = UNSET
    full_name: Maybe[str] = UNSET
    business_name: Maybe[str] = UNSET


ContactSource = Literal["dm", "group"]


class Contact(Shape, frozen=True, kw_only=True):
    """Somebody the session knows: from a chat of their own (`dm`), or from a group. `lid` is the phone JID where the
    network gave no LID.
    """

    lid: str
    source: ContactSource
    name: Maybe[str] = UNSET
    phone_number: Maybe[str] = UNSET
    business_name: Maybe[str] = UNSET


class ContactInGroup(Shape, frozen=True, kw_only=True):
    """Somebody as a member of one group."""

    jid: str
    role: Literal["member", "admin", "superadmin"]
    last_seen: Millis
    name: Maybe[str] = UNSET
    tag: Maybe[str] = UNSET


class Identity(Shape, frozen=True, kw_only=True):
    """Who somebody is."""

    id: int
    lid: str
    first_seen_at: Millis
    updated_at: Millis
    name: Maybe[str] = UNSET
    business_name: Maybe[str] = UNSET
    phone_jid: Maybe[str] = UNSET
    phone_number: Maybe[str] = UNSET


class ContactDetails(Shape, frozen=True, kw_only=True):
    """Everything known of somebody; `dm`: there is a chat with them."""

    dm: bool
    groups: list[ContactInGroup]
    identity: Maybe[Identity] = UNSET


class ContactCheck(Shape, frozen=True, kw_only=True):
    """Whether a number is on WhatsApp."""

    query: str
    is_on_whatsapp: bool = msgspec.field(name="isOnWhatsApp")
    jid: Maybe[str] = UNSET
    lid: Maybe[str] = UNSET


class About(Shape, frozen=True, kw_only=True):
    """What somebody says of themselves; empty if hidden."""

    about: str


class Picture(Shape, frozen=True, kw_only=True):
    """A profile or group picture."""

    id: Maybe[str] = UNSET
    url: Maybe[str] = UNSET


class CallRang(Shape, frozen=True, kw_only=True):
    """Somebody rings, as an engine reports it; `caller` is a canonical JID, `group` set for a group call."""

    call_id: str
    caller: str
    timestamp: Millis
    group: Maybe[str] = UNSET
