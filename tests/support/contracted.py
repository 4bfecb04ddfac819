"""The WhatsApp engine as contract tests see an engine: the same methods as `Sandbox`, on the emulator.

Who speaks from outside is a second engine's session; a phone of the emulator's own cannot, as that takes Signal keys.
Accounts are linked once for a file and lent to its tests: their device is taken out of the network in between, so that
to the next test a person is a phone alone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.emulator.accounts import Device
from tests.emulator.emulator import Emulator
from tests.emulator.persons import remove
from tests.support.engines import Recorder, settle, until
from tests.support.whatsapp import WhatsApp, eventually
from wagate.clock import SystemClock
from wagate.engines.base import Linked, QrShown
from wagate.engines.whatsapp.stored import has_keys
from wagate.model.contents import TextContent
from wagate.model.jid import user
from wagate.model.messages import Outgoing


class Lending:
    """The network of a file of tests, and accounts that are linked to it. Made by the first that asks."""

    def __init__(self) -> None:
        self._emulator: Emulator | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="lending-"))
        self.kept: dict[str, list[tuple[Path, Device]]] = {}

    async def emulator(self) -> Emulator:
        """The network."""
        if self._emulator is None:
            self._emulator = await Emulator().__aenter__()
        return self._emulator

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._emulator is not None:
            await self._emulator.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def lend(self, number: str, place: Path) -> bool:
        """Put the keys of a linked device of somebody there; false when there is none to lend."""
        waiting, emulator = self.kept.get(number), await self.emulator()
        if not waiting:
            return False
        folder, device = waiting.pop()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(folder, place)
        device.account.devices[device.place] = device
        await emulator.tell_devices(device.account, "add", device)
        return True

    async def take_back(self, device: Device, place: Path) -> None:
        """Keep a device for the next test, out of the network."""
        await remove(await self.emulator(), device)
        device.waiting.clear()
        kept = self.kept.setdefault(device.account.number, [])
        folder = self.folder / f"{device.account.number}.{device.place}"
        shutil.move(place, folder)
        kept.append((folder, device))


class Contracted:
    """See the module. `turns_clock`: false, its time is the machine's."""

    turns_clock = False

    def __init__(self, lending: Lending, inner: WhatsApp, outside: WhatsApp) -> None:
        self.lending = lending
        self.inner = inner
        self.outside = outside
        self.emulator = inner.emulator
        self.clock = SystemClock()
        self.numbers: dict[str, str] = {}
        self.devices: list[tuple[Device, Path]] = []
        self.sinks: dict[str, Recorder] = {}
        self.speakers: dict[str, Any] = {}
        self._pardon: list[tuple[float, str]] = []

    @classmethod
    async def begin(cls, lending: Lending) -> Contracted:
        emulator = await lending.emulator()
        return cls(lending, WhatsApp(emulator), WhatsApp(emulator))

    async def close(self) -> None:
        await self.inner.engine.close()
        await self.outside.engine.close()
        self.emulator.groups.clear()
        for account in list(self.emulator.accounts):
            account.refusal = None
        for device, place in self.devices:
            if device in device.account.companions and place.exists() and has_keys(place):
                await self.lending.take_back(device, place)
        for account in list(self.emulator.accounts):
            for device in account.companions:
                await remove(self.emulator, device)
        await self.inner.close()
        await self.outside.close()

    @property
    def engine(self) -> Any:
        return self.inner.engine

    async def restart(self) -> None:
        await self.inner.engine.close()
        self.inner.engine = self.inner.another()

    async def crash(self) -> None:
        """Its hosts are killed with it; what was with a sink stays there for ever."""
        for pid in self.inner.engine.hosts:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not self.inner.engine.hosts)
        self.inner.engine = self.inner.another()

    async def pass_time(self, seconds: float) -> None:
        """No longer than it takes for what is under way to come about."""
        for after, number in self._pardon:
            if seconds >= after:
                self.emulator.person(number).pardon()
        await asyncio.sleep(min(seconds, 0.4))
        await settle()

    async def open(self, session: str, *, jid: str | None = None) -> tuple[Any, Recorder]:
        connection, sink = await self.inner.open(session, jid=jid)
        self.sinks[session] = sink
        return connection, sink

    async def linked(self, session: str, number: str) -> tuple[Any, Recorder]:
        """As the sandbox's; a device that was linked before is lent where there is one."""
        made = await self._online(self.inner, session, number)
        self.sinks[session], self.numbers[session] = made[1], number
        return made

    async def _online(self, world: WhatsApp, session: str, number: str) -> tuple[Any, Recorder]:
        place, person = world.keys(session), self.emulator.person(number)
        known = set(person.devices)
        if not await self.lending.lend(number, place):
            made = await world.linked(session, number)
        else:
            connection, sink = await world.open(session, jid=person.jid)
            await connection.connect()
            made = connection, sink
        (device,) = set(person.devices) - known
        self.devices.append((device, place))
        await eventually(lambda: not device.waiting and (place / "spool").stat().st_size == 0)
        made[1].forget()
        return made

    async def scan(self, session: str, phone: str, name: str | None = None, *, code: str | None = None) -> None:
        """The phone scans what the session shows, or types its code; returns when the session is linked."""
        sink, person = self.sinks[session], self.emulator.person(phone)
        self.numbers[session] = phone
        known = set(person.devices)
        if code is None:
            await eventually(lambda: sink.of(QrShown))
            await person.scan(sink.of(QrShown)[-1].code)
        else:
            await person.type_in(code)
        await eventually(lambda: sink.of(Linked))
        (device,) = set(person.devices) - known
        self.devices.append((device, self.inner.keys(session)))

    async def disturb(self, session: str, what: str, seconds: float = 0) -> None:
        number = self.numbers[session]
        person = self.emulator.person(number)
        if what == "unlink":
            await person.unlink()
            return
        assert what == "drop"
        person.account.refusal = {"reason": "503"}
        self._pardon.append((seconds, number))
        person.drop()

    async def say(self, sender: str, to: str, text: str = "hello") -> str:
        """Somebody writes, from a session outside of the engine under test."""
        if sender not in self.speakers:
            self.speakers[sender] = (await self._online(self.outside, f"speaker{sender}", sender))[0]
        said = await self.speakers[sender].send(Outgoing(wire_id=None, chat=to, content=TextContent(text=text)))
        return str(said.wire_id)

    async def shown(self, message: str | None = None, *, to: str | None = None) -> list[Any]:
        """What was carried: each message once for each that it went to."""
        rows = {}
        for device, node in self.emulator.messages.seen:
            account = self.emulator.accounts.of(node.attrs["to"])
            if account is not None and message in (None, node.attrs["id"]):
                row = {"from_": str(device.account.jid()), "recipient": str(account.jid()), "type": node.attrs["type"]}
                rows[node.attrs["id"], account.number] = SimpleNamespace(**row)
        return [row for (_, number), row in rows.items() if to is None or user(to) == number]


__all__ = ["Contracted", "Lending", "until"]
