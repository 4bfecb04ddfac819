"""Calls: somebody rings, and the sessions that are rung hear of it, also when they come online later."""

from __future__ import annotations

from msgspec import UNSET

from wagate.engines.base import CallRang
from wagate.engines.sandbox.frames import Changes
from wagate.engines.sandbox.network import Keys, Network
from wagate.engines.sandbox.people import jid_of, number_of
from wagate.errors import BadRequest, NotFound, Refused
from wagate.model.jid import chat, is_group
from wagate.model.sandbox import Ring


async def ring(network: Network, caller: str, action: Ring) -> None:
    """The person with this number rings a person, or a group they are in.

    Raises:
        BadRequest: it cannot be rung at all.
        NotFound: there is no such group.
        Refused: somebody is not on WhatsApp, or not in the group.
    """
    if not network.exists(caller):
        raise Refused("the caller is not on WhatsApp", reason="not_on_whatsapp", waCode=404)
    to, rung = _rung(network, caller, action.to)
    now = network.clock.now()
    report = CallRang(
        call_id=network.mint("call", 32).upper(),
        caller=jid_of(caller),
        timestamp=now,
        group=to if is_group(to) else UNSET,
    )
    kind = "call.video" if action.video else "call"
    changes: Changes
    _, changes = network.history.next(kind, now, from_=jid_of(caller), to=to)
    keys: Keys = {}
    for number in rung:
        # Who blocks does it to everybody.
        if not network.hides(number, caller):
            keys |= network.keep_for(number, [report], changes)
    await network.commit(changes)
    network.wake(keys)


def _rung(network: Network, caller: str, text: str) -> tuple[str, list[str]]:
    """The canonical JID of what is rung, and the numbers whose phones ring."""
    to = chat(text, "to")
    if is_group(to):
        group = network.groups.get(to)
        if group is None:
            raise NotFound("group not found")
        if caller not in group.members:
            raise Refused("the caller is not in the group", waCode=403)
        return to, [number for number in group.members if number != caller]
    number = number_of(to)
    if number is None or number == caller:
        raise BadRequest.field("to", "is nobody of the sandbox" if number is None else "is the caller")
    if not network.exists(number):
        raise Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=404)
    return jid_of(number), [number]
