"""Actions: what is asked of WhatsApp beside sending."""

from __future__ import annotations

from typing import Any

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.line import Line
from wagate.errors import UnsupportedByEngine


async def perform(line: Line, want: wire.Perform) -> Any:
    """Perform an action; its answer."""
    raise UnsupportedByEngine


async def look(line: Line) -> base.Snapshot:
    """All groups and people that the account knows."""
    return base.Snapshot(groups=[], people=[])


async def read(line: Line, want: wire.Read) -> None:
    """Send read receipts."""
