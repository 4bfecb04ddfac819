"""What clients say, and who answers it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.emulator import graphql, people, prekeys, states
from tests.emulator.accounts import Device
from tests.emulator.lines import Line
from tests.emulator.nodes import SERVER, Node
from tests.emulator.persons import remove
from tests.emulator.refusals import Refusal

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

log = logging.getLogger(__name__)

Answer = Callable[["Emulator", Device, Node], Awaitable[list[Node]]]


async def _media(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    return emulator.media.connection()


async def _groups(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    return await emulator.group_requests.answer(device, request)


async def _channels(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    return await emulator.channels.answer(device, request)


ANSWERS: dict[str, Answer] = {
    "blocklist": people.blocklist,
    "disappearing_mode": people.nothing,
    "newsletter": _channels,
    "encrypt": prekeys.answer,
    "passive": people.nothing,
    "privacy": people.privacy,
    "status": people.audience,
    "tos": people.nothing,
    "urn:xmpp:whatsapp:dirty": people.nothing,
    "urn:xmpp:whatsapp:push": people.nothing,
    "usync": people.usync,
    "w:g2": _groups,
    "w:m": _media,
    "w:mex": graphql.answer,
    "w:p": people.nothing,
    "w:profile:picture": people.picture,
    "w:sync:app:state": states.answer,
}
"""Who answers the requests of a namespace."""


async def hear(emulator: Emulator, line: Line, node: Node) -> None:
    """Place one stanza. What cannot be placed is noted, and a request answered as not implemented."""
    try:
        if node.tag == "iq":
            await _request(emulator, line, node)
        else:
            await _stanza(emulator, line, node)
    except (ValueError, KeyError):
        log.exception("%s said what nobody expected: %r", line, node)
        emulator.unknown.append(f"{line}: {node!r}")
        if node.tag == "iq" and node.attrs.get("type") in ("get", "set"):
            error = Node("error", {"code": 400, "text": "bad-request"})
            await line.send(Node("iq", {"id": node.attrs.get("id"), "from": SERVER, "type": "error"}, [error]))


async def _stanza(emulator: Emulator, line: Line, node: Node) -> None:
    if node.tag == "ib":
        return
    device = line.device
    if device is None:
        if node.tag != "ack":
            emulator.unknown.append(f"before login: {node!r}")
    elif node.tag == "message":
        await emulator.messages.hear(device, node)
    elif node.tag == "receipt":
        await emulator.receipts.hear(device, node)
    elif node.tag == "ack":
        like = {name: node.attrs.get(name) for name in ("type", "participant")}
        device.settle(node.attrs["class"], node.attrs["id"], like if node.attrs["class"] == "receipt" else None)
    elif node.tag == "presence":
        await emulator.presence.hear(device, node)
    elif node.tag == "chatstate":
        await emulator.presence.typing(device, node)
    elif node.tag == "call":
        await emulator.calls.hear(device, node)
    else:
        emulator.unknown.append(f"{line}: {node!r}")


async def _request(emulator: Emulator, line: Line, node: Node) -> None:
    if node.attrs["type"] in ("result", "error"):
        if node.first("pair-device-sign") is not None:
            await emulator.linking.confirmed(line)
        elif node.attrs["type"] == "error":
            log.info("%s answered with an error: %r", line, node)
        return
    answer = {"id": node.attrs["id"], "from": node.attrs.get("to", SERVER)}
    try:
        content = await _answer(emulator, line, node)
    except Refusal as refusal:
        error = Node("error", {"code": refusal.code, "text": refusal.text})
        await line.send(Node("iq", {**answer, "type": "error"}, [error]))
        return
    await line.send(Node("iq", {**answer, "type": "result", "t": int(time.time())}, content or None))


async def _answer(emulator: Emulator, line: Line, node: Node) -> list[Node]:
    xmlns = node.attrs.get("xmlns")
    if xmlns == "md" and (asked := node.first("link_code_companion_reg")) is not None:
        return await emulator.linking.ask_code(line, asked)
    device = line.device
    if device is None:
        if xmlns in ("w:p", "passive"):
            return []
        emulator.unknown.append(f"before login: {node!r}")
        raise Refusal(401)
    if xmlns == "md" and node.first("remove-companion-device") is not None:
        emulator.spawn(remove(emulator, device))
        return []
    answer = ANSWERS.get(xmlns or "")
    try:
        if answer is not None:
            return await answer(emulator, device, node)
    except Refusal as refusal:
        if refusal.code == 501:
            emulator.unknown.append(f"{line}: {node!r}")
        raise
    emulator.unknown.append(f"{line}: {node!r}")
    raise Refusal(501)
