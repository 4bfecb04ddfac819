"""Calls: somebody's phone rings, until it is rejected or the caller hangs up. Nobody ever talks."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulator.accounts import Account, Device
from tests.emulator.nodes import HIDDEN, Node

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator
    from tests.emulator.groups import Gathering


@dataclass
class Call:
    """A call. `ended`: how, once it has: `rejected`, `hung up`."""

    identity: str
    caller: Account
    callee: Account
    video: bool = False
    ended: str = ""


class Calls:
    """Every call, by its id."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._all: dict[str, Call] = {}

    async def ring(self, caller: Account, callee: Account, *, video: bool) -> Call:
        """Let somebody's companions ring."""
        call = Call(secrets.token_hex(16).upper(), caller, callee, video)
        self._all[call.identity] = call
        sound = [Node("audio", {"enc": "opus", "rate": rate}) for rate in (16000, 8000)]
        picture = [Node("video", {"enc": "vp8", "dec": "vp8", "orientation": 0})] if video else []
        await self._tell(call, "offer", {}, [*sound, *picture, Node("net", {"medium": 3})])
        return call

    async def ring_group(self, caller: Account, group: Gathering, *, video: bool) -> None:
        """Let the companions of all other members ring."""
        identity = secrets.token_hex(16).upper()
        for number in group.truth.members:
            if number != caller.number:
                call = Call(identity, caller, self._emulator.accounts.get(number), video)
                await self._tell(call, "offer", {"group-jid": group.jid}, [Node("net", {"medium": 3})])

    async def hang_up(self, call: Call) -> None:
        """The caller gives up."""
        call.ended = "hung up"
        await self._tell(call, "terminate", {"reason": "timeout"}, [])

    async def hear(self, device: Device, node: Node) -> None:
        """A companion has something to say about a call: acknowledge it, and end what it rejects."""
        await device.deliver(
            Node("ack", {"class": "call", "id": node.attrs["id"], "from": node.attrs["to"]}), keep=False
        )
        for said in node.all("reject"):
            if (call := self._all.get(said.attrs["call-id"])) is not None:
                call.ended = "rejected"

    async def _tell(self, call: Call, what: str, attrs: dict[str, Any], content: list[Node]) -> None:
        if call.caller.number in call.callee.blocked:
            return
        creator = call.caller.jid(HIDDEN)
        said = Node(what, {"call-id": call.identity, "call-creator": creator, **attrs}, content or None)
        for device in call.callee.companions:
            head = {"from": creator, "id": secrets.token_hex(8), "t": int(time.time()), "notify": call.caller.name}
            await device.deliver(Node("call", {**head, "platform": "android", "version": "2.26.1"}, [said]))
