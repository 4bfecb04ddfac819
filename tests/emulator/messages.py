"""Ciphertext on its way: each device's share to that device, and acknowledgements back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tests.emulator.accounts import Account, Device, hash_of
from tests.emulator.nodes import BROADCAST, CHANNEL, GROUP, HIDDEN, PHONE, Jid, Node
from wagate.engines.sandbox.groups import may_speak
from wagate.engines.sandbox.people import habits

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_CARRIED = ("device-identity", "meta", "biz", "bot", "reporting")
REACH_OUT = 463
SLOW = 2.0
_BY_AN_ADMIN = "8"
_ORDINARY = "9990"


class Messages:
    """The post office. `seen`: every message that came in, as (sender, node).

    A message is carried once for its id, however often it comes: a client that lost its line before the acknowledgement
    sends the same bytes again. Whose number says so refuses, breaks the line, answers late or never, as in the sandbox.

    For tests: `ack_delay` seconds pass before an acknowledgement; the next `lose_acks` never come; the next `spoil`
    copies of messages arrive unreadable.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.seen: list[tuple[Device, Node]] = []
        self.ack_delay = 0.0
        self.lose_acks = 0
        self._carried: set[tuple[str, str]] = set()
        self.spoil = 0

    async def hear(self, sender: Device, node: Node) -> None:
        """A device sends a message: judge it, acknowledge it, carry it."""
        self.seen.append((sender, node))
        to: Jid = node.attrs["to"]
        if to.server == CHANNEL:
            said = await self._emulator.channels.hear(sender, node)
            ack = {"class": "message", "id": node.attrs["id"], "from": to, "t": int(time.time()), **said}
            await self._acknowledge(sender, Node("ack", ack))
            return
        shares = _shares(node)
        recipients, error = self._recipients(sender, to)
        ack = {"class": "message", "id": node.attrs["id"], "from": to, "t": int(time.time())}
        if node.attrs.get("edit") == _BY_AN_ADMIN and not self._is_admin(sender, to):
            error = error or 401
        if error:
            await self._acknowledge(sender, Node("ack", {**ack, "error": error}))
            return
        if self._is_stale(sender, recipients, node, shares):
            ack["phash"] = "2:stale"
        for account in recipients:
            account.known.add(sender.account.number)
            sender.account.known.add(account.number)
        key = (sender.account.number, node.attrs["id"])
        again = key in self._carried and bool(shares)
        self._carried.add(key)
        if not again:
            await self._carry(sender, node, recipients, shares)
        nature = habits(recipients[0].number if to.server in (PHONE, HIDDEN) else _ORDINARY)
        if nature.loses_ack:
            return
        if nature.breaks and not again:
            if sender.line is not None:
                sender.line.drop()
            return
        await self._acknowledge(sender, Node("ack", ack), late=SLOW if nature.slow else 0)
        if to.server in (PHONE, HIDDEN):
            await self._emulator.receipts.from_pretend_phone(sender, node, recipients[0])
        elif to.server == GROUP and not again:
            for account in recipients:
                await self._emulator.receipts.from_pretend_phone(sender, node, account)

    async def _acknowledge(self, sender: Device, ack: Node, *, late: float = 0) -> None:
        if self.lose_acks:
            self.lose_acks -= 1
            return
        if late or self.ack_delay:
            self._emulator.spawn(self._acknowledge_late(sender, ack, late or self.ack_delay))
        else:
            await sender.deliver(ack, keep=False)

    async def _acknowledge_late(self, sender: Device, ack: Node, after: float) -> None:
        await asyncio.sleep(after)
        await sender.deliver(ack, keep=False)

    def _recipients(self, sender: Device, to: Jid) -> tuple[list[Account], int]:
        """(whom it goes to, why it is refused)."""
        accounts, own = self._emulator.accounts, sender.account
        if to.server == GROUP:
            group = self._emulator.groups.get(to)
            if group is None:
                return [], 404
            if not may_speak(group.truth, own.number):
                return [], 403 if own.number not in group.truth.members else 401
            return [accounts.get(number) for number in group.truth.members], 0
        if to.server == BROADCAST:
            return [own], 0
        account = accounts.of(to)
        if account is None:
            return [], 404
        stranger = account is not own and account.number not in own.known
        if habits(account.number).refuses or (own.timelocked and stranger):
            return [], REACH_OUT
        return [account] if account is own else [account, own], 0

    def _is_admin(self, sender: Device, to: Jid) -> bool:
        group = self._emulator.groups.get(to) if to.server == GROUP else None
        return group is not None and group.truth.members.get(sender.account.number, "member") != "member"

    def _is_stale(self, sender: Device, recipients: list[Account], node: Node, shares: dict[Jid, list[Node]]) -> bool:
        """Whether the sender does not know every device that the message must reach."""
        expected = [device for account in recipients for device in account.devices.values() if device is not sender]
        if "phash" in node.attrs and node.attrs["to"].server == GROUP:
            modes = (HIDDEN, PHONE)
            known = [
                hash_of([device.jid(mode) for device in [*expected, *extra]])
                for mode in modes
                for extra in ([], [sender])
            ]
            return node.attrs["phash"] not in known
        reached = {self._emulator.accounts.device(jid) for jid in shares}
        return bool(shares) and not set(expected) <= reached

    async def _carry(
        self, sender: Device, node: Node, recipients: list[Account], shares: dict[Jid, list[Node]]
    ) -> None:
        """Deliver each device's share. In a group everybody gets the common part as well."""
        to: Jid = node.attrs["to"]
        common = node.all("enc")
        carried = [child for child in node.children if child.tag in _CARRIED]
        mine = {self._emulator.accounts.device(jid): share for jid, share in shares.items()}
        if isinstance(alone := node.attrs.get("participant"), Jid):
            # The answer to a retry: for the device that could not read it.
            mine = {self._emulator.accounts.device(alone): common}
        elif to.server == GROUP:
            reached = [device for account in recipients for device in account.devices.values()]
            mine = {device: [*mine.get(device, []), *common] for device in reached}
        elif not shares and common:
            # To one device alone: the own phone, or the answer to a retry.
            mine = {self._emulator.accounts.device(to): common}
        elif to.server == BROADCAST:
            mine = {device: [*share, *common] for device, share in mine.items()}
        for device, share in mine.items():
            if device is None or device is sender or not share or not device.noise:
                continue
            if to.server in (PHONE, HIDDEN) and sender.account.number in device.account.blocked:
                continue
            if self.spoil:
                self.spoil -= 1
                share = [Node(each.tag, each.attrs, _spoilt(each.bytes)) for each in share]
            attrs = self._address(sender, device, node)
            await device.deliver(Node("message", attrs, [*share, *carried]))

    def _address(self, sender: Device, device: Device, node: Node) -> dict[str, Any]:
        """From whom a copy of the message comes, as this device sees it."""
        to: Jid = node.attrs["to"]
        attrs = {name: node.attrs.get(name) for name in ("id", "type", "edit", "category", "push_priority")}
        attrs |= {"t": int(time.time()), "notify": sender.account.name}
        if to.server in (GROUP, BROADCAST):
            group = self._emulator.groups.get(to)
            mode = group.mode if group is not None else HIDDEN
            other = {"participant_pn" if mode == HIDDEN else "participant_lid": sender.account.jid(_other(mode))}
            return {**attrs, "from": to, "participant": sender.jid(mode), "addressing_mode": _named(mode), **other}
        mode = to.server
        if device.account is sender.account:
            peer = self._emulator.accounts.of(to)
            known = {} if peer is None else {_peer(mode): peer.jid(_other(mode))}
            return {**attrs, "from": sender.jid(mode), "recipient": to.bare, **known}
        other = {"sender_pn" if mode == HIDDEN else "sender_lid": sender.account.jid(_other(mode))}
        return {**attrs, "from": sender.jid(mode), "addressing_mode": _named(mode), **other}


def _spoilt(ciphertext: bytes) -> bytes:
    """One bit is other than it was: in the middle, as the ends of a first message hold what nobody checks."""
    middle = len(ciphertext) // 2
    return ciphertext[:middle] + bytes([ciphertext[middle] ^ 1]) + ciphertext[middle + 1 :]


def _shares(node: Node) -> dict[Jid, list[Node]]:
    participants = node.first("participants")
    return {} if participants is None else {each.attrs["jid"]: each.all("enc") for each in participants.all("to")}


def _other(mode: str) -> str:
    return PHONE if mode == HIDDEN else HIDDEN


def _peer(mode: str) -> str:
    return "peer_recipient_pn" if mode == HIDDEN else "peer_recipient_lid"


def _named(mode: str) -> str:
    return "lid" if mode == HIDDEN else "pn"
