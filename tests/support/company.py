"""People with a session each, linked once and online for many stories, and what each of them hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from tests.emulator.emulator import Emulator
from tests.support.engines import R, Recorder, jid
from tests.support.whatsapp import WhatsApp, eventually
from wagate.model.actions import Action
from wagate.model.contents import Content, Media
from wagate.model.messages import Ack, Arrived, Outgoing

ANN, BEN, CAT, DAN = "99900000001", "99900000002", "99900000003", "99900000004"
SESSIONS = {"ann": ANN, "tablet": ANN, "ben": BEN, "cat": CAT}
_QUIET_LOOKS = 3
"""What was acknowledged is on disk a moment later: one look may fall in between."""
NOBODY, PRIVATE = "99930000001", "99940000001"


class Somebody:
    """A session that is online."""

    def __init__(self, number: str, connection: Any, sink: Recorder) -> None:
        self.number = number
        self.jid = jid(number)
        self.connection = connection
        self.sink = sink

    async def say(self, content: Content, to: str) -> Ack:
        """Send, to a number or a chat."""
        chat = to if "@" in to else jid(to)
        ack: Ack = await self.connection.send(Outgoing(wire_id=None, chat=chat, content=content))
        return ack

    async def do(self, action: Action) -> Any:
        """Perform an action."""
        return await self.connection.perform(action)

    async def hears(self, kind: type[R], matches: Callable[[R], object] = lambda report: True) -> R:
        """The first report of this kind that matches, past or to come."""
        found: list[R] = []

        def there() -> bool:
            found[:] = [report for report in self.sink.of(kind) if matches(report)]
            return bool(found)

        await eventually(there)
        return found[0]

    async def gets(self, ack: Ack) -> Arrived:
        """The message that somebody sent."""
        return await self.hears(Arrived, lambda report: report.wire_id == ack.wire_id)


class Company:
    """Ann with a second device (her tablet), Ben and Cat; Dan has a phone alone."""

    def __init__(self, world: WhatsApp, people: list[Somebody]) -> None:
        self.world = world
        self.emulator = world.emulator
        self.ann, self.tablet, self.ben, self.cat = people

    async def rest(self) -> None:
        """Return when nobody is about to hear anything of what was done so far."""
        quiet = 0
        while quiet < _QUIET_LOOKS:
            await eventually(self._rests)
            await asyncio.sleep(0.01)
            quiet = quiet + 1 if self._rests() else 0

    def _rests(self) -> bool:
        spools = [self.world.keys(session) / "spool" for session in SESSIONS]
        online = [device for account in self.emulator.accounts for device in account.online]
        return not any(device.waiting for device in online) and not any(spool.stat().st_size for spool in spools)

    def forget(self) -> None:
        """Everybody forgets what was heard so far."""
        for each in (self.ann, self.tablet, self.ben, self.cat):
            each.sink.forget()

    async def file(self, key: str, octets: bytes, mimetype: str, **more: Any) -> Media:
        """A file that the gateway has under a key of its own."""
        await self.world.files.put(key, [octets])
        return Media(id=key, mimetype=mimetype, size=len(octets), sha256=sha256(octets).hexdigest(), **more)

    async def bytes_of(self, key: str) -> bytes | None:
        """What lies in the blob store."""
        async with self.world.files.local(key) as path:
            return None if path is None else path.read_bytes()


@asynccontextmanager
async def gathered() -> AsyncIterator[Company]:
    """Everybody linked and online; nothing is left of them afterwards."""
    async with Emulator() as emulator:
        emulator.first_count = 1
        world = WhatsApp(emulator)
        try:
            online = await asyncio.gather(*(world.linked(session, number) for session, number in SESSIONS.items()))
            people = [Somebody(number, *each) for number, each in zip(SESSIONS.values(), online, strict=True)]
            yield Company(world, people)
        finally:
            await world.close()
