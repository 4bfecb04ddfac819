"""The real network behind the port: sessions in host processes, so that native code never runs in this one."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wagate.engines import base
from wagate.engines.whatsapp.connection import WhatsAppConnection
from wagate.engines.whatsapp.fleet import Fleet
from wagate.model.actions import Action, RequestCode

HOST = (sys.executable, "-m", "wagate.engines.whatsapp.host")
"""How a host is started."""


class WhatsAppEngine:
    """The engine; see the port. `folder`: where the sessions' stores are, this user's alone."""

    name = "whatsapp"
    promises = base.Promises(chooses_wire_id=False, acks_after_commit=False)
    contents: frozenset[str] = frozenset({"text"})
    actions: frozenset[type[Action]] = frozenset({RequestCode})

    def __init__(
        self, folder: Path, *, command: Sequence[str] = HOST, per_host: int = 8, dsn: str | None = None
    ) -> None:  # fmt: skip
        self._folder = folder
        self._dsn = dsn
        self._fleet = Fleet(command, per_host=per_host)
        self._connections: set[WhatsAppConnection] = set()

    async def open(self, account: base.Account, sink: base.Sink) -> WhatsAppConnection:
        """A connection, not yet online."""
        connection = WhatsAppConnection(account, sink, self._fleet, self._place(account), dsn=self._dsn)
        self._connections.add(connection)
        return connection

    async def forget(self, account: base.Account) -> None:
        """Remove a session's keys and what was kept for it."""
        await asyncio.to_thread(shutil.rmtree, self._place(account), True)

    async def close(self) -> None:
        """Close every connection, and end every host."""
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))
        await self._fleet.close()

    def _place(self, account: base.Account) -> Path:
        return self._folder / account.session_id
