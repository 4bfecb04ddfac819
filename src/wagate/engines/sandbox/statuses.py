"""Status posts: who sees what somebody posts for all their contacts."""

from __future__ import annotations

from wagate.engines.sandbox.network import Network
from wagate.engines.sandbox.people import jid_of, number_of

STATUS = "status@broadcast"


async def audience(network: Network, author: str) -> list[str]:
    """The author's contacts: whoever is in a group with them, or lately had a chat with them."""
    found = {number: None for jid in network.groups_of.get(author, ()) for number in network.groups[jid].members}
    me = jid_of(author)
    async for frame in network.history.pages(max(0, network.history.frame - network.bounds.searched)):
        if frame.kind == "message" and me in (frame.from_, frame.to):
            other = frame.to if frame.from_ == me else frame.from_
            if isinstance(other, str) and (number := number_of(other)) is not None:
                found[number] = None
    return [
        number
        for number in found
        if number != author and network.exists(number) and not _hides(network, number, author)
    ]


def _hides(network: Network, number: str, author: str) -> bool:
    return network.somebody(number).blocked or network.blocks(number, author)
