"""How a message goes over the pretend network: accepted once, copied to every phone, answered by receipts.

A message is accepted in one put: its record, its frame, and what the recipients' sessions get. The same wire id by the
same author is the same message: another frame, nothing else. Phones of people without a session answer by themselves
after a while; sessions answer when their gateway has committed, and when it says that the message was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET

from wagate.engines.base import Arrived, Report
from wagate.engines.sandbox.frames import LEVELS, Changes, Sent, Unsettled
from wagate.engines.sandbox.groups import Group, may_speak
from wagate.engines.sandbox.lanes import Lane
from wagate.engines.sandbox.lines import Kept, Told
from wagate.engines.sandbox.network import Network, encode_report
from wagate.engines.sandbox.people import default_name, habits, jid_of, lid_of, number_of
from wagate.engines.sandbox.receipts import Move, Receipts
from wagate.errors import Refused
from wagate.model.jid import is_group
from wagate.model.messages import Content, TextContent
from wagate.model.sandbox import Frame

Step = tuple[Sent, tuple[str, ...]]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way in. `session` sent it, or nobody's session did; `silent`: the author will not hear of it."""

    wire_id: str
    author: str
    chat: str
    content: Content
    session: str | None = None
    silent: bool = False
    echo: bool = False


class Carrier:
    """Accepts messages and moves their copies on, for one network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.receipts = Receipts(network)
        self._history = network.history
        self._accepting: dict[tuple[str, str], asyncio.Task[tuple[Sent, bool]]] = {}
        self._answering = Unsettled()
        self._unanswered: set[int] = set()
        clock, timing = network.clock, network.timing
        self._deliveries: Lane[Step] = Lane(timing.delivered, self._deliver, clock=clock, retry=timing.retry)
        self._readings: Lane[Step] = Lane(timing.read, self._read, clock=clock, retry=timing.retry)

    async def stop(self) -> None:
        """Stop the phones; the next `resume` goes on where they were."""
        await self._deliveries.stop()
        await self._readings.stop()

    async def resume(self, frames: list[Frame]) -> None:
        """After a restart: tell again what may not have been told, and let the phones go on."""
        found = [await self._history.of(frame) for frame in frames]
        acknowledged = [sent for sent in found if sent is not None and not sent.silent]
        await self.receipts.retell(acknowledged)
        for sent in acknowledged:
            self.answer(sent)
        for number, person in self.network.people.items():
            if person.online:
                await self.switch_on(number)

    def destination(self, author: str, chat: str) -> Group | str:
        """The group or the number that a canonical chat JID means for this author.

        Raises:
            Refused: the author may not write there, or nobody is there.
        """
        if is_group(chat):
            group = self.network.groups.get(chat)
            if group is None or not may_speak(group, author):
                raise Refused("not allowed to send to this group", waCode=403)
            return group
        number = number_of(chat)
        if number is None or not self.network.exists(number):
            raise Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=404)
        return number

    async def accept(self, draft: Draft) -> tuple[Sent, bool]:
        """Commit a message; itself, and whether it is a new one. It is finished even if the caller is cancelled."""
        key = (draft.wire_id, draft.author)
        while (earlier := self._accepting.get(key)) is not None:
            await asyncio.wait([earlier])
        task = self._accepting[key] = self.network.spawn(self._accept(draft))
        task.add_done_callback(lambda _: self._accepting.pop(key, None))
        try:
            return await self.network.outlast(task)
        except asyncio.CancelledError:
            # The network carries on: the phones answer, though nobody waits for the acknowledgement.
            task.add_done_callback(self._answer_orphan)
            raise

    def _answer_orphan(self, task: asyncio.Task[tuple[Sent, bool]]) -> None:
        if not task.cancelled() and task.exception() is None and not self.network.released:
            self.answer(task.result()[0])

    async def _accept(self, draft: Draft) -> tuple[Sent, bool]:
        sent = await self._history.find(draft.wire_id, draft.author)
        if sent is not None:
            await self._repeat(draft, sent)
            return sent, False
        to = self.destination(draft.author, draft.chat)
        now = self.network.clock.now()
        frame, changes = self._history.next("message", now, **self._parts(draft))
        sent = Sent(
            wire_id=draft.wire_id,
            author=draft.author,
            chat=to.jid if isinstance(to, Group) else jid_of(to),
            content=draft.content,
            timestamp=now,
            frame=frame,
            copies=dict.fromkeys(self._recipients(draft.author, to), "sent"),
            silent=draft.silent,
            echo=draft.echo,
        )
        self._history.expect(sent.wire_id, sent.author)
        changes[sent.key] = self._history.save(sent)
        sessions = self._keep_copies(sent, draft.session, changes)
        try:
            await self.network.commit(changes)
        except BaseException:
            self._history.drop(sent)
            self._history.unsettled.free(frame)
            raise
        self.network.wake(sessions)
        if sent.silent:
            self._history.unsettled.free(frame)
        else:
            self._unanswered.add(frame)
        return sent, True

    async def _repeat(self, draft: Draft, sent: Sent) -> None:
        frame, changes = self._history.next("message", self.network.clock.now(), **self._parts(draft))
        was_silent, sent.silent = sent.silent, sent.silent and draft.silent
        try:
            if was_silent != sent.silent:
                changes[sent.key] = self._history.save(sent)
            await self.network.commit(changes)
            if was_silent != sent.silent:
                await self.receipts.retell([sent])
        except BaseException:
            sent.silent = was_silent
            raise
        finally:
            self._history.unsettled.free(frame)

    def _parts(self, draft: Draft) -> dict[str, object]:
        session = UNSET if draft.session is None else draft.session
        return {
            "session": session,
            "wa_message_id": draft.wire_id,
            "from_": jid_of(draft.author),
            "to": draft.chat,
        }

    async def refuse(self, draft: Draft) -> None:
        """The network says no: it saw the frame, and nobody else does."""
        _, changes = self._history.next("refused", self.network.clock.now(), **self._parts(draft))
        await self.network.commit(changes)

    def _recipients(self, author: str, to: Group | str) -> list[str]:
        numbers = [number for number in to.members if number != author] if isinstance(to, Group) else [to]
        # Who blocks does it to everybody: no copy ever reaches their phone.
        return [number for number in numbers if number == author or not self.network.somebody(number).blocked]

    def _keep_copies(self, sent: Sent, session: str | None, changes: Changes) -> list[str]:
        """What the sessions of recipients and of the author get, and what waits for phones that are off."""
        devices_of, keep = self.network.devices_of, self.network.keep
        sessions: list[str] = []
        theirs = ""
        for number in sent.copies:
            if number == sent.author:
                continue
            if devices := devices_of.get(number):
                theirs = theirs or encode_report(self.seen_by(sent, number))
                for device in devices:
                    keep(device, theirs, changes)
                sessions += devices
            elif not self.network.answers(number):
                changes[f"o/{number}/{sent.frame:012d}"] = sent.key
        others = [device for device in devices_of.get(sent.author, ()) if device != session]
        if others:
            own = encode_report(self.seen_by(sent, sent.author))
            for device in others:
                keep(device, own, changes)
        return sessions + others

    def seen_by(self, sent: Sent, number: str, *, history: bool = False) -> Arrived:
        """The message as a session of this number gets it."""
        from_me = number == sent.author
        return Arrived(
            wire_id=sent.wire_id,
            chat=sent.chat if from_me or is_group(sent.chat) else jid_of(sent.author),
            from_me=from_me,
            timestamp=sent.timestamp,
            content=sent.content,
            sender=jid_of(sent.author),
            sender_lid=lid_of(sent.author),
            push_name=self.network.name(sent.author) or default_name(sent.author),
            history=history,
        )

    # What becomes of the copies.

    def answer(self, sent: Sent) -> None:
        """The author has the acknowledgement: phones of people without a session begin to answer. Idempotent."""
        if sent.silent or sent.frame in self._answering:
            return
        network, author = self.network, sent.author
        phones = tuple(
            number
            for number in sent.copies
            if (network.phone_is_on(number) if number == author else network.answers(number))
        )
        self._start(sent, phones)
        if sent.frame in self._unanswered:
            self._unanswered.discard(sent.frame)
            self._history.unsettled.free(sent.frame)

    def _start(self, sent: Sent, phones: tuple[str, ...]) -> None:
        arriving = tuple(number for number in phones if LEVELS[sent.copies[number]] < LEVELS["delivered"])
        # An echo may be owed although it was read: a crash can come in between.
        reading = tuple(
            number
            for number in phones
            if habits(number).reads and (LEVELS[sent.copies[number]] < LEVELS["read"] or habits(number).echoes)
        )
        if arriving:
            self._hold(sent)
            self._deliveries.put((sent, arriving))
        if reading:
            self._hold(sent)
            self._readings.put((sent, reading))

    async def switch_on(self, number: str) -> None:
        """A phone that was off takes what waited for it."""
        while rows := await self.network.store.page(f"o/{number}/", limit=500):
            changes: Changes = dict.fromkeys((key for key, _ in rows), None)
            found = [await self._history.find(*record[2:].rsplit("/", 1)) for _, record in rows]
            waited = [sent for sent in found if sent is not None and number in sent.copies]
            await self.receipts.progress([(sent, number, "delivered") for sent in waited], changes)
            for sent in waited:
                self._start(sent, (number,) if not sent.silent else ())

    async def _deliver(self, steps: list[Step]) -> None:
        passing: list[Move] = []
        lasting: list[Move] = []
        for sent, numbers in steps:
            for number in numbers:
                (passing if habits(number).reads else lasting).append((sent, number, "delivered"))
        # Who reads it in a moment has it written down then; after a crash in between, they get it once more.
        await self.receipts.progress(passing, {}, lasting=False)
        await self.receipts.progress(lasting, {})
        self._free(steps)

    async def _read(self, steps: list[Step]) -> None:
        await self.receipts.progress([(sent, number, "read") for sent, numbers in steps for number in numbers], {})
        for sent, numbers in steps:
            await self._echo(sent, numbers)
        self._free(steps)

    def _hold(self, sent: Sent) -> None:
        self._history.unsettled.hold(sent.frame)
        self._answering.hold(sent.frame)

    def _free(self, steps: list[Step]) -> None:
        for sent, _ in steps:
            self._history.unsettled.free(sent.frame)
            self._answering.free(sent.frame)

    async def _echo(self, sent: Sent, numbers: Iterable[str]) -> None:
        if sent.echo or is_group(sent.chat) or not isinstance(sent.content, TextContent):
            return
        for number in numbers:
            if habits(number).echoes and number != sent.author:
                # The id follows from the message, so that an echo after a restart is the same echo.
                wire_id = "ECHO" + self.network.derive(f"echo {sent.key}", 16).upper()
                if await self._history.find(wire_id, number) is not None:
                    continue
                content = TextContent(text=sent.content.text)
                draft = Draft(wire_id=wire_id, author=number, chat=jid_of(sent.author), content=content, echo=True)
                echo, _ = await self.accept(draft)
                self.answer(echo)

    async def taken(self, session: str, kept: Sequence[Kept]) -> None:
        """A session's gateway has committed these."""
        device = self.network.devices.get(session)
        moves: list[Move] = []
        for _, report in kept:
            if device is not None and (sent := await self._arrived(report)) is not None:
                moves.append((sent, device.number, "delivered"))
        await self.receipts.progress(moves, dict.fromkeys((key for key, _ in kept), None))

    def told(self, receipts: Sequence[Told]) -> None:
        """A session's gateway has committed these, which nothing in the store tells of."""
        for each in receipts:
            for frame in each.frames:
                self._history.unsettled.free(frame)

    async def _arrived(self, report: Report) -> Sent | None:
        if not isinstance(report, Arrived) or report.from_me or report.history or not report.sender:
            return None
        return await self._history.find(report.wire_id, number_of(report.sender) or "")
