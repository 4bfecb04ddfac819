"""One client's connection: frames in a WebSocket, the handshake, then stanzas both ways."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tests.emulator import nodes
from tests.emulator.accounts import Device
from tests.emulator.nodes import SERVER, Jid, Node
from tests.emulator.noise import Cipher, Handshake
from tests.emulator.schemas import ClientPayload

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

log = logging.getLogger(__name__)

_EDGE = b"ED\0\1"
GRACE = 3.0


class Line:
    """A connection. `device` is set by login; while somebody registers, `payload` holds their keys. A `deaf` line stays
    open, hears nothing and says nothing; one that is `entering` is told what waited, and nothing beside that."""

    def __init__(self, emulator: Emulator, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.emulator = emulator
        self.device: Device | None = None
        self.static = b""
        self.payload = ClientPayload()
        self.deaf = False
        self.present = False
        self.entering = False
        self._socket = socket
        self._transport = transport
        self._going: Cipher | None = None
        self._order = asyncio.Lock()
        self._sent = 0

    async def run(self) -> None:
        """Serve the connection to its end."""
        frames = self._frames()
        try:
            coming = await self._shake(frames)
            if await self._enter():
                async for frame in frames:
                    node = nodes.decode(coming.open(frame))
                    log.debug("%s > %r", self, node)
                    if not self.deaf:
                        await self.emulator.hear(self, node)
        finally:
            if self.device is not None:
                if self.device.line is self:
                    self.device.line = None
                await self.emulator.left(self)

    async def send(self, node: Node) -> None:
        """Say something; into the void when the connection is gone."""
        if self.deaf or self._going is None or self._socket.closed:
            return
        log.debug("%s < %r", self, node)
        try:
            async with self._order:
                if node.tag == "message" and self.device is not None:
                    self.device.sent_at.setdefault(node.attrs["id"], time.monotonic_ns())
                await self._put(self._going.seal(nodes.encode(node)))
        except (ConnectionError, RuntimeError):
            log.debug("%s: gone while it was told something", self)

    async def ask(self, xmlns: str, content: list[Node]) -> None:
        """Send the client a request of the server's; its answer is heard as every stanza."""
        self._sent += 1
        attrs = {"from": SERVER, "id": f"s.{id(self) % 9973}.{self._sent}", "type": "set", "xmlns": xmlns}
        await self.send(Node("iq", attrs, content))

    async def end(self, last: Node | None = None) -> None:
        """Close in good order. After a last word the client gets a moment to hear it: it throws away what it has not
        yet looked at when the connection closes."""
        if self.device is not None and self.device.line is self:
            self.device.line = None
        if last is not None:
            await self.send(last)
        self.emulator.spawn(self._close(GRACE if last is not None else 0))

    async def _close(self, after: float) -> None:
        await asyncio.sleep(after)
        await self._socket.close()

    def drop(self) -> None:
        """Break the connection as a failing network does: without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def _enter(self) -> bool:
        if self.payload.HasField("devicePairingData"):
            await self.emulator.register(self)
            return True
        return await self._log_in()

    async def _log_in(self) -> bool:
        account = self.emulator.accounts.get(str(self.payload.username))
        device = account.devices.get(self.payload.device)
        if account.refusal is not None:
            await self.end(Node("failure", {**account.refusal, "location": "lla"}))
            return False
        if device is None or device.noise != self.static:
            await self.end(Node("failure", {"reason": "401", "location": "lla"}))
            return False
        if device.line is not None:
            device.collisions += 1
            await device.line.end(Node("stream:error", {}, [Node("conflict", {"type": "replaced"})]))
        self.device, device.line, self.entering = device, self, True
        device.logins += 1
        now = int(time.time())
        success = {
            "t": now,
            "lid": device.jid(nodes.HIDDEN),
            "creation": now,
            "props": 1,
            "location": "lla",
            "status": "ok",
        }
        await self.send(Node("success", {**success, "group": 1}))
        kinds = {
            kind: sum(node.tag == kind for node in device.waiting) for kind in ("message", "receipt", "notification")
        }
        preview = {"count": len(device.waiting), **kinds, "appdata": 0}
        await self.send(Node("ib", {"from": SERVER}, [Node("offline_preview", preview)]))
        told: list[Node] = []
        await self._tell_waiting(device, told)
        await self.send(Node("ib", {"from": SERVER}, [Node("offline", {"count": len(told)})]))
        await self._tell_waiting(device, told)
        self.entering = False
        return True

    async def _tell_waiting(self, device: Device, told: list[Node]) -> None:
        """Each that waits, once, and what comes meanwhile."""
        while more := [node for node in device.waiting if not any(node is each for each in told)]:
            for node in more:
                told.append(node)
                await self.send(Node(node.tag, {**node.attrs, "offline": 0}, node.content))

    async def _shake(self, frames: AsyncIterator[bytes]) -> Cipher:
        header = await anext(frames)
        handshake = Handshake(header, self.emulator.noise.static, self.emulator.noise.chain)
        await self._put(handshake.answer(await anext(frames)))
        self.static, payload = handshake.finish(await anext(frames))
        self.payload = ClientPayload.FromString(payload)
        coming, self._going = handshake.split()
        return coming

    async def _put(self, frame: bytes) -> None:
        await self._socket.send_bytes(len(frame).to_bytes(3, "big") + frame)

    async def _frames(self) -> AsyncIterator[bytes]:
        """The four first bytes, then every frame."""
        held, begun = b"", False
        async for message in self._socket:
            if message.type != WSMsgType.BINARY:
                continue
            held += message.data
            if not begun:
                if held.startswith(_EDGE):
                    held = held[7 + int.from_bytes(held[4:7], "big") :]
                yield held[:4]
                held, begun = held[4:], True
            while len(held) >= 3 and len(held) >= (end := 3 + int.from_bytes(held[:3], "big")):
                yield held[3:end]
                held = held[end:]

    def __str__(self) -> str:
        who: Jid | str = self.device.jid() if self.device is not None else "somebody new"
        return f"{who}"
