"""Organizations, and the API keys of their programs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from wagate.model import Ask, Line, Maybe, Millis, Shape

Capability = Literal["read", "send", "manage", "events"]
CAPABILITIES: tuple[Capability, ...] = ("read", "send", "manage", "events")
PlatformRole = Literal["super_admin"]
"""Above all organizations; a person's login alone can bring it, no key."""
ROLES: dict[str, frozenset[Capability]] = {
    "owner": frozenset(CAPABILITIES),
    "admin": frozenset(CAPABILITIES),
    "member": frozenset({"read", "send", "events"}),
}
"""What a person may do in the organization that they act for, by their role there."""


ORGANIZATION_ID = r"[A-Za-z0-9_-]{1,64}"
"""What an organization's id may be, also where an identity provider chose it: one word in any subject, path or log."""

SessionId = Annotated[Line, Meta(min_length=1, max_length=64)]


class Organization(Shape, frozen=True, kw_only=True):
    """Whom everything belongs to."""

    id: str
    name: str
    created_at: Millis


class Key(Shape, frozen=True, kw_only=True):
    """An API key, without its secret. `prefix` is the first characters of the secret, to recognise it by."""

    id: str
    name: str
    prefix: str
    permissions: list[Capability]
    created_at: Millis
    expires_at: Maybe[Millis] = UNSET
    last_used_at: Maybe[Millis] = UNSET
    session_ids: Maybe[list[str]] = UNSET


class NewKey(Key, frozen=True, kw_only=True):
    """A key that was just made: the only time its secret is shown."""

    secret: str


class CreateKey(Ask, frozen=True, kw_only=True):
    """What a new key may do. Absent `sessionIds`: every session of the organization."""

    name: Annotated[Line, Meta(min_length=1, max_length=200)]
    permissions: Annotated[list[Capability], Meta(min_length=1, max_length=4, extra_json_schema={"uniqueItems": True})]
    expires_at: Millis | None = None
    session_ids: (
        Annotated[list[Annotated[Line, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=1000)] | None
    ) = None


class Caller(Shape, frozen=True, kw_only=True):
    """Who is asking: an organization, and what the credential may do.

    A key has `key_id`, perhaps `session_ids` and `expires_at`. A person has `user_id`, and `login_until`: when their
    login token is over. A person who acts for no organization has an empty one, and no capability in it.
    """

    organization_id: str
    capabilities: frozenset[Capability | PlatformRole]
    key_id: Maybe[str] = UNSET
    user_id: Maybe[str] = UNSET
    session_ids: Maybe[frozenset[str]] = UNSET
    expires_at: Maybe[Millis] = UNSET
    login_until: Maybe[Millis] = UNSET
