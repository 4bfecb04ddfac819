"""A person, as tests see and move them: what their phone does, and what the network does to them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.emulator.accounts import Account, Device
from tests.emulator.calls import Call
from tests.emulator.nodes import HIDDEN, Node
from tests.emulator.schemas import HistorySync, HistorySyncNotification

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator


class Person:
    """Somebody with a phone. Cheap: make one whenever it is needed."""

    def __init__(self, emulator: Emulator, account: Account) -> None:
        self._emulator = emulator
        self.account = account

    @property
    def number(self) -> str:
        """Their phone number, digits only."""
        return self.account.number

    @property
    def jid(self) -> str:
        """Their address by number."""
        return str(self.account.jid())

    @property
    def lid(self) -> str:
        """Their hidden address."""
        return str(self.account.jid(HIDDEN))

    @property
    def devices(self) -> list[Device]:
        """The companions that are linked."""
        return self.account.companions

    @property
    def online(self) -> bool:
        """Whether any of their devices is connected."""
        return bool(self.account.online)

    # What their phone does.

    async def scan(self, qr: str) -> Device:
        """Scan the QR text that a companion shows: it is linked.

        Raises:
            Refusal: 404, the text is not one that is shown now.
        """
        return await self._emulator.linking.scan(self.account, qr)

    async def scan_as_phone(self, qr: str) -> Device:
        """Let a session take the phone's own place (device 0), so that somebody can say what phones say."""
        return await self._emulator.linking.scan(self.account, qr, place=0)

    async def type_in(self, code: str) -> None:
        """Type the pairing code that a companion shows.

        Raises:
            Refusal: 404, no companion asked for a code for this phone.
        """
        await self._emulator.linking.type_in(self.account, code)

    async def unlink(self, device: Device | None = None) -> None:
        """Remove one companion, or all, under "linked devices"."""
        for each in [device] if device is not None else self.devices:
            await remove(self._emulator, each)

    async def call_themselves(self, name: str) -> None:
        """Take another name; those who get a message from them learn it."""
        self.account.name = name

    async def say_of_themselves(self, about: str) -> None:
        """A new about; those they talked with are told."""
        self.account.about = about
        await self._emulator.people_changed_about(self.account)

    async def show(self, picture: bytes) -> None:
        """A new picture (JPEG), or none; those they talked with are told."""
        self.account.picture = self._emulator.keep_picture(picture) if picture else ""
        await self._emulator.people_changed_picture(self.account)

    async def ring(self, other: Person, *, video: bool = False) -> Call:
        """Call somebody."""
        return await self._emulator.calls.ring(self.account, other.account, video=video)

    async def hang_up(self, call: Call) -> None:
        """Give the call up."""
        await self._emulator.calls.hang_up(call)

    def history(self, history: HistorySync) -> HistorySyncNotification:
        """Upload a piece of the phone's history; a session in the phone's place sends what this returns."""
        return self._emulator.media.history(history)

    # What the network does to them.

    def drop(self) -> None:
        """Break their connections without a word."""
        for device in self.account.online:
            if device.line is not None:
                device.line.drop()

    def deafen(self) -> None:
        """Leave their connections open, but hear and say nothing on them any more."""
        for device in self.account.online:
            if device.line is not None:
                device.line.deaf = True

    async def replace(self) -> None:
        """Somebody else opened a connection with the same keys."""
        await self._end(Node("stream:error", {}, [Node("conflict", {"type": "replaced"})]))

    async def stream_error(self, code: int) -> None:
        """End their connections with a stream error; 503 makes clients come again."""
        await self._end(Node("stream:error", {"code": code}))

    async def ban(self, seconds: int, *, code: int = 101) -> None:
        """A temporary ban: connections end, and every login is refused until `pardon`."""
        self.account.refusal = {"reason": "402", "code": str(code), "expire": str(seconds)}
        await self._end()

    async def ban_for_ever(self) -> None:
        """The account is banned for good."""
        self.account.refusal = {"reason": "403", "t": str(int(time.time()))}
        await self._end()

    async def outdate(self) -> None:
        """The client is too old: every login is refused until `pardon`."""
        self.account.refusal = {"reason": "405"}
        await self._end()

    async def refuse_logins(self, reason: int) -> None:
        """Every login is refused with this reason until `pardon`; 500 and 503 are passing troubles."""
        self.account.refusal = {"reason": str(reason)}
        await self._end()

    def pardon(self) -> None:
        """Logins are welcome again."""
        self.account.refusal = None

    def timelock(self, on: bool = True) -> None:
        """Refuse messages to people they have not talked with (error 463)."""
        self.account.timelocked = on

    def decline_groups(self, on: bool = True) -> None:
        """Refuse to be added to any group (401 in the result)."""
        self.account.declines = on

    async def _end(self, last: Node | None = None) -> None:
        for device in self.account.online:
            if device.line is not None:
                await device.line.end(last)


async def remove(emulator: Emulator, device: Device) -> None:
    """A companion is linked no more, whoever wished it: it is told, and everybody who knew it."""
    account = device.account
    account.devices.pop(device.place, None)
    if device.line is not None:
        conflict = Node("conflict", {"type": "device_removed"})
        await device.line.end(Node("stream:error", {"code": "401"}, [conflict]))
    await emulator.tell_devices(account, "remove", device)
