"""The pretend network of one organization: its state, and how a change of it is committed and told.

In memory: devices, changed people, whom accounts block, groups, channels, faults. In the store: all of it, the messages
and frames, and what waits for each device. Presence is in memory alone. A change is put in one piece; only then is
memory changed and anybody told. Structural changes (people, devices, groups, channels) hold `lock`; sends do not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from hashlib import blake2b
from typing import Any, Literal, TypeVar

import msgspec

from wagate.clock import Clock
from wagate.engines.base import (
    Arrived,
    CallRang,
    ChannelChanged,
    ChatMarked,
    ConnectionLost,
    Files,
    PeopleSeen,
    Report,
    Store,
)
from wagate.engines.sandbox.channels import Channels
from wagate.engines.sandbox.codes import Codes
from wagate.engines.sandbox.faults import KEY as FAULTS
from wagate.engines.sandbox.faults import Faults
from wagate.engines.sandbox.frames import Changes, History
from wagate.engines.sandbox.groups import Group
from wagate.engines.sandbox.lines import Kept, Line, Told
from wagate.engines.sandbox.people import Somebody, habits
from wagate.engines.sandbox.presence import Presences
from wagate.engines.sandbox.rules import Moment
from wagate.engines.sandbox.settings import Bounds, Timing
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged
from wagate.model.messages import Receipt

log = logging.getLogger(__name__)

T = TypeVar("T")

Keys = dict[str, str]
"""The key of the last report that was kept for each session."""

_KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Arrived,
        Receipt,
        GroupSeen,
        GroupChanged,
        MembersChanged,
        PeopleSeen,
        ChatMarked,
        CallRang,
        ChannelChanged,
    )
}
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"
_LIFE = "life"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A session linked to a number."""

    session: str
    number: str
    linked_at: int


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What every network of an engine runs on."""

    clock: Clock
    seed: str
    timing: Timing
    bounds: Bounds
    files: Files | None = None


class Network:
    """One organization's network. Made and loaded by the engine; other modules of this folder act on it."""

    def __init__(self, organization_id: str, store: Store, terms: Terms) -> None:
        self.organization_id = organization_id
        self.store = store
        self.clock = terms.clock
        self.timing = terms.timing
        self.bounds = terms.bounds
        self.files = terms.files
        self.lock = asyncio.Lock()
        self.history = History(store, terms.bounds)
        self.faults = Faults()
        self.people: dict[str, Somebody] = {}
        self.blocked: dict[str, set[str]] = {}
        self.channels = Channels()
        self.presences = Presences()
        self.devices: dict[str, Device] = {}
        self.devices_of: dict[str, tuple[str, ...]] = {}
        self.groups: dict[str, Group] = {}
        self.groups_of: dict[str, set[str]] = {}
        self.lines: dict[str, Line] = {}
        self.waiting: set[str] = set()
        self.codes: dict[str, Codes] = {}
        self.refused: dict[str, range] = {}
        self.released = False
        self._key = blake2b(f"{terms.seed}\n{organization_id}".encode(), digest_size=32).digest()
        self._life = 0
        self._minted = 0
        self._tickets = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._trimming = False

    async def load(self) -> list[Any]:
        """Take up the kept state and begin a new life; the frames whose telling may be unfinished."""
        for value in await self._everything("d/"):
            self.add_device(msgspec.json.decode(value, type=Device))
        for value in await self._everything("g/"):
            self.add_group(msgspec.json.decode(value, type=Group))
        rows = await self._rows("p/")
        self.people = {key[2:]: msgspec.json.decode(value, type=Somebody) for key, value in rows}
        for key, _ in await self._rows("b/"):
            _, number, other = key.split("/")
            self.blocked.setdefault(number, set()).add(other)
        self.channels.load(await self._everything("c/"), await self._rows("cf/"))
        self.faults.load(await self.store.get(FAULTS))
        await self._find_waiting()
        self._life = int(await self.store.get(_LIFE) or 0) + 1
        await self.store.put({_LIFE: str(self._life)})
        unfinished = await self.history.load()
        self.spawn(self.history.learn_all())
        return unfinished

    async def unload(self) -> None:
        """Stop what runs and note what is told; the lines are the engine's to close."""
        self.released = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.put(self.history.mark())

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something on the side; it ends with the network."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something to its end, even when the caller is cancelled meanwhile: memory and store stay as one.

        Raises:
            ConnectionLost: the network was let go in the middle of it.
        """
        return await self.outlast(self.spawn(work))

    async def outlast(self, task: asyncio.Task[T]) -> T:
        """Wait for a task of this network without ending it when the caller is cancelled."""
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and (caller is None or not caller.cancelling()):
                raise ConnectionLost from None
            raise

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Whoever awaits the task sees its error too; unawaited, it is read here and so never lost without a line.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("sandbox task ended with %s", type(error).__name__)

    async def commit(self, changes: Changes) -> None:
        """Put everything at once, used-up faults included."""
        if self.faults.changed:
            changes |= self.faults.changes()
        try:
            await self.store.put(changes)
        except BaseException:
            self.faults.changed = True
            raise
        if self.history.overfull and not self._trimming:
            self._trimming = True
            self.spawn(self._trim())

    async def _trim(self) -> None:
        try:
            await self.history.trim()
            await self._trim_files()
        finally:
            self._trimming = False

    async def _trim_files(self) -> None:
        """The network's copies of files go with the messages that they belong to."""
        while rows := await self.store.page("media/", limit=500):
            gone = [(key, blob) for key, blob in rows if int(key.rpartition("/")[2]) < self.history.oldest]
            if self.files is not None:
                await self.files.remove([blob for _, blob in gone])
            await self.store.put({key: None for key, _ in gone})
            if len(gone) < len(rows):
                return

    def refuses_session(self, session: str) -> bool:
        """Whether the session's line was dropped for some time that is not over."""
        # A range, so that a clock that was turned back does not stretch it.
        return self.clock.now() in self.refused.get(session, ())

    # Codes.

    def mint(self, purpose: str, size: int = 22) -> str:
        """A code nobody guesses, the same for the same seed and history."""
        self._minted += 1
        return self.derive(f"{self._life} {self._minted} {purpose}", size)

    def derive(self, text: str, size: int = 22) -> str:
        """A code that follows from a text."""
        number = int.from_bytes(blake2b(text.encode(), key=self._key, digest_size=32).digest(), "big")
        letters = []
        for _ in range(size):
            number, place = divmod(number, len(_ALPHABET))
            letters.append(_ALPHABET[place])
        return "".join(letters)

    def mint_digits(self, purpose: str, size: int) -> str:
        """A code of digits only."""
        self._minted += 1
        text = f"{self._life} {self._minted} {purpose}"
        number = int.from_bytes(blake2b(text.encode(), key=self._key, digest_size=32).digest(), "big")
        return f"{number % 10**size:0{size}d}"

    # People.

    def somebody(self, number: str) -> Somebody:
        """What was changed about a person."""
        return self.people.get(number) or Somebody()

    def name(self, number: str) -> str | None:
        """What a person calls themselves, when they were named."""
        person = self.people.get(number)
        return person.name if person is not None else None

    def exists(self, number: str) -> bool:
        """Whether a person is on WhatsApp."""
        return habits(number).exists and not ((person := self.people.get(number)) and person.banned)

    def blocks(self, number: str, other: str) -> bool:
        """Whether the account with this number wants to hear nothing of the other one."""
        return other in self.blocked.get(number, ())

    def hides(self, number: str, viewer: str) -> bool:
        """Whether a person shows nothing of themselves to another, and takes no message of theirs."""
        person = self.people.get(number)
        return number != viewer and ((person is not None and person.blocked) or self.blocks(number, viewer))

    def phone_is_on(self, number: str) -> bool:
        """Whether a person's own phone is on."""
        person = self.people.get(number)
        if person is None or person.online is None:
            return not habits(number).off
        return person.online

    def answers(self, number: str) -> bool:
        """Whether a person's own phone answers messages now: no session does it for them, and it is on."""
        return number not in self.devices_of and self.phone_is_on(number)

    def refuses(self, number: str) -> Literal["not_on_whatsapp", "declined"] | None:
        """Why a person cannot be had in a group; None when they can."""
        if not self.exists(number):
            return "not_on_whatsapp"
        return "declined" if self.somebody(number).blocked else None

    def moment(self, actor: str | None) -> Moment:
        """Now, for a rule of groups."""
        return Moment(
            actor=actor,
            now=self.clock.now(),
            names=self.name,
            mint=self.mint,
            refuses=self.refuses,
            pass_seconds=self.timing.direct_invite,
        )

    # Devices and groups in memory.

    def add_device(self, device: Device) -> None:
        """A session stands for a number from now on."""
        self.devices[device.session] = device
        others = self.devices_of.get(device.number, ())
        self.devices_of[device.number] = (*others, device.session)

    def drop_device(self, session: str) -> None:
        """A session stands for nobody any more."""
        device = self.devices.pop(session)
        self.waiting.discard(session)
        self.presences.forget(session)
        left = tuple(other for other in self.devices_of[device.number] if other != session)
        if left:
            self.devices_of[device.number] = left
        else:
            del self.devices_of[device.number]

    def add_group(self, group: Group) -> None:
        """A group is like this from now on."""
        before = self.groups.get(group.jid)
        self.groups[group.jid] = group
        old = before.members.keys() if before is not None else set()
        for number in old - group.members.keys():
            self.groups_of[number].discard(group.jid)
        for number in group.members.keys() - old:
            self.groups_of.setdefault(number, set()).add(group.jid)

    # What waits for devices.

    def keep(self, session: str, text: str, changes: Changes) -> str:
        """Keep an encoded report for a session, behind all earlier ones; its key."""
        self._tickets += 1
        key = f"q/{session}/{self._life:08d}{self._tickets:012d}"
        changes[key] = text
        return key

    def keep_for(self, number: str, reports: Iterable[Report], changes: Changes) -> Keys:
        """Keep reports for every session of a number; the key of the last one for each."""
        keys: Keys = {}
        for text in [encode_report(report) for report in reports]:
            keys |= {session: self.keep(session, text, changes) for session in self.devices_of.get(number, ())}
        return keys

    def wake(self, sessions: Iterable[str]) -> None:
        """Something was kept for these: who is online gets it."""
        for session in sessions:
            if session in self.devices:
                self.waiting.add(session)
                if (line := self.lines.get(session)) is not None:
                    line.waiting = True
                    line.kick()

    async def kept(self, session: str, limit: int) -> list[Kept]:
        """The oldest reports kept for a session."""
        rows = await self.store.page(f"q/{session}/", limit=limit)
        if not rows:
            self.waiting.discard(session)
        return [(key, decode_report(value)) for key, value in rows]

    async def forget_kept(self, session: str) -> None:
        """Nothing waits for this session any more."""
        while rows := await self.store.page(f"q/{session}/"):
            await self.store.put(dict.fromkeys((key for key, _ in rows), None))

    async def park(self, session: str, told: list[Told]) -> None:
        """Keep receipts that were not delivered from memory."""
        changes: Changes = {}
        for each in told:
            # Where somebody was while nobody listened is not worth telling later.
            if isinstance(each.receipt, Receipt):
                self.keep(session, encode_report(each.receipt), changes)
        if changes and session in self.devices:
            await self.commit(changes)
            self.wake([session])
        for each in told:
            for frame in each.frames:
                self.history.unsettled.free(frame)

    async def _find_waiting(self) -> None:
        # One look for each session with something waiting, however much it is.
        after = ""
        while rows := await self.store.page("q/", after=after, limit=1):
            session = rows[0][0].split("/")[1]
            self.waiting.add(session)
            after = f"q/{session}/~"
        self.waiting &= self.devices.keys()

    async def _everything(self, prefix: str) -> list[str]:
        return [value for _, value in await self._rows(prefix)]

    async def _rows(self, prefix: str) -> list[tuple[str, str]]:
        rows: list[tuple[str, str]] = []
        while page := await self.store.page(prefix, after=rows[-1][0] if rows else ""):
            rows += page
        return rows


def encode_report(report: Report) -> str:
    """A report as it is kept."""
    return msgspec.json.encode((type(report).__name__, report)).decode()


def decode_report(text: str) -> Report:
    """A kept report again."""
    kind, raw = msgspec.json.decode(text, type=tuple[str, msgspec.Raw])
    report: Report = msgspec.json.decode(raw, type=_KINDS[kind])
    return report
