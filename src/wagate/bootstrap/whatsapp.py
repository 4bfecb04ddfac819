"""The engine of the real network, given its folder, its hosts and its way out. This process never loads its library."""

from __future__ import annotations

import os

import structlog

from wagate.backends.guard import Guard, UrlRefused
from wagate.backends.proxies import checked
from wagate.bootstrap.files import CannotStart, make_private
from wagate.config import Settings
from wagate.engines import base
from wagate.engines.whatsapp.connection import Route
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.engines.whatsapp.fleet import Hosts
from wagate.engines.whatsapp.installed import NAME, VERSION, CannotLoad, protobuf, verify

log = structlog.get_logger(__name__)


def whatsapp_engine(settings: Settings, files: base.Files) -> WhatsAppEngine:
    """The engine, before anything was connected.

    Raises:
        CannotStart: its library is not there, or not the one that was tested; or no keys can be written.
    """
    try:
        verify()
    except CannotLoad as reason:
        raise CannotStart(f"WAGATE_WHATSAPP is on. {reason}") from None
    folder = settings.whatsapp_folder
    make_private(folder)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise CannotStart(f"WAGATE_WHATSAPP is on. The keys of its sessions cannot be written to {folder}.")
    route = _route(Guard.parse(settings.allowed_networks))
    return WhatsAppEngine(folder, files, hosts=Hosts(per_host=settings.whatsapp_per_host), route=route)


def keeper(settings: Settings, files: base.Files) -> WhatsAppEngine:
    """The engine where it is off: it connects nobody, and forgets whom it is told to forget."""
    return WhatsAppEngine(settings.whatsapp_folder, files)


def library() -> tuple[bool, str]:
    """Whether the library can be used here, and a sentence: which it is, or what to do. Loads nothing."""
    try:
        digest = verify()
    except CannotLoad as reason:
        return False, str(reason)
    return True, f"{NAME} {VERSION} with protobuf {protobuf()}, its file unchanged (sha256 {digest[:12]}…)"


def _route(guard: Guard) -> Route:
    async def route(url: str) -> str:
        # Loaded where it is used: it brings the HTTP client.
        from wagate.backends.http import resolve_by_system

        try:
            return await checked(url, guard, resolve_by_system)
        except (UrlRefused, OSError) as refusal:
            log.warning("a session's proxy cannot be used", error=type(refusal).__name__)
            raise base.ConnectionLost from None

    return route
