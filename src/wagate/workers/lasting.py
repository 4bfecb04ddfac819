"""Writes that must not be lost: tried again for as long as the database cannot be written. Called by runners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from wagate.errors import StorageUnavailable

log = structlog.get_logger(__name__)

_FIRST_REST, _MOST_REST = 0.1, 5.0


async def lasting(session_id: str, write: Callable[..., Awaitable[Any]], *with_these: Any) -> Any:
    """Write; what it returns, when it is written. The network said it once, and will not say it again."""
    rest = _FIRST_REST
    while True:
        try:
            return await write(*with_these)
        except StorageUnavailable:
            log.warning("database cannot be written; trying again", session=session_id, seconds=rest)
            await asyncio.sleep(rest)
            rest = min(rest * 2, _MOST_REST)
