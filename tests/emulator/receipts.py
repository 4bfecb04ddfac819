"""Receipts: what became of a message, told to its sender; and asking again for what could not be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.emulator.accounts import Account, Device
from tests.emulator.nodes import BROADCAST, CHANNEL, GROUP, HIDDEN, Jid, Node
from wagate.engines.sandbox.people import habits

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_TAKEN = (None, "inactive", "sender", "hist_sync", "peer_msg", "retry")
"""The kinds by which a device says that a message has come to it."""

_FOR_THE_SERVER = ("sender", "hist_sync", "peer_msg", "server-error")
_SEEN = ("read", "played", "read-self")


class Receipts:
    """Takes them from readers and carries them to authors."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def hear(self, reader: Device, node: Node) -> None:
        """A device tells what became of messages: acknowledge it, and pass it on to all of the author's devices.

        A `retry` goes to the one device whose message could not be read, keys and all.
        """
        kind, to = node.attrs.get("type"), node.attrs["to"]
        self._settle(reader, node)
        ack = {"class": "receipt", "id": node.attrs["id"], "from": to, "type": kind}
        await reader.deliver(Node("ack", {**ack, "participant": node.attrs.get("participant")}), keep=False)
        if to.server == CHANNEL:
            self._emulator.channels.view(reader, node)
        if kind in _FOR_THE_SERVER or to.server == CHANNEL:
            return
        told, author = self._told(reader, node)
        if kind in _SEEN:
            await self._tell_own(reader, node, told)
        account = self._emulator.accounts.of(author) if author is not None else None
        if account is None or author is None:
            return
        devices = [account.devices.get(author.device)] if kind == "retry" else [*account.devices.values()]
        for device in devices:
            if device is not None and device.noise and device is not reader:
                await device.deliver(Node("receipt", told, node.content))

    async def from_pretend_phone(self, sender: Device, node: Node, account: Account) -> None:
        """A person for whom no session answers: their phone reports delivery, and reading where they do."""
        if account is sender.account or not account.answers_itself or sender.account.number in account.blocked:
            return
        to: Jid = node.attrs["to"]
        group = self._emulator.groups.get(to) if to.server == GROUP else None
        who = (
            {"from": account.jid(to.server)} if group is None else {"from": to, "participant": account.jid(group.mode)}
        )
        for kind in (None, "read") if habits(account.number).reads else (None,):
            attrs = {**who, "id": node.attrs["id"], "type": kind, "t": int(time.time())}
            await sender.deliver(Node("receipt", attrs))

    def _settle(self, reader: Device, node: Node) -> None:
        if node.attrs.get("type") not in _TAKEN:
            return
        more = [item.attrs.get("id") for each in node.all("list") for item in each.all("item")]
        for wire_id in [node.attrs["id"], *filter(None, more)]:
            reader.settle("message", wire_id)

    def _told(self, reader: Device, node: Node) -> tuple[dict[str, Any], Jid | None]:
        """(the receipt as the author gets it, who the author is)."""
        to: Jid = node.attrs["to"]
        told = {"id": node.attrs["id"], "type": node.attrs.get("type"), "t": int(time.time())}
        if to.server not in (GROUP, BROADCAST):
            return {**told, "from": reader.jid(to.server), "recipient": node.attrs.get("recipient")}, to
        group = self._emulator.groups.get(to)
        mode = group.mode if group is not None else HIDDEN
        return {**told, "from": to, "participant": reader.jid(mode)}, node.attrs.get("participant")

    async def _tell_own(self, reader: Device, node: Node, told: dict[str, Any]) -> None:
        """The reader's other devices clear the chat too."""
        to: Jid = node.attrs["to"]
        own = told if to.server in (GROUP, BROADCAST) else {**told, "recipient": to.bare}
        for device in reader.account.companions:
            if device is not reader:
                await device.deliver(Node("receipt", own, node.content))
