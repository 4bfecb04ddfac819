"""People as an account asks for them: who is there, what they say of themselves, and whom the account blocks."""

from __future__ import annotations

from wagate.engines.base import PeopleSeen
from wagate.engines.sandbox import membership
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.frames import Changes
from wagate.engines.sandbox.network import Device, Keys, Network, encode_report
from wagate.engines.sandbox.people import jid_of, lid_of, number_of
from wagate.errors import NotFound, Refused
from wagate.model.actions import CheckContact, GetAbout, GetPicture, SetBlocked
from wagate.model.contacts import About, ContactCheck, Person, Picture
from wagate.model.jid import is_group, is_sandbox_number


async def check(carrier: Carrier, me: Device, action: CheckContact) -> tuple[ContactCheck, Keys]:
    """Whether a number is on WhatsApp, and its addresses: who asks learns that the two are one person's."""
    network, number = carrier.network, action.phone
    if not is_sandbox_number(number) or not network.exists(number):
        return ContactCheck(query=number, is_on_whatsapp=False), {}
    both = Person(jid=jid_of(number), lid=lid_of(number))
    changes: Changes = {}
    key = network.keep(me.session, encode_report(PeopleSeen(people=[both])), changes)
    await network.commit(changes)
    network.wake([me.session])
    return ContactCheck(query=number, is_on_whatsapp=True, jid=both.jid, lid=both.lid), {me.session: key}


async def about(carrier: Carrier, me: Device, action: GetAbout) -> tuple[About, Keys]:
    """What a person says of themselves; nothing to whom they block."""
    number = _somebody(carrier.network, action.person)
    hidden = carrier.network.hides(number, me.number)
    return About(about="" if hidden else carrier.network.somebody(number).about), {}


async def picture(carrier: Carrier, me: Device, action: GetPicture) -> tuple[Picture, Keys]:
    """A person's picture, or that of a group which the account is in. The network has no address for its bytes."""
    network = carrier.network
    if is_group(action.jid):
        shown = membership.own(network, me.number, action.jid).picture
    else:
        number = _somebody(network, action.jid)
        shown = "" if network.hides(number, me.number) else network.somebody(number).picture
    if not shown:
        raise NotFound("no picture")
    return Picture(id=shown), {}


async def block(carrier: Carrier, me: Device, action: SetBlocked) -> tuple[None, Keys]:
    """The account hears nothing of somebody, or does again; nothing if it is so already.

    Raises:
        Refused: it is the account itself.
    """
    network = carrier.network
    async with network.lock:
        number = _somebody(network, action.person)
        if number == me.number:
            raise Refused("an account cannot block itself", waCode=400)
        if network.blocks(me.number, number) == action.blocked:
            return None, {}
        parts = {"session": me.session, "from_": jid_of(me.number), "to": jid_of(number)}
        kind = "block" if action.blocked else "unblock"
        frame: Changes
        _, frame = network.history.next(kind, network.clock.now(), **parts)
        await network.commit(frame | {f"b/{me.number}/{number}": "1" if action.blocked else None})
        theirs = network.blocked.setdefault(me.number, set())
        if action.blocked:
            theirs.add(number)
        else:
            theirs.discard(number)
    return None, {}


def _somebody(network: Network, jid: str) -> str:
    number = number_of(jid)
    if number is None or not network.exists(number):
        raise NotFound("not on WhatsApp", reason="not_on_whatsapp")
    return number
