"""Group pictures: the bytes in the engine's `Files`, the picture's id in the group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from wagate.engines.base import Files
from wagate.engines.sandbox import membership, rules
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.network import Device, Keys, Network
from wagate.errors import Gone, StorageUnavailable, UnsupportedByEngine
from wagate.model.actions import Action, DeleteGroupPicture, SetGroupPicture
from wagate.model.groups import PictureSet


async def put(carrier: Carrier, me: Device, action: SetGroupPicture) -> tuple[PictureSet, Keys]:
    """A new picture: the network keeps bytes of its own before anybody is told; the old ones go.

    Raises:
        Gone: the bytes are no longer there.
    """
    network = carrier.network
    files = _files(network)
    group = membership.own(network, me.number, action.group)
    # Before anything is copied; the rule asks again when it is applied.
    rules.may_edit(group, network.moment(me.number))
    picture = network.mint_digits("picture", 12)
    key = _key(network, picture)
    if not await files.copy(action.media, key):
        raise Gone("the file is no longer there")
    try:
        change, keys = await membership.alter(network, group.jid, (rules.depict, picture), actor=me.number)
    except BaseException:
        await _remove(network, picture)
        raise
    await _remove(network, change.faded)
    return change.answer, keys


async def take_away(carrier: Carrier, me: Device, action: DeleteGroupPicture) -> tuple[None, Keys]:
    """No picture any more; nothing if there is none."""
    network = carrier.network
    group = membership.own(network, me.number, action.group)
    change, keys = await membership.alter(network, group.jid, (rules.depict, ""), actor=me.number)
    await _remove(network, change.faded)
    return None, keys


def _files(network: Network) -> Files:
    if network.files is None:
        raise UnsupportedByEngine
    return network.files


async def _remove(network: Network, picture: str) -> None:
    # What is done is done, also when bytes that nobody sees have to stay.
    with contextlib.suppress(StorageUnavailable):
        if picture and network.files is not None:
            await network.files.remove([_key(network, picture)])


def _key(network: Network, picture: str) -> str:
    return "sandbox-" + network.derive(f"picture {picture}", 32)


DEEDS: dict[type[Action], Callable[[Carrier, Device, Any], Coroutine[Any, Any, tuple[Any, Keys]]]] = {
    SetGroupPicture: put,
    DeleteGroupPicture: take_away,
}
"""What accounts do to group pictures, by type of action."""
