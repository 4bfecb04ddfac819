"""What an account can do on the pretend network, by the type of the action that asks for it.

A deed has committed when it returns; with its answer comes what it kept for whom, so that the connection can wait until
its own part has passed through the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from wagate.engines.sandbox import contacts, following, media, membership, pictures, watching
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.network import Device, Keys
from wagate.engines.sandbox.people import number_of
from wagate.engines.sandbox.receipts import Move
from wagate.model import Maybe
from wagate.model.actions import (
    Action,
    CheckContact,
    CreateChannel,
    FetchMedia,
    FollowChannel,
    GetAbout,
    GetPicture,
    MarkRead,
    MuteChannel,
    SetBlocked,
    SetChatPresence,
    SetPresence,
    UnfollowChannel,
    WatchPresence,
)
from wagate.model.jid import is_group
from wagate.model.media import FetchedMedia

Deed = Callable[[Carrier, Device, Any], Coroutine[Any, Any, tuple[Any, Keys]]]


async def read(carrier: Carrier, number: str, action: MarkRead) -> None:
    """The account with this number has read these; what is not there, or read before, is nothing."""
    history = carrier.network.history
    moves: list[Move] = []
    author: Maybe[str] = action.sender or action.chat
    for wire_id in action.message_ids:
        if is_group(str(author)):
            found = [sent for sent in await history.named(wire_id) if sent.chat == action.chat]
        else:
            one = await history.find(wire_id, number_of(str(author)) or "")
            found = [one] if one is not None else []
        moves += [(sent, number, "read") for sent in found]
    await carrier.receipts.progress(moves, {})


async def _mark_read(carrier: Carrier, me: Device, action: MarkRead) -> tuple[None, Keys]:
    await read(carrier, me.number, action)
    return None, {}


async def _fetch(carrier: Carrier, me: Device, action: FetchMedia) -> tuple[FetchedMedia, Keys]:
    return await media.fetch(carrier.network, action), {}


DEEDS: dict[type[Action], Deed] = {
    **membership.DEEDS,
    **pictures.DEEDS,
    SetPresence: watching.show,
    SetChatPresence: watching.type_in,
    WatchPresence: watching.watch,
    MarkRead: _mark_read,
    FetchMedia: _fetch,
    CheckContact: contacts.check,
    GetAbout: contacts.about,
    GetPicture: contacts.picture,
    SetBlocked: contacts.block,
    CreateChannel: following.create,
    FollowChannel: following.follow,
    UnfollowChannel: following.unfollow,
    MuteChannel: following.mute,
}

ACTIONS: frozenset[type[Action]] = frozenset(DEEDS)
"""The actions that a connection performs by a deed."""
