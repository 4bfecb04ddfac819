"""Sessions: WhatsApp accounts linked as companion devices."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from wagate.model import Ask, Line, Maybe, Millis, Shape

Status = Literal["stopped", "starting", "scan_qr_code", "working", "failed", "logged_out"]
Reason = Literal[
    "replaced",
    "temp_banned",
    "banned",
    "client_outdated",
    "qr_timeout",
    "unlinked",
    "unlink_unconfirmed",
    "engine_crashed",
]
EngineName = Literal["sandbox", "whatsapp"]

Label = Annotated[Line, Meta(max_length=200)]
Rate = Annotated[int, Meta(ge=0, le=1_000_000, description="Sends allowed; 0 is unlimited.")]


class Session(Shape, frozen=True, kw_only=True):
    """One WhatsApp account, linked or to be linked."""

    id: str
    organization_id: str
    gateway_id: str
    status: Status
    status_reason: Maybe[Reason] = UNSET
    is_admin_session: bool = False
    auto_read: bool
    presence_typing: bool
    rate_per_min: int
    rate_per_hour: int
    created_at: Millis
    updated_at: Millis
    label: Maybe[str] = UNSET
    created_by_user_id: Maybe[str] = UNSET
    phone_number: Maybe[str] = UNSET
    wa_jid: Maybe[str] = UNSET
    wa_lid: Maybe[str] = UNSET
    last_connected_at: Maybe[Millis] = UNSET
    engine: EngineName
    has_proxy: bool


class CreateSession(Ask, frozen=True, kw_only=True):
    """What a new session is to be."""

    label: Label | None = None
    auto_read: bool | None = None
    presence_typing: bool | None = None
    start: bool | None = None
    engine: EngineName | None = None
    proxy_url: Annotated[Line, Meta(max_length=2048)] | None = None


class UpdateSession(Ask, frozen=True, kw_only=True):
    """What is to change; absent stays."""

    label: Label | None = None
    auto_read: bool | None = None
    presence_typing: bool | None = None
    rate_per_min: Rate | None = None
    rate_per_hour: Rate | None = None
    proxy_url: Annotated[Line, Meta(max_length=2048)] | None = None


class Me(Shape, frozen=True, kw_only=True):
    """The account behind a session."""

    session_id: str
    status: Status
    connected: bool
    phone_number: Maybe[str] = UNSET
    wa_jid: Maybe[str] = UNSET
    wa_lid: Maybe[str] = UNSET


class QrCode(Shape, frozen=True, kw_only=True):
    """The text that a phone scans to link."""

    code: str
    expires_at: Maybe[Millis] = UNSET


class RequestPairingCode(Ask, frozen=True, kw_only=True):
    """Link by a code typed on the phone with this number."""

    phone: Annotated[Line, Meta(min_length=5, max_length=32)]


class PairingCode(Shape, frozen=True, kw_only=True):
    """The code to type on the phone, like `ABCD-1234`."""

    code: str
    expires_at: Maybe[Millis] = UNSET


class Pairing(Shape, frozen=True, kw_only=True):
    """Who a session turned out to be when a phone accepted it."""

    jid: str
    lid: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    platform: Maybe[str] = UNSET
