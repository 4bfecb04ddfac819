"""The WhatsApp engine as contract tests see an engine: the same methods as `Sandbox`, on the emulator.

Who speaks from outside is a second engine's session; a phone of the emulator's own cannot, as that takes Signal keys.
Sessions are called in tests as they like; their real names are those of the accounts that are lent (see `Lending`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from tests.emulator.accounts import Device
from tests.emulator.groups import Gathering
from tests.emulator.library import Library
from tests.emulator.nodes import GROUP, HIDDEN, Node, parse
from tests.emulator.persons import remove
from tests.emulator.phones import switch_on
from tests.emulator.schemas import HistorySync
from tests.support.engines import ORG, Recorder, jid, settle, until
from tests.support.files import JPEG
from tests.support.lending import Kept, Lending, Relay, forget
from tests.support.whatsapp import PATIENCE, eventually
from wagate.clock import SystemClock
from wagate.engines.base import Account, Linked, QrShown
from wagate.engines.sandbox import rules
from wagate.engines.sandbox.groups import LINK, truth
from wagate.errors import Refused
from wagate.model.actions import SetPresence
from wagate.model.contents import Content, Media, TextContent
from wagate.model.jid import user
from wagate.model.messages import Outgoing


class Contracted:
    """See the module. `turns_clock`: false, its time is the machine's."""

    turns_clock = False

    def __init__(self, lending: Lending) -> None:
        self.lending = lending
        self.inner = lending.inner
        self.emulator = lending.emulator
        self.clock = SystemClock()
        self.kept: dict[str, Kept] = {}
        self.speakers: dict[str, Kept] = {}
        self.opened: dict[str, tuple[str, Any, Relay]] = {}
        self._pardon: list[tuple[float, str]] = []
        self._before: dict[str, HistorySync] = {}

    @classmethod
    async def begin(cls, lending: Lending) -> Contracted:
        await lending.begin()
        return cls(lending)

    async def close(self) -> None:
        forget(self.emulator)
        kept = [*self.kept.values(), *self.speakers.values()]
        for each in kept:
            await self.lending.give_back(each)
        theirs = {each.session for each in kept}
        for session, connection, sink in self.opened.values():
            if session not in theirs:
                sink.release()
                await connection.close()
        # Giving back is told to others, who may have said something to that.
        forget(self.emulator)

    @property
    def engine(self) -> Any:
        return self.inner.engine

    @property
    def files(self) -> Any:
        return self.inner.files

    async def restart(self) -> None:
        await self.inner.engine.close()
        self.lending.renew()

    async def crash(self) -> None:
        """Its hosts are killed with it; what was with a sink stays there until the test is over."""
        old = self.inner.engine
        for pid in old.hosts:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not old.hosts)
        self.lending.renew()

    async def pass_time(self, seconds: float) -> None:
        """No longer than it takes for what is under way to come about."""
        for after, number in self._pardon:
            if seconds >= after:
                self.emulator.person(number).pardon()
        await asyncio.sleep(min(seconds, 0.4))
        await settle()

    async def open(self, session: str, *, jid: str | None = None) -> tuple[Any, Recorder]:
        kept = self.kept.get(session)
        name = self._name(session) if kept is None else kept.session
        relay: Any = Relay()
        connection, _ = await self.inner.open(name, jid=jid, sink=relay)
        self.opened[session] = (name, connection, relay)
        if kept is not None:
            kept.relay.release()
            kept.connection, kept.relay = connection, relay
        return connection, relay.to

    async def forget(self, session: str, jid: str) -> None:
        """The gateway deletes the session."""
        account = Account(session_id=self._name(session), organization_id=ORG, jid=jid)
        await self.engine.forget(account)

    def _name(self, session: str) -> str:
        if session in self.kept:
            return self.kept[session].session
        if session not in self.opened:
            self.lending.count += 1
            return f"{session}.{self.lending.count}"
        return self.opened[session][0]

    async def linked(self, session: str, number: str) -> tuple[Any, Recorder]:
        """As the sandbox's; a device that was linked before is lent where there is one."""
        kept = self.kept[session] = await self.lending.take(self.inner, number)
        return kept.connection, kept.relay.to

    async def scan(self, session: str, phone: str, name: str | None = None, *, code: str | None = None) -> None:
        """The phone scans what the session shows, or types its code; returns when the session is linked."""
        real, connection, relay = self.opened[session]
        person = self.emulator.person(phone)
        known = set(person.devices)
        async with self._handing_over(phone):
            if code is None:
                await eventually(lambda: relay.of(QrShown))
                await person.scan(relay.of(QrShown)[-1].code)
            else:
                await person.type_in(code)
            await eventually(lambda: relay.of(Linked))
        (device,) = set(person.devices) - known
        kept = self.kept[session] = Kept(self.inner, real, device)
        kept.connection, kept.relay = connection, relay

    async def disturb(self, session: str, what: str, seconds: float = 0) -> None:
        account = self.kept[session].device.account
        person = self.emulator.person(account.number)
        if what == "unlink":
            await person.unlink()
        elif what == "ban":
            await person.ban_for_ever()
        else:
            assert what == "drop"
            account.refusal = {"reason": "503"}
            self._pardon.append((seconds, account.number))
            person.drop()

    # What others do.

    async def say(self, sender: str, to: str, text: str = "hello") -> str:
        """Somebody writes, from a session outside of the engine under test."""
        return await self.speak(sender, to, TextContent(text=text))

    async def speak(self, sender: str, to: str, content: Content) -> str:
        """Somebody says something."""
        if sender not in self.speakers:
            self.speakers[sender] = await self.lending.take(self.lending.outside, sender)
        said = Outgoing(wire_id=None, chat=to, content=content)
        return str((await self.speakers[sender].connection.send(said)).wire_id)

    async def said_before(self, sender: str, to: str) -> str:
        """It is in the phone's memory, which a companion gets when it is linked (see `_handing_over`)."""
        history = self._before.setdefault(to, HistorySync(syncType=HistorySync.RECENT, chunkOrder=1, progress=100))
        message = history.conversations.add(ID=jid(sender)).messages.add().message
        message.key.remoteJID, message.key.ID = jid(sender), f"BEFORE{len(history.conversations)}"
        message.messageTimestamp = int(time.time()) - 60
        message.message.conversation = "hello"
        return str(message.key.ID)

    @asynccontextmanager
    async def _handing_over(self, number: str) -> AsyncIterator[None]:
        """Whoever is linked meanwhile gets the history of this phone, where it has one; who gives it is a session in
        the phone's own place."""
        if (history := self._before.pop(number, None)) is None:
            yield
            return
        async with Library(self.emulator) as library:
            phone = await switch_on(library, number)
            yield
            await phone.send_history(history)
        # From now on the network plays this phone again.
        self.emulator.accounts.get(number).phone.noise = b""

    async def acknowledge(self, sender: str, message: str, what: str = "read") -> None:
        """Somebody reads or plays a message on their phone."""
        (author,) = {device for device, node in self.emulator.messages.seen if node.attrs["id"] == message}
        kind = {"read": "read", "play": "played"}[what]
        told = Node("receipt", {"to": author.account.jid(HIDDEN), "id": message, "type": kind})
        await self.emulator.receipts.hear(self.emulator.accounts.get(sender).phone, told)

    async def named(self, *numbers: str) -> None:
        """Their phones tell their sessions the account's name, without which nobody shows themselves.

        Each phone shares the keys of what an account's devices know together, another session writes the name there,
        and the sessions under test are linked while the phone is on.
        """
        for number in set(numbers) - self.lending.named:
            self.lending.named.add(number)
            async with Library(self.emulator) as library:
                phone = await switch_on(library, number)
                other = await library.link(f"other-{number}", number)
                kept = await self.lending.take(self.inner, number)
                await phone.share_keys()
                await other.wait("Message", lambda told: "appStateSyncKeyShare" in str(told))
                await other.call("set_profile_name", "Somebody")
                await _heard_its_name(kept.connection)
                await self.lending.give_back(kept)
            await self._switch_off(number)

    async def _switch_off(self, number: str) -> None:
        account = self.emulator.accounts.get(number)
        for device in list(account.companions):
            await remove(self.emulator, device)
        # From now on the network plays this phone again.
        account.phone.noise = b""

    async def ring(self, caller: str, to: str, *, video: bool = False) -> None:
        """Somebody calls a person or a group."""
        who, where = self.emulator.accounts.get(caller), parse(to)
        if where.server == GROUP:
            await self.emulator.calls.ring_group(who, self._gathering(to), video=video)
            return
        callee = self.emulator.accounts.of(where)
        assert callee is not None
        await self.emulator.calls.ring(who, callee, video=video)

    async def alter(self, phone: str, **change: Any) -> None:
        """Something about a person changes."""
        person = self.emulator.person(phone)
        for what, value in change.items():
            if what == "about":
                await person.say_of_themselves(value)
            elif what == "picture":
                await person.show(JPEG if value else b"")
            elif what == "online":
                await self.emulator.presence.show(person.account, online=value)
            elif what == "typing":
                await self.emulator.presence.type(person.account, on=value)
            else:
                assert what == "blocked"
                others = [each.number for each in self.emulator.accounts if each is not person.account]
                person.account.blocked[:] = others if value else []

    # Files.

    async def file(self, key: str = "med_1", data: bytes = JPEG, mimetype: str = "image/jpeg", **more: Any) -> Media:
        """A file that both gateways have under a key of their own."""
        for files in (self.inner.files, self.lending.outside.files):
            await files.put(key, [data])
        return Media(id=key, mimetype=mimetype, size=len(data), sha256=sha256(data).hexdigest(), **more)

    async def bytes_of(self, key: str) -> bytes | None:
        """What lies there."""
        async with self.files.local(key) as path:
            return None if path is None else path.read_bytes()

    # Groups.

    async def group(
        self, owner: str, people: list[str], subject: str = "Friends", *, approve_joins: bool = False
    ) -> Any:  # fmt: skip
        """A group that somebody made on their phone."""
        numbers = [user(each) for each in people]
        gathering = await self.emulator.groups.create(owner, subject, numbers)
        if approve_joins:
            self.emulator.groups.approve_joins(gathering)
        return SimpleNamespace(group_jid=gathering.truth.jid, invite=LINK + gathering.truth.invite)

    async def truth(self, group: str) -> Any:
        """A group as the network knows it."""
        return truth(self._gathering(group).truth)

    async def roles(self, group: str) -> dict[str, str]:
        """Who is in it, by number."""
        return dict(self._gathering(group).truth.members)

    async def move(self, group: str, person: str, step: str, invite: str | None = None) -> None:
        """Somebody joins, leaves, asks to join, rises or falls."""
        gathering = self._gathering(group)
        if step == "join":
            code = invite or gathering.truth.invite
            await self.emulator.groups.change(gathering, person, rules.join, (person, code))
        elif step in ("request", "leave"):
            await self.emulator.groups.change(gathering, person, getattr(rules, step), person)
        else:
            await self.emulator.groups.change(gathering, gathering.truth.owner, getattr(rules, step), person)

    async def approve(self, group: str, person: str) -> None:
        """The group's creator lets somebody in, on their phone."""
        gathering = self._gathering(group)
        answer = [str(self.emulator.accounts.get(person).jid())]
        await self.emulator.groups.change(gathering, gathering.truth.owner, rules.approve, answer)

    async def undress(self, group: str, person: str) -> None:
        """Somebody takes the group's picture away, on their phone."""
        await self.emulator.groups.depict(self.emulator.accounts.get(person), parse(group), "")

    def _gathering(self, group: str) -> Gathering:
        found = self.emulator.groups.get(parse(group))
        assert found is not None
        return found

    async def shown(self, message: str | None = None, *, to: str | None = None) -> list[Any]:
        """What was carried: each message once for each that it went to."""
        rows = {}
        for device, node in self.emulator.messages.seen:
            if message in (None, node.attrs["id"]):
                for number in self._reached(device, node):
                    sides = {"from_": str(device.account.jid()), "recipient": f"{number}@s.whatsapp.net"}
                    rows[node.attrs["id"], number] = SimpleNamespace(**sides, type=node.attrs["type"])
        return [row for (_, number), row in rows.items() if to is None or user(to) == number]

    def _reached(self, sender: Device, node: Node) -> list[str]:
        if node.attrs["to"].server == GROUP:
            members = self._gathering(str(node.attrs["to"])).truth.members
            return [number for number in members if number != sender.account.number]
        account = self.emulator.accounts.of(node.attrs["to"])
        return [] if account is None else [account.number]


async def _heard_its_name(connection: Any) -> None:
    """Wait until a session has heard what it is called."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Refused):
                return await connection.perform(SetPresence(online=False))
            await asyncio.sleep(0.1)


__all__ = ["Contracted", "Lending", "until"]
