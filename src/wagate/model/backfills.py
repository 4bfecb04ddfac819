"""Backfills: a session's contacts and groups read anew from the network."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from wagate.model import Maybe, Millis, Shape


class BackfillJob(Shape, frozen=True, kw_only=True):
    """One backfill, and how far it is; the counts are those of the network's answer."""

    id: str
    session_id: str
    organization_id: str
    status: Literal["running", "succeeded", "failed"]
    contacts: int
    groups: int
    group_members: int
    started_at: Millis
    finished_at: Maybe[Millis] = UNSET
    error: Maybe[str] = UNSET
