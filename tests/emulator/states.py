"""App state: the encrypted patches by which an account's devices agree on what is archived, pinned, muted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.emulator.accounts import Device
from tests.emulator.nodes import Node
from tests.emulator.schemas import SyncdPatch

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator


async def answer(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Take patches and give those that the device does not have. The server cannot read them; a version counts them."""
    collections = [await _collection(emulator, device, asked) for asked in request.need("sync").all("collection")]
    return [Node("sync", {}, collections)]


async def _collection(emulator: Emulator, device: Device, asked: Node) -> Node:
    name, account = asked.attrs["name"], device.account
    patches = emulator.states.setdefault((account.number, name), [])
    known = int(asked.attrs.get("version", 0))
    given = asked.first("patch")
    if given is not None and known < len(patches):
        conflict = Node("error", {"code": 409, "text": "conflict"})
        return Node("collection", {"name": name, "type": "error", "version": len(patches)}, [conflict])
    if given is not None:
        patch = SyncdPatch.FromString(given.bytes)
        patch.version.version = len(patches) + 1
        patches.append(patch.SerializeToString())
        changed = Node("collection", {"name": name, "version": len(patches)})
        await emulator.notify(
            account, {"type": "server_sync", "from": account.jid()}, [changed], but=(device, account.phone)
        )
        return Node("collection", {"name": name, "version": len(patches)})
    missing = [Node("patch", {}, patch) for patch in patches[known:]]
    content = [Node("patches", {}, missing)] if missing else None
    return Node("collection", {"name": name, "version": len(patches), "has_more_patches": "false"}, content)
