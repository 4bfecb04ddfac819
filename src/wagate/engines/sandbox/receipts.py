"""How far each copy of a message came, and how its author hears of it."""

from __future__ import annotations

from collections.abc import Iterable

from wagate.engines.sandbox.frames import LEVELS, Changes, Sent, Status
from wagate.engines.sandbox.lines import Told
from wagate.engines.sandbox.network import Network, encode_report
from wagate.engines.sandbox.people import jid_of, lid_of
from wagate.model.jid import is_lid
from wagate.model.messages import Receipt

Move = tuple[Sent, str, Status]
"""A copy moves on: the message, whose copy, how far."""


class Receipts:
    """Moves copies on and tells the authors' sessions: those online from memory, the others through the store."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._history = network.history

    async def progress(self, moves: Iterable[Move], changes: Changes, *, lasting: bool = True) -> None:
        """Move copies on, never back, and tell their authors; `changes` are put with it.

        Not `lasting`: the records are not written, because the next move follows by itself and writes them.
        """
        undo: list[Move] = []
        moved: dict[str, Sent] = {}
        told: dict[tuple[str, str, str, Status], list[Sent]] = {}
        for sent, number, status in moves:
            before = sent.copies.get(number)
            if before is None or LEVELS[before] >= LEVELS[status]:
                continue
            undo.append((sent, number, before))
            sent.copies[number] = status
            if lasting and not self._history.let_go(sent):
                moved[sent.key] = sent
            if not sent.silent and sent.author in self.network.devices_of:
                told.setdefault((sent.author, sent.address, number, status), []).append(sent)
        for key, sent in moved.items():
            changes[key] = self._history.save(sent)
        try:
            await self._tell(told, changes)
        except BaseException:
            for sent, number, before in undo:
                sent.copies[number] = before
            raise

    async def retell(self, messages: Iterable[Sent]) -> None:
        """The authors may not know yet how far the copies came."""
        known: dict[tuple[str, str, str, Status], list[Sent]] = {}
        for sent in messages:
            if sent.author in self.network.devices_of:
                for number, status in sent.copies.items():
                    if status != "sent":
                        known.setdefault((sent.author, sent.address, number, status), []).append(sent)
        await self._tell(known, {})

    async def _tell(self, told: dict[tuple[str, str, str, Status], list[Sent]], changes: Changes) -> None:
        """Put the changes, then the receipts on the authors' lines; in the same put for those who are offline."""
        network, now = self.network, self.network.clock.now()
        now_told: list[tuple[str, Told]] = []
        later: list[str] = []
        for (author, chat, number, status), messages in told.items():
            receipt = Receipt(
                chat=chat,
                wire_ids=[sent.wire_id for sent in messages],
                status="played" if status == "played" else "read" if status == "read" else "delivered",
                timestamp=now,
                sender=lid_of(number) if is_lid(chat) else jid_of(number),
            )
            for session in network.devices_of[author]:
                line = network.lines.get(session)
                if line is not None and line.online:
                    now_told.append((session, Told(receipt, tuple(sent.frame for sent in messages))))
                else:
                    network.keep(session, encode_report(receipt), changes)
                    later.append(session)
        if changes:
            await network.commit(changes)
        network.wake(later)
        for session, each in now_told:
            for frame in each.frames:
                self._history.unsettled.hold(frame)
            line = network.lines.get(session)
            if line is not None and line.online:
                line.offer(each)
            else:
                network.spawn(network.park(session, [each]))
