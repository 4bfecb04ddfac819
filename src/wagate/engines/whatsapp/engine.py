"""The real network behind the port: sessions in host processes, so that native code never runs in this one."""

from __future__ import annotations

import asyncio
import weakref
from pathlib import Path
from typing import get_args

import structlog

from wagate.engines import base
from wagate.engines.whatsapp import performing, stored
from wagate.engines.whatsapp.connection import Route, Store, WhatsAppConnection, as_given
from wagate.engines.whatsapp.fleet import Fleet, Hosts
from wagate.errors import Unavailable
from wagate.model.actions import Action, RequestCode
from wagate.model.contents import Content

log = structlog.get_logger(__name__)


class WhatsAppEngine:
    """The engine; see the port. `folder`: where the sessions' stores are, this user's alone.

    `route`: what judges a session's proxy at each connect.
    """

    name = "whatsapp"
    promises = base.Promises(chooses_wire_id=False, acks_after_commit=False)
    contents: frozenset[str] = frozenset(kind.__struct_config__.tag for kind in get_args(Content)) - {"gone"}
    actions: frozenset[type[Action]] = frozenset(performing.DEEDS) | performing.WITH_FILES | {RequestCode}

    def __init__(
        self,
        folder: Path,
        files: base.Files,
        *,
        hosts: Hosts | None = None,
        route: Route = as_given,
    ) -> None:
        self._folder = folder
        self._files = files
        self._route = route
        self._fleet = Fleet(hosts or Hosts())
        self._connections: weakref.WeakSet[WhatsAppConnection] = weakref.WeakSet()

    async def open(self, account: base.Account, sink: base.Sink) -> WhatsAppConnection:
        """A connection, not yet online."""
        store = Store(folder=self._place(account), files=self._files, route=self._route)
        connection = WhatsAppConnection(account, sink, self._fleet, store)
        self._connections.add(connection)
        return connection

    async def forget(self, account: base.Account) -> None:
        """Remove a session's keys and what was kept for it.

        Raises:
            Unavailable: a host has them in its hands still, or they cannot be removed; then the log says why.
        """
        try:
            await asyncio.to_thread(stored.forget, self._folder, account.session_id)
        except stored.InUse:
            raise Unavailable("the session is being closed") from None
        except OSError as error:
            log.warning("the keys of a session cannot be removed", session=account.session_id, error=str(error))
            raise Unavailable("the session's keys cannot be removed") from None

    async def kept(self) -> list[str]:
        """The sessions of which something lies in the folder. What was cut short of forgetting is finished."""
        for left in await asyncio.to_thread(stored.sweep, self._folder):
            log.warning("what is kept of a session that is gone cannot be removed", folder=str(left))
        return await asyncio.to_thread(stored.sessions, self._folder)

    @property
    def hosts(self) -> list[int]:
        """The host processes that live now, by their numbers."""
        return [host.pid for host in self._fleet.hosts()]

    def host_of(self, session_id: str) -> int | None:
        """The number of the host process that a session is in."""
        return self._fleet.host_of(session_id)

    async def close(self) -> None:
        """Close every connection, and end every host."""
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))
        await self._fleet.close()

    def _place(self, account: base.Account) -> Path:
        return self._folder / account.session_id
