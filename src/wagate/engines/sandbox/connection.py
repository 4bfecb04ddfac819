"""One session's connection to the pretend network, as the port asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from msgspec import UNSET

from wagate.clock import Clock
from wagate.engines.base import (
    Account,
    Ack,
    ConnectionLost,
    LineLost,
    LinkEnded,
    Outgoing,
    Sink,
    Snapshot,
)
from wagate.engines.sandbox import deeds, linking, watching
from wagate.engines.sandbox.acceptance import Draft
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.codes import Codes
from wagate.engines.sandbox.groups import seen
from wagate.engines.sandbox.lines import Kept, Line, Told
from wagate.engines.sandbox.network import Device, Network
from wagate.engines.sandbox.people import Habits, habits, number_of, person_of
from wagate.engines.sandbox.settings import Timing
from wagate.errors import Conflict, NoAnswer, Refused, SessionNotConnected, UnsupportedByEngine
from wagate.model import Maybe
from wagate.model.actions import Action, MarkRead, RequestCode
from wagate.model.jid import is_group
from wagate.model.sessions import PairingCode

Fate = Literal["good", "refused", "lost", "broken", "broken_once", "slow"]

HostedBy = Callable[[str], Awaitable[Carrier]]
"""The network of an organization; raises `ConnectionLost` where this process does not hold it."""


class SandboxConnection(Line):
    """A line that sends, links and performs. Light while idle: no task, no timer."""

    __slots__ = ("_carrier", "_hosted", "_on_close")

    def __init__(self, account: Account, sink: Sink, hosted: HostedBy, *, clock: Clock, timing: Timing) -> None:
        super().__init__(account, sink, clock=clock, timing=timing)
        self._hosted = hosted
        self._carrier: Carrier | None = None
        self._on_close: Callable[[SandboxConnection], None] | None = None

    def when_closed(self, call: Callable[[SandboxConnection], None]) -> None:
        """Whom to tell when this connection is closed."""
        self._on_close = call

    async def link(self) -> None:
        """Show QR texts."""
        (await self._codes()).show()

    async def connect(self) -> None:
        """Go online as the linked number, if the network lets us."""
        carrier = await self._reach()
        network, session = carrier.network, self.account.session_id
        if network.refuses_session(session):
            raise ConnectionLost
        network.refused.pop(session, None)
        device = self._device(network)
        earlier = network.lines.get(session)
        if earlier is not None and earlier is not self:
            earlier.cut()
        network.lines[session] = self
        self._carrier, self.faults, self.number = carrier, network.faults, device.number
        self.online, self.waiting = True, session in network.waiting
        self.kick()

    def _device(self, network: Network) -> Device:
        device = network.devices.get(self.account.session_id)
        number = number_of(self.account.jid) if self.account.jid else None
        if device is not None:
            return device
        banned = number is not None and network.somebody(number).banned
        raise LinkEnded("logged_out", "banned" if banned else "unlinked")

    async def snapshot(self) -> Snapshot:
        """The account's groups, itself, and everybody in them."""
        network = self._online().network
        groups = [network.groups[jid] for jid in sorted(network.groups_of.get(self.number, ()))]
        numbers = dict.fromkeys([self.number, *(number for group in groups for number in group.members)])
        return Snapshot(
            groups=[seen(group, network.name) for group in groups],
            people=[person_of(number, network.name(number)) for number in numbers],
        )

    async def send(self, outgoing: Outgoing) -> Ack:
        """Send as the number's habits and the faults let it go; an album's first item has the album's id."""
        carrier = self._online()
        network, author = carrier.network, self.number
        wire_id = outgoing.wire_id or "3EB0" + network.mint("message", 18).upper()
        fate = self._fate(network, outgoing.chat)
        if fate == "broken_once":
            fate = "good" if await network.history.find(wire_id, author) else "broken"
        draft = Draft(
            wire_id=wire_id,
            author=author,
            chat=outgoing.chat,
            content=outgoing.content,
            session=self.account.session_id,
            silent=fate in ("lost", "broken"),
        )
        try:
            if fate == "refused":
                raise Refused("the network refused the message", waCode=463)
            carried = await carrier.accept(draft)
        except Refused:
            await carrier.refuse(draft)
            raise
        try:
            await self._meet(fate, network)
            if fate == "slow":
                await self.clock.sleep(self.timing.slow_ack)
        finally:
            for sent in carried:
                carrier.answer(sent)
        if not self.online:
            raise ConnectionLost
        items = [sent.wire_id for sent in carried]
        return Ack(wire_id=items[0], timestamp=carried[0].timestamp, item_ids=items if carried[0].album else UNSET)

    async def _meet(self, fate: Fate, network: Network) -> None:
        """What keeps the acknowledgement from coming, if anything does."""
        if fate == "lost":
            await self.hang()
        if fate == "broken" and self.online:
            self.cut()
            network.spawn(self.report(LineLost()))
        if not self.online:
            raise ConnectionLost

    def _fate(self, network: Network, chat: str) -> Fate:
        number = None if is_group(chat) else number_of(chat)
        nature = habits(number) if number is not None else _ORDINARY
        session, now, take = self.account.session_id, self.clock.now(), network.faults.take
        if nature.refuses or take("refuse", session, now):
            return "refused"
        if nature.loses_ack or take("ack_lost", session, now):
            return "lost"
        if take("disconnect", session, now):
            return "broken"
        if nature.breaks:
            return "broken_once"
        return "slow" if nature.slow or take("ack_delay", session, now) else "good"

    async def perform(self, action: Action) -> Any:
        """Perform an action; what it changed has passed through the sink.

        Raises:
            NoAnswer: done, but the line broke before it could be told.
        """
        if isinstance(action, RequestCode):
            return await self._request_code(action)
        if not self.online:
            raise SessionNotConnected
        carrier = self._online()
        deed = deeds.DEEDS.get(type(action))
        me = carrier.network.devices.get(self.account.session_id)
        if deed is None:
            raise UnsupportedByEngine
        if me is None:
            raise SessionNotConnected
        answer, keys = await carrier.network.finish(deed(carrier, me, action))
        if (key := keys.get(self.account.session_id)) is not None:
            try:
                await self.passed(key)
            except ConnectionLost:
                raise NoAnswer from None
        return answer

    async def read(self, chat: str, sender: Maybe[str], wire_ids: list[str]) -> None:
        """The account has read these; what is not there, or read before, is nothing."""
        carrier = self._online()
        action = MarkRead(chat=chat, sender=sender, message_ids=wire_ids)
        await carrier.network.finish(deeds.read(carrier, self.number, action))

    def cut(self) -> None:
        """Go offline; whoever watches the account hears it."""
        was_online = self.online
        super().cut()
        if was_online and self._carrier is not None and not self._carrier.network.released:
            network, session = self._carrier.network, self.account.session_id
            if network.presences.exit(session, self.number):
                network.spawn(watching.left(network, session, self.number))

    async def logout(self) -> None:
        """Unlink; the phone forgets this session."""
        network = (await self._reach()).network
        if network.refuses_session(self.account.session_id):
            raise ConnectionLost
        await network.finish(linking.log_out(network, self.account.session_id, "logout"))

    async def close(self) -> None:
        """Go offline; receipts that were not delivered wait for the next connection."""
        if self.closed:
            return
        session, carrier = self.account.session_id, self._carrier
        self.closed = True
        if carrier is not None:
            codes = carrier.network.codes.get(session)
            if codes is not None and codes.line is self:
                await codes.stop()
        await self.stop()
        if carrier is not None:
            network = carrier.network
            if network.lines.get(session) is self:
                del network.lines[session]
            if left := self.leftover():
                await network.park(session, left)
        if self._on_close is not None:
            self._on_close(self)

    async def fetch(self, limit: int) -> list[Kept]:
        """What the network keeps for this session."""
        return await self._known().network.kept(self.account.session_id, limit)

    async def taken(self, kept: Sequence[Kept], receipts: Sequence[Told]) -> None:
        """The gateway has it: tell the network."""
        carrier, session = self._known(), self.account.session_id
        carrier.told(receipts)
        if kept:
            await carrier.network.finish(carrier.taken(session, kept))
        if not self.waiting:
            carrier.network.waiting.discard(session)

    async def _request_code(self, action: RequestCode) -> PairingCode:
        number = linking.sandbox_number(action.phone)
        return (await self._codes()).type_in(number)

    async def _codes(self) -> Codes:
        carrier = await self._reach()
        network, session = carrier.network, self.account.session_id
        if self.online:
            raise Conflict("the session is already linked", reason="linked")
        self._carrier, network.lines[session] = carrier, self
        codes = network.codes.get(session)
        if codes is not None and codes.line is not self:
            await codes.stop()
            codes = None
        if codes is None:
            codes = Codes(self, mint=network.mint, over=lambda: _over(network, session))
            network.codes[session] = codes
        return codes

    async def _reach(self) -> Carrier:
        if self.closed:
            raise ConnectionLost
        return await self._hosted(self.account.organization_id)

    def _online(self) -> Carrier:
        if not self.online:
            raise ConnectionLost
        return self._known()

    def _known(self) -> Carrier:
        if self._carrier is None:
            raise ConnectionLost
        return self._carrier


_ORDINARY: Habits = habits("9990")


def _over(network: Network, session: str) -> None:
    network.codes.pop(session, None)
