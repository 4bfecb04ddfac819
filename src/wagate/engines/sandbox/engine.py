"""The pretend network behind the port: the promises of a network, no phone, no internet.

One network for each organization, held where its lease is: `host` loads it, `release` lets it go. A connection of an
organization whose network is not held here gets `ConnectionLost` and tries again.
"""

from __future__ import annotations

import asyncio
from typing import Any, get_args

from wagate.clock import Clock
from wagate.engines.base import Account, ConnectionLost, Files, LineLost, Promises, Sink, StoreFor
from wagate.engines.sandbox import control, deeds, linking
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.connection import SandboxConnection
from wagate.engines.sandbox.network import Network, Terms
from wagate.engines.sandbox.settings import Bounds, Timing
from wagate.errors import Unavailable, UnsupportedByEngine
from wagate.model.actions import Action, RequestCode
from wagate.model.contents import Content


class SandboxEngine:
    """The engine; see the port. Deterministic: the same seed and the same history give the same codes."""

    name = "sandbox"
    promises = Promises(chooses_wire_id=True, acks_after_commit=True)
    contents: frozenset[str] = frozenset(kind.__struct_config__.tag for kind in get_args(Content)) - {"gone"}
    actions: frozenset[type[Action]] = deeds.ACTIONS | {RequestCode}

    def __init__(
        self, store_for: StoreFor, clock: Clock, *, seed: str = "wagate", files: Files | None = None,
        bounds: Bounds | None = None,
    ) -> None:  # fmt: skip
        self._store_for = store_for
        self._terms = Terms(clock=clock, seed=seed, files=files, timing=Timing(), bounds=bounds or Bounds())
        self._hosted: dict[str, asyncio.Task[Carrier]] = {}
        self._connections: dict[SandboxConnection, None] = {}
        self._closed = False

    async def open(self, account: Account, sink: Sink) -> SandboxConnection:
        """A connection, not yet online."""
        terms = self._terms
        connection = SandboxConnection(account, sink, self._network, clock=terms.clock, timing=terms.timing)
        self._connections[connection] = None
        connection.when_closed(self._forget_connection)
        return connection

    def _forget_connection(self, connection: SandboxConnection) -> None:
        self._connections.pop(connection, None)

    async def forget(self, account: Account) -> None:
        """The session is gone: so is its device, where the network is held here."""
        try:
            network = (await self._network(account.organization_id)).network
        except ConnectionLost:
            raise Unavailable("the organization's network is not held here") from None
        await network.finish(linking.log_out(network, account.session_id, "forget"))

    async def host(self, organization_id: str) -> None:
        """Load the network; a second call waits for the first."""
        if self._closed:
            raise Unavailable("the engine is closed")
        loading = self._hosted.get(organization_id)
        if loading is None:
            loading = self._hosted[organization_id] = asyncio.ensure_future(self._load(organization_id))
        try:
            await asyncio.shield(loading)
        except BaseException:
            if loading.done() and self._hosted.get(organization_id) is loading:
                del self._hosted[organization_id]
            raise

    async def _load(self, organization_id: str) -> Carrier:
        network = Network(organization_id, self._store_for(organization_id), self._terms)
        unfinished = await network.load()
        carrier = Carrier(network)
        await carrier.resume(unfinished)
        return carrier

    async def drive(self, organization_id: str, action: Action) -> Any:
        """Do something to the network from outside.

        Raises:
            Unavailable: the network is not held here.
        """
        if type(action) not in control.ACTIONS:
            raise UnsupportedByEngine
        try:
            carrier = await self._network(organization_id)
            return await carrier.network.finish(control.drive(carrier, action))
        except ConnectionLost:
            raise Unavailable("the organization's network is not held here") from None

    async def release(self, organization_id: str) -> None:
        """Let the network go: its connections are lost, its state is in the store."""
        loading = self._hosted.pop(organization_id, None)
        if loading is None:
            return
        carrier = (await asyncio.gather(loading, return_exceptions=True))[0]
        if isinstance(carrier, BaseException):
            return
        network = carrier.network
        await carrier.stop()
        for codes in list(network.codes.values()):
            await codes.stop()
        for line in list(network.lines.values()):
            was_online = line.online
            line.cut()
            if was_online:
                await line.report(LineLost())
            if left := line.leftover():
                await network.park(line.account.session_id, left)
        await network.unload()

    async def kept(self) -> list[str]:
        """None: all that it keeps is in the database."""
        return []

    async def close(self) -> None:
        """Close every connection and let every network go."""
        self._closed = True
        for connection in list(self._connections):
            await connection.close()
        for organization_id in list(self._hosted):
            await self.release(organization_id)

    async def _network(self, organization_id: str) -> Carrier:
        loading = self._hosted.get(organization_id)
        if loading is None:
            raise ConnectionLost
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            raise
        except Exception:
            raise ConnectionLost from None
