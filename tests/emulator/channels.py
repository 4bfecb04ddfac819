"""Channels: asked for in GraphQL over the connection; so far there are none to find."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.emulator.accounts import Device
from tests.emulator.nodes import Node
from tests.emulator.refusals import Refusal

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator


async def answer(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """A query by its number, with variables as JSON."""
    body: dict[str, Any] = {"data": {"xwa2_newsletter_subscribed": []}}
    return [Node("result", {}, json.dumps(body))]


async def deliver(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Messages of a channel."""
    raise Refusal(404)
