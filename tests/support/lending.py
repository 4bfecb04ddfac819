"""Accounts on an emulator, linked once for a file of tests and lent to each of its tests, online if they still are.

Linking and starting hosts is most of what such a test costs. Between two tests a device is out of the network, though
its line stays open: to the next test a person is a phone alone, unless that test asks for the device.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from typing import Any

from tests.emulator.accounts import Account, Device
from tests.emulator.emulator import Emulator
from tests.emulator.persons import remove
from tests.support.engines import R, Recorder
from tests.support.whatsapp import WhatsApp, eventually
from wagate.engines.base import ConnectionLost, Ended, LineLost, Report
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.engines.whatsapp.stored import has_keys


class Relay:
    """A sink for whichever test has the account now. `over`: the line has ended since."""

    def __init__(self) -> None:
        self.to = Recorder()
        self.over = False

    async def __call__(self, reports: Sequence[Report]) -> None:
        self.over |= any(isinstance(report, LineLost | Ended) for report in reports)
        await self.to(reports)

    def of(self, kind: type[R]) -> list[R]:
        """As a recorder's."""
        return self.to.of(kind)

    def forget(self) -> None:
        """As a recorder's."""
        self.to.forget()

    def release(self) -> None:
        """Whatever the test held up goes on."""
        self.to.failures = 0
        self.to.gate.set()


class Kept:
    """An account's session, in one of the two engines."""

    def __init__(self, world: WhatsApp, session: str, device: Device) -> None:
        self.world = world
        self.session = session
        self.device = device
        self.connection: Any = None
        self.relay = Relay()

    @property
    def up(self) -> bool:
        """Nothing has ended its line since it was online."""
        return self.connection is not None and not self.relay.over and bool(self.world.engine.host_of(self.session))

    async def online(self) -> bool:
        """It can ask WhatsApp something."""
        with contextlib.suppress(ConnectionLost):
            return self.up and bool(await self.connection.snapshot())
        return False

    async def quiet(self) -> None:
        """Wait until it has heard all that it was sent, and told it."""
        spool = self.world.keys(self.session) / "spool"
        await eventually(lambda: not self.device.waiting and spool.stat().st_size == 0)


class Lending:
    """The network of a file of tests, an engine under test, one outside of it, and the accounts of both.

    `named`: whose sessions have heard from their phone what they are called.
    """

    def __init__(self) -> None:
        self.emulator: Emulator
        self.inner: WhatsApp
        self.outside: WhatsApp
        self.count = 0
        self.named: set[str] = set()
        self._made = False
        self._kept: list[Kept] = []
        self._former: list[WhatsAppEngine] = []

    async def begin(self) -> None:
        """Make the network, if nobody has asked for it before."""
        if not self._made:
            self.emulator = await Emulator().__aenter__()
            self.emulator.first_count = 1
            self.inner, self.outside = WhatsApp(self.emulator), WhatsApp(self.emulator)
            self._made = True

    async def close(self) -> None:
        """Leave nothing behind; the network understood all that was said."""
        if not self._made:
            return
        for engine in self._former:
            await engine.close()
        await self.inner.close()
        await self.outside.close()
        await self.emulator.stop()
        assert self.emulator.unknown == []

    def renew(self) -> None:
        """Another engine on the same folder; what was with the present one stays as it is."""
        self._former.append(self.inner.engine)
        self.inner.engine = self.inner.another()

    async def take(self, world: WhatsApp, number: str) -> Kept:
        """A session of somebody's, online in that engine; its sink has forgotten everything."""
        kept = next((each for each in self._kept if (each.world, each.device.account.number) == (world, number)), None)
        if kept is None:
            kept = await self._link(world, number)
        else:
            self._kept.remove(kept)
            await show(self.emulator, kept.device)
            if not kept.up:
                await self._connect(kept)
        await kept.quiet()
        kept.relay.to = Recorder()
        return kept

    async def give_back(self, kept: Kept) -> None:
        """Keep it for the next test; what is linked no more is forgotten."""
        kept.relay.release()
        device, place = kept.device, kept.world.keys(kept.session)
        listed = device.account.devices.get(device.place) is device
        if listed and await kept.online():
            await kept.quiet()
        else:
            if kept.connection is not None:
                await kept.connection.close()
                kept.connection = None
            if not listed or not place.exists() or not has_keys(place):
                if listed:
                    await remove(self.emulator, device)
                shutil.rmtree(place, ignore_errors=True)
                return
        await hide(self.emulator, device)
        self._kept.append(kept)

    async def _link(self, world: WhatsApp, number: str) -> Kept:
        self.count += 1
        session, person = f"{number}.{self.count}", self.emulator.person(number)
        known = set(person.devices)
        sink: Any = Relay()
        connection, _ = await world.linked(session, number, sink=sink)
        (device,) = set(person.devices) - known
        kept = Kept(world, session, device)
        kept.connection, kept.relay = connection, sink
        return kept

    async def _connect(self, kept: Kept) -> None:
        kept.relay = Relay()
        sink: Any = kept.relay
        kept.connection, _ = await kept.world.open(kept.session, jid=str(kept.device.account.jid()), sink=sink)
        await kept.connection.connect()


async def hide(emulator: Emulator, device: Device) -> None:
    """Take a device out of the network, its line left open."""
    device.account.devices.pop(device.place, None)
    device.waiting.clear()
    await emulator.tell_devices(device.account, "remove", device)


async def show(emulator: Emulator, device: Device) -> None:
    """Put it back. Of the devices that came and went meanwhile it has not heard: it asks anew for every list."""
    device.account.devices[device.place] = device
    await emulator.tell_devices(device.account, "add", device)
    for account in emulator.accounts:
        if device.account.number in account.watchers or account is device.account:
            await emulator.doubt_devices(device, account)


def forget(emulator: Emulator) -> None:
    """Everything that the last test made of the network, but who is linked."""
    emulator.groups.clear()
    emulator.channels.clear()
    emulator.presence.clear()
    emulator.messages.seen.clear()
    emulator.media.refuse = 0
    for line in emulator.lines:
        line.present = False
    for account in emulator.accounts:
        _as_at_first(account)


def _as_at_first(account: Account) -> None:
    account.refusal = None
    account.timelocked = account.declines = account.shown = False
    account.about = account.picture = ""
    account.last_seen = 0
    account.blocked.clear()
    account.known.clear()
