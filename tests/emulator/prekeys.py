"""The keys by which devices begin to talk with one another: uploaded, counted, compared, handed out once each."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from tests.emulator.accounts import Device
from tests.emulator.nodes import Node
from tests.emulator.refusals import Refusal

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_CURVE = b"\x05"


async def answer(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Requests of `encrypt`."""
    if request.first("count") is not None:
        return [Node("count", {"value": len(device.prekeys) or emulator.first_count})]
    if request.first("digest") is not None:
        return [_digest(device)]
    if (rotated := request.first("rotate")) is not None:
        device.signed = _signed(rotated.need("skey"))
        return []
    if (wanted := request.first("key")) is not None:
        return [Node("list", {}, [_bundle(emulator, user) for user in wanted.all("user")])]
    if (uploaded := request.first("list")) is not None:
        device.identity = request.need("identity").bytes
        device.registration = request.need("registration").bytes
        device.signed = _signed(request.need("skey"))
        device.prekeys |= {key.need("id").bytes: key.need("value").bytes for key in uploaded.all("key")}
        return []
    raise Refusal(501)


def _signed(node: Node) -> tuple[bytes, bytes, bytes]:
    return node.need("id").bytes, node.need("value").bytes, node.need("signature").bytes


def _digest(device: Device) -> Node:
    if device.signed is None:
        raise Refusal(404)
    number, value, signature = device.signed
    parts = [device.identity, value, signature, *device.prekeys.values()]
    return Node(
        "digest",
        {},
        [
            Node("registration", {}, device.registration),
            Node("type", {}, _CURVE),
            Node("identity", {}, device.identity),
            _skey(number, value, signature),
            Node("list", {}, [Node("id", {}, each) for each in device.prekeys]),
            Node("hash", {}, hashlib.sha1(b"".join(parts)).digest()),
        ],
    )


def _skey(number: bytes, value: bytes, signature: bytes) -> Node:
    return Node("skey", {}, [Node("id", {}, number), Node("value", {}, value), Node("signature", {}, signature)])


def _bundle(emulator: Emulator, user: Node) -> Node:
    """One device's keys; a one-time key leaves the store for ever."""
    jid = user.attrs["jid"]
    device = emulator.accounts.device(jid)
    if device is None or device.signed is None:
        return Node("user", {"jid": jid}, [Node("error", {"code": 404, "text": "item-not-found"})])
    content = [
        Node("registration", {}, device.registration),
        Node("type", {}, _CURVE),
        Node("identity", {}, device.identity),
        _skey(*device.signed),
    ]
    if device.prekeys:
        number = next(iter(device.prekeys))
        key = device.prekeys.pop(number)
        content.insert(3, Node("key", {}, [Node("id", {}, number), Node("value", {}, key)]))
        if len(device.prekeys) < emulator.few_prekeys:
            emulator.ask_for_prekeys(device)
    return Node("user", {"jid": jid, "t": int(time.time())}, content)
