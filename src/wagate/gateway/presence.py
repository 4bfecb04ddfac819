"""Presence: who is there, who types.

Nothing of it is stored: it is asked of the network, and told as it comes. Called by workers (heard, types) and api.
"""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from wagate.backends.database import Tx
from wagate.gateway import Gateway, actions, contacts
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model.actions import WatchPresence
from wagate.model.chats import ChatPresence, PresenceHeard
from wagate.model.events import PresenceUpdate
from wagate.model.organizations import Caller

_TYPES = "SELECT presence_typing FROM sessions WHERE organization_id = :organization_id AND id = :id"


async def types(gw: Gateway, held: Held) -> bool:
    """Whether the session shows "typing" before its texts go out."""
    row = await gw.db.one(_TYPES, organization_id=held.organization_id, id=held.id)
    return row is not None and row[0] == 1


async def heard(tx: Tx, held: Held, now: int, report: PresenceHeard) -> list[Fact]:
    """Somebody came, went or types: a fact, with the addresses that clients know."""

    async def known(address: str) -> str:
        return await contacts.resolve(tx, held.organization_id, held.id, address)

    told = PresenceUpdate(
        from_=await known(report.person),
        state=report.state,
        chat_jid=await known(report.chat) if isinstance(report.chat, str) else UNSET,
        media=report.media,
        unavailable=True if report.state == "unavailable" else UNSET,
        last_seen=report.last_seen,
    )
    return [("presence.update", told)]


async def look(gw: Gateway, caller: Caller, session_id: str, chat: str) -> ChatPresence:
    """Where somebody is; from now on their presence makes events."""
    await actions.require_connected(gw, caller, session_id)
    address = await contacts.resolve(gw.db, caller.organization_id, session_id, chat)
    found: ChatPresence = await actions.ask(gw, caller, session_id, WatchPresence(chat=address))
    return replace(found, from_=await contacts.resolve(gw.db, caller.organization_id, session_id, found.from_))
