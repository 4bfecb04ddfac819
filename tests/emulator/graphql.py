"""Questions in GraphQL over the connection (`w:mex`): a number for the query, and its variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.emulator.accounts import Device
from tests.emulator.nodes import Node
from tests.emulator.refusals import Refusal

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

ABOUT = "9152604461510864"


async def answer(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Answer one query, with data or with GraphQL's errors."""
    query = request.need("query")
    number = query.attrs["query_id"]
    variables = json.loads(query.bytes)["variables"]
    try:
        body: dict[str, Any] = {"data": await _data(emulator, device, number, variables)}
    except Refusal as refusal:
        if refusal.code == 501:
            raise
        extensions = {"error_code": refusal.code, "is_retryable": False, "severity": "CRITICAL"}
        body = {"data": {}, "errors": [{"message": refusal.text, "extensions": extensions}]}
    return [Node("result", {}, json.dumps(body))]


async def _data(emulator: Emulator, device: Device, number: str, variables: dict[str, Any]) -> dict[str, Any]:
    if number == ABOUT:
        device.account.about = variables["input"]["text"]
        await emulator.people_changed_about(device.account)
        return {"xwa2_update_text_status": {"result": "SUCCESS"}}
    return await emulator.channels.query(device, number, variables)
