"""Contacts: who is who."""

from __future__ import annotations

from msgspec import UNSET

from wagate.model import Maybe, Shape


class Person(Shape, frozen=True, kw_only=True):
    """A person as an engine reports them: at least one of `jid` (phone JID) and `lid` is set."""

    jid: Maybe[str] = UNSET
    lid: Maybe[str] = UNSET
    push_name: Maybe[str] = UNSET
    full_name: Maybe[str] = UNSET
    business_name: Maybe[str] = UNSET
