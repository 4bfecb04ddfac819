"""How a message goes over the pretend network: accepted once, copied to every phone, answered by receipts.

A message is accepted in one put: its record, its frame, and what the recipients' sessions get. The same wire id by the
same author is the same message: another frame, nothing else. Phones of people without a session answer by themselves
after a while; sessions answer when their gateway has committed, and when it says that the message was read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from wagate.engines.base import Arrived, Report
from wagate.engines.sandbox.acceptance import Acceptance, Draft
from wagate.engines.sandbox.frames import LEVELS, Changes, Sent, Unsettled
from wagate.engines.sandbox.habitual import answer_to
from wagate.engines.sandbox.lanes import Lane
from wagate.engines.sandbox.lines import Kept, Told
from wagate.engines.sandbox.network import Network
from wagate.engines.sandbox.people import habits, jid_of, number_of
from wagate.engines.sandbox.receipts import Move, Receipts
from wagate.errors import Refused
from wagate.model.jid import is_group
from wagate.model.sandbox import Frame

Step = tuple[Sent, tuple[str, ...]]


class Carrier:
    """Accepts messages and moves their copies on, for one network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.receipts = Receipts(network)
        self._history = network.history
        self._accepting: dict[tuple[str, str], asyncio.Task[list[Sent]]] = {}
        self._answering = Unsettled()
        self._acceptance = Acceptance(network, self.receipts)
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

    async def accept(self, draft: Draft) -> list[Sent]:
        """Commit a message, or all of an album at once; what it is kept as. It is finished even if the caller is
        cancelled.
        """
        key = (draft.wire_id, draft.author)
        while (earlier := self._accepting.get(key)) is not None:
            await asyncio.wait([earlier])
        task = self._accepting[key] = self.network.spawn(self._acceptance.take(draft))
        task.add_done_callback(lambda _: self._accepting.pop(key, None))
        try:
            return await self.network.outlast(task)
        except asyncio.CancelledError:
            # The network carries on: the phones answer, though nobody waits for the acknowledgement.
            task.add_done_callback(self._answer_orphan)
            raise

    def _answer_orphan(self, task: asyncio.Task[list[Sent]]) -> None:
        if not task.cancelled() and task.exception() is None and not self.network.released:
            for sent in task.result():
                self.answer(sent)

    async def refuse(self, draft: Draft) -> None:
        """The network says no: it saw the frame, and nobody else does."""
        await self._acceptance.refuse(draft)

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
        if sent.frame in self._acceptance.unanswered:
            self._acceptance.unanswered.discard(sent.frame)
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
        for number in numbers:
            if (content := answer_to(sent, number)) is None:
                continue
            # The id follows from the message, so that an echo after a restart is the same echo.
            wire_id = "ECHO" + self.network.derive(f"echo {sent.key}", 16).upper()
            if await self._history.find(wire_id, number) is not None:
                continue
            chat = sent.chat if is_group(sent.chat) else jid_of(sent.author)
            draft = Draft(wire_id=wire_id, author=number, chat=chat, content=content, echo=True)
            # Whoever may no longer write there says nothing.
            with contextlib.suppress(Refused):
                for echo in await self.accept(draft):
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
        if not isinstance(report, Arrived) or report.from_me or report.history:
            return None
        return await self._history.find(report.wire_id, number_of(report.sender or report.sender_lid or "") or "")
