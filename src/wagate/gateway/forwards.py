"""Forwards: a stored message said again elsewhere, as a real copy that is marked as one.

Called by api/changes.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from wagate.errors import NotFound
from wagate.gateway import Gateway, media, outbox, targets
from wagate.gateway.outbox import Entry, Offer
from wagate.gateway.targets import Pointer
from wagate.model.contents import AlbumContent, Change, GoneContent
from wagate.model.organizations import Caller


async def forward(gw: Gateway, caller: Caller, session_id: str, pointer: Pointer, *, to: str) -> Entry:
    """Accept a copy of a stored message as a send to `to`: its own files over the same bytes, its quote left behind.

    Raises what `targets.point` and `outbox.accept` do, and:
        NotFound: the message is not stored, or its content is no longer kept.
    """
    found = (await targets.point(gw, caller, session_id, pointer)).found
    if found is None:
        raise NotFound("message not found")
    content = found.content
    if isinstance(content, GoneContent | AlbumContent | Change):
        raise NotFound("the message's content is no longer kept")
    copy = msgspec.structs.replace(content, quote=UNSET, forwarded=True)
    taken = await media.duplicate(gw, caller, session_id, copy)
    try:
        return await outbox.accept(gw, caller, session_id, Offer(chat=to, content=taken, mode="sync", digest=""))
    except BaseException:
        await media.discard(gw, caller, media.files_of(taken))
        raise
