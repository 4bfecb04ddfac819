"""Who is online and who types."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.emulator.accounts import Account, Device
from tests.emulator.nodes import GROUP, HIDDEN, Jid, Node

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator


class Presence:
    """Who watches whom, and in which form they named them."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._watchers: dict[str, dict[Device, Jid]] = {}

    def clear(self) -> None:
        """Nobody watches anybody, for the next story."""
        self._watchers.clear()

    def gone(self, device: Device) -> None:
        """A line has ended, and with it what its device asked to see."""
        for watchers in self._watchers.values():
            watchers.pop(device, None)

    async def show(self, account: Account, *, online: bool) -> None:
        """Somebody takes up their phone, or puts it down."""
        account.shown = online
        await self.changed(account)

    async def type(self, account: Account, *, on: bool) -> None:
        """Somebody begins or ceases to write on their phone, in the chat with each who watches them."""
        told = Node("chatstate", {"from": account.jid(HIDDEN)}, [Node("composing" if on else "paused")])
        for device in list(self._watchers.get(account.number, {})):
            if not _apart(device.account, account):
                await device.deliver(told, keep=False)

    async def hear(self, device: Device, node: Node) -> None:
        """A device shows itself, hides, or wants to see somebody."""
        kind = node.attrs.get("type", "available")
        if kind in ("subscribe", "unsubscribe"):
            account = self._emulator.accounts.of(node.attrs["to"])
            if account is None:
                return
            watchers = self._watchers.setdefault(account.number, {})
            if kind == "unsubscribe":
                watchers.pop(device, None)
                return
            watchers[device] = node.attrs["to"].bare
            if _apart(device.account, account):
                return
            await device.deliver(_shown(account, watchers[device]), keep=False)
            return
        if device.line is None:
            return
        if name := node.attrs.get("name"):
            device.account.name = name
        device.line.present = kind == "available"
        await self.changed(device.account)

    async def changed(self, account: Account) -> None:
        """Tell everybody who watches this person."""
        if not _present(account):
            account.last_seen = int(time.time())
        for device, jid in list(self._watchers.get(account.number, {}).items()):
            if not _apart(device.account, account):
                await device.deliver(_shown(account, jid), keep=False)

    async def typing(self, device: Device, node: Node) -> None:
        """Somebody types, records, or stops: told to who is there, kept for nobody."""
        to: Jid = node.attrs["to"]
        if to.server == GROUP:
            group = self._emulator.groups.get(to)
            if group is None or device.account.number not in group.truth.members:
                return
            sender = device.account.jid(group.mode)
            told = Node("chatstate", {"from": to, "participant": sender}, node.content)
            people = [self._emulator.accounts.get(number) for number in group.truth.members]
        else:
            account = self._emulator.accounts.of(to)
            people = [account] if account is not None else []
            mode = HIDDEN if to.server == HIDDEN else to.server
            told = Node("chatstate", {"from": device.account.jid(mode)}, node.content)
        for person in people:
            if person is not device.account and not _apart(person, device.account):
                for each in person.online:
                    await each.deliver(told, keep=False)


def _apart(one: Account, other: Account) -> bool:
    """Whether one of two blocks the other: neither hears where the other is."""
    return one.number in other.blocked or other.number in one.blocked


def _present(account: Account) -> bool:
    return account.shown or any(device.line is not None and device.line.present for device in account.online)


def _shown(account: Account, jid: Jid) -> Node:
    if _present(account):
        return Node("presence", {"from": jid})
    last = account.last_seen or "deny"
    return Node("presence", {"from": jid, "type": "unavailable", "last": last})
