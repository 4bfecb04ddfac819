"""An engine under test, and the world around it: its clock, its store, a phone to drive its network from outside."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.files import JPEG
from tests.support.stores import Stores
from wagate.backends.blobs import DiskBlobs
from wagate.clock import ManualClock
from wagate.engines.base import Account, ConnectionLost, Engine, Report
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.engines.sandbox.settings import Bounds
from wagate.model.actions import Action
from wagate.model.contents import Content, Media, TextContent
from wagate.model.groups import GroupSeen
from wagate.model.jid import user
from wagate.model.messages import Ack, Outgoing
from wagate.model.sandbox import (
    Acknowledge,
    AlterPerson,
    ChangeMessage,
    ChangePerson,
    Disturb,
    Fault,
    FramePage,
    InjectFault,
    LinkPhone,
    ListFrames,
    ListShown,
    LookAtGroup,
    MadeGroup,
    MakeGroup,
    MoveMember,
    Ring,
    Shown,
    Speak,
    TrueGroup,
)

R = TypeVar("R", bound=Report)
ORG = "org_1"

NO_TURNING = "this engine's clock cannot be turned"
NO_CHOICE = "this engine does not choose the wire id: a send that was cut off is never sent again by itself"


async def until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return when the condition holds; fails when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "waited in vain"
        await asyncio.sleep(0.001)


async def settle() -> None:
    """Let everything run that can run without the clock."""
    for _ in range(60):
        await asyncio.sleep(0)


class Recorder:
    """A sink that remembers. `gate` closed: a call waits, and `held` is what it brings; `failures`: so many calls fail
    first. `started`: the calls since it last forgot.
    """

    def __init__(self) -> None:
        self.calls: list[list[Report]] = []
        self.held: list[Report] = []
        self.started = 0
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, reports: Sequence[Report]) -> None:
        self.started += 1
        self.held = list(reports)
        try:
            await self.gate.wait()
        finally:
            self.held = []
        if self.failures:
            self.failures -= 1
            raise OSError("cannot commit")
        self.calls.append(list(reports))

    def forget(self) -> None:
        """As if nothing had come yet."""
        self.calls.clear()
        self.started = 0

    def holds(self, kind: type[Report]) -> bool:
        """Whether a call that brings one of these waits at the gate."""
        return any(isinstance(report, kind) for report in self.held)

    @property
    def reports(self) -> list[Report]:
        return [report for call in self.calls for report in call]

    def of(self, kind: type[R]) -> list[R]:
        return [report for report in self.reports if isinstance(report, kind)]


class Sandbox:
    """The sandbox engine and its outside. Another engine's tests bring a class with the same methods.

    `turns_clock`: time passes as tests say.
    """

    turns_clock = True

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.stores = Stores()
        self.clock = ManualClock(1_700_000_000_000)
        self.bounds = bounds
        self.root = Path(tempfile.gettempdir()) / f"wagate-{uuid.uuid4()}"
        self.files = DiskBlobs(self.root)
        self.engine: Engine = self._engine()

    def _engine(self) -> SandboxEngine:
        return SandboxEngine(self.stores, self.clock, seed="test", bounds=self.bounds, files=self.files)

    async def start(self) -> Sandbox:
        await self.sandbox.host(ORG)
        return self

    @property
    def sandbox(self) -> SandboxEngine:
        assert isinstance(self.engine, SandboxEngine)
        return self.engine

    async def close(self) -> None:
        await self.engine.close()
        await self.files.close()
        shutil.rmtree(self.root, ignore_errors=True)

    async def restart(self) -> None:
        """Stop in good order and begin again on what was kept."""
        await self.engine.close()
        await self.crash()

    async def crash(self) -> None:
        """Begin again on what was kept, the old engine left where it stood."""
        self.engine = self._engine()
        await self.sandbox.host(ORG)

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    async def drive(self, action: Action) -> Any:
        return await self.sandbox.drive(ORG, action)

    async def open(self, session: str, *, jid: str | None = None) -> tuple[Any, Recorder]:
        sink = Recorder()
        return await self.engine.open(Account(session_id=session, organization_id=ORG, jid=jid), sink), sink

    async def linked(self, session: str, number: str) -> tuple[Any, Recorder]:
        """A session that is online as this number; its sink has forgotten how that came."""
        connection, sink = await self.open(session)
        await connection.link()
        await self.scan(session, number)
        await connection.connect()
        sink.forget()
        return connection, sink

    async def forget(self, session: str, jid: str) -> None:
        """The gateway deletes the session."""
        await self.engine.forget(Account(session_id=session, organization_id=ORG, jid=jid))

    async def scan(
        self, session: str, phone: str | None = None, name: str | None = None, *, code: str | None = None
    ) -> Any:  # fmt: skip
        return await self.drive(LinkPhone(session=session, phone=phone, name=name))

    async def disturb(self, session: str, what: Any, seconds: float = 0) -> None:
        await self.drive(Disturb(session=session, what=what, seconds=seconds))

    async def say(self, sender: str, to: str, text: str = "hello") -> str:
        said = await self.drive(Speak(sender=sender, to=to, content=TextContent(text=text)))
        wire_id: str = said.wa_message_id
        return wire_id

    async def said_before(self, sender: str, to: str) -> str:
        """Somebody wrote to a phone to which nothing is linked: it hands that over to the first session."""
        return await self.say(sender, jid(to))

    async def speak(self, sender: str, to: str, content: Content) -> str:
        said = await self.drive(Speak(sender=sender, to=to, content=content))
        wire_id: str = said.wa_message_id
        return wire_id

    async def named(self, *numbers: str) -> None:
        """Their phones have told the sessions their names; here everybody has one."""

    async def ring(self, caller: str, to: str, *, video: bool = False) -> None:
        """Somebody calls a person or a group."""
        await self.drive(Ring(caller=caller, to=to, video=video))

    async def change(self, sender: str, message: str, what: Any, **more: Any) -> None:
        await self.drive(ChangeMessage(sender=sender, message=message, what=what, **more))

    async def file(self, key: str = "med_1", data: bytes = JPEG, mimetype: str = "image/jpeg", **more: Any) -> Media:
        """A file that the gateway has under a key of its own."""
        await self.files.put(key, [data])
        return Media(id=key, mimetype=mimetype, size=len(data), sha256=sha256(data).hexdigest(), **more)

    async def bytes_of(self, key: str) -> bytes | None:
        """What lies there."""
        async with self.files.local(key) as path:
            return None if path is None else path.read_bytes()

    async def acknowledge(self, sender: str, message: str, what: Any = "read") -> None:
        await self.drive(Acknowledge(sender=sender, message=message, what=what))

    async def shown(self, message: str | None = None, *, to: str | None = None) -> list[Shown]:
        page = await self.drive(ListShown(to=to, sender=None, message=message, after="", limit=200))
        rows: list[Shown] = page.rows
        return rows

    async def frames(self, message: str) -> int:
        page: FramePage = await self.drive(ListFrames(after="", limit=1000))
        return sum(row.wa_message_id == message for row in page.rows)

    async def group(
        self, owner: str, people: list[str], subject: str = "Friends", *, approve_joins: bool = False
    ) -> MadeGroup:
        making = MakeGroup(owner=owner, subject=subject, people=people, approve_joins=approve_joins)
        made: MadeGroup = await self.drive(making)
        return made

    async def truth(self, group: str) -> TrueGroup:
        seen: TrueGroup = await self.drive(LookAtGroup(group=group))
        return seen

    async def roles(self, group: str) -> dict[str, str]:
        return {user(member.jid): member.role for member in (await self.truth(group)).members}

    async def move(self, group: str, person: str, step: Any, invite: str | None = None) -> None:
        await self.drive(MoveMember(group=group, person=person, step=step, invite=invite))

    async def alter(self, phone: str, **change: Any) -> None:
        await self.drive(AlterPerson(phone=phone, change=ChangePerson(**change)))

    async def fault(self, kind: Any, **more: Any) -> None:
        await self.drive(InjectFault(fault=Fault(kind=kind, **more)))


def text(wire_id: str | None, to: str, words: str = "hello") -> Outgoing:
    """A text on its way out, to a number or a group."""
    return Outgoing(wire_id=wire_id, chat=to if "@" in to else f"{to}@s.whatsapp.net", content=TextContent(text=words))


def chosen(world: Any, ack: Ack, wire_id: str) -> str:
    """The id that a message went out with: the one that was asked for, where the engine promises that."""
    assert ack.wire_id == wire_id or not world.engine.promises.chooses_wire_id
    return ack.wire_id


async def connected(connection: Any) -> None:
    """Connect as a runner does, again when the line is lost: it may break before its last word is heard."""
    for _ in range(10):
        with suppress(ConnectionLost):
            await connection.connect()
            return
    pytest.fail("no line")


def near(world: Any, moment: object, expected: int) -> None:
    """A moment is the one that was expected, where the world's clock stands still; else not far from it."""
    assert isinstance(moment, int)
    assert abs(moment - expected) <= (0 if world.turns_clock else 120_000)


def needs(*kept: tuple[bool, str]) -> None:
    """Skip what an engine does not promise, or its world cannot show, with the reason."""
    for is_so, reason in kept:
        if not is_so:
            pytest.skip(reason)


def jid(number: str) -> str:
    """A number's phone JID."""
    return f"{number}@s.whatsapp.net"


def members(seen: GroupSeen) -> dict[str, str]:
    """Who is in a group as it was seen, with their roles."""
    return {user(str(each.person.jid)): each.role for each in seen.members}
