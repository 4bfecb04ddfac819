"""Presence on the network: what accounts and people show, and who hears of it.

A frame says that the network saw it, and when somebody was last online is kept; where they are now is in memory. Nobody
hears of who blocks them, nor of whom they block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from wagate.engines.base import PresenceHeard
from wagate.engines.sandbox import membership
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.lines import Told
from wagate.engines.sandbox.network import Device, Keys, Network
from wagate.engines.sandbox.people import jid_of, number_of
from wagate.engines.sandbox.presence import Typing
from wagate.errors import Refused
from wagate.model import Maybe
from wagate.model.actions import SetChatPresence, SetPresence, WatchPresence
from wagate.model.chats import ChatPresence
from wagate.model.jid import is_group


class Where(NamedTuple):
    """Where somebody is; `last_seen` in epoch milliseconds when they are away and it is known."""

    state: Literal["unknown", "available", "unavailable"]
    last_seen: Maybe[int] = UNSET


def where(network: Network, number: str) -> Where:
    """Where somebody is: online on their phone or in any session, away, or nobody ever heard."""
    person = network.somebody(number)
    if network.presences.present(number) or person.online:
        return Where("available")
    if person.online is None and not person.last_seen:
        return Where("unknown")
    return Where("unavailable", person.last_seen or UNSET)


async def show(carrier: Carrier, me: Device, action: SetPresence) -> tuple[None, Keys]:
    """The account is online, as far as this session is concerned, or no longer."""
    network = carrier.network
    async with network.lock:
        before = where(network, me.number)
        await _commit(network, me.session, me.number, online=action.online)
        if action.online:
            network.presences.enter(me.session, me.number)
        else:
            network.presences.exit(me.session, me.number)
        tell_where(network, me.number, before)
    return None, {}


async def left(network: Network, session: str, number: str) -> None:
    """The line of a session that showed its account as online has ended, and `presences` knows it already."""
    async with network.lock:
        if not network.presences.shows(session, number):
            before = Where("available")
            await _commit(network, session, number, online=False)
            tell_where(network, number, before)


async def _commit(network: Network, session: str, number: str, *, online: bool) -> None:
    """The frame, and when the account was last online."""
    now = network.clock.now()
    kind = "presence.available" if online else "presence.unavailable"
    _, changes = network.history.next(kind, now, session=session, from_=jid_of(number))
    if online or where(network, number).state == "unavailable":
        return await network.commit(changes)
    person = replace(network.somebody(number), last_seen=now)
    await network.commit(changes | {f"p/{number}": msgspec.json.encode(person).decode()})
    network.people[number] = person


def tell_where(network: Network, number: str, before: Where) -> None:
    """Somebody may have come or gone: who watches them hears it."""
    now = where(network, number)
    if now.state != before.state:
        report = PresenceHeard(person=jid_of(number), state=now.state, last_seen=now.last_seen)
        _tell(network, number, network.presences.watchers(number), report)


def tell_typing(network: Network, number: str) -> None:
    """A person began or ceased to type, in the chat with each account that watches them."""
    typing = network.somebody(number).typing
    report = PresenceHeard(
        person=jid_of(number),
        state="composing" if typing else "paused",
        chat=jid_of(number),
        media="text" if typing else UNSET,
    )
    _tell(network, number, network.presences.watchers(number), report)


async def type_in(carrier: Carrier, me: Device, action: SetChatPresence) -> tuple[None, Keys]:
    """The account types or records in a chat, or ceased to; whoever is in it hears it.

    Raises:
        NotAMember: it is a group that the account is not in.
        Refused: nobody is there, or it is a chat in which nobody types.
    """
    network = carrier.network
    if is_group(action.chat):
        group = membership.own(network, me.number, action.chat)
        to, others, chat = group.jid, [number for number in group.members if number != me.number], group.jid
    else:
        number = number_of(action.chat)
        if number is None or not network.exists(number):
            raise Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=404)
        to, others, chat = number, [number] if number != me.number else [], jid_of(me.number)
    parts = {"session": me.session, "from_": jid_of(me.number), "to": to if to == chat else jid_of(to)}
    _, changes = network.history.next(f"presence.{action.state}", network.clock.now(), **parts)
    await network.commit(changes)
    if action.state == "paused":
        network.presences.typing.pop(me.number, None)
        report = PresenceHeard(person=jid_of(me.number), state="paused", chat=chat)
    else:
        media: Literal["text", "audio"] = "audio" if action.state == "recording" else "text"
        network.presences.typing[me.number] = Typing(to, media)
        report = PresenceHeard(person=jid_of(me.number), state="composing", chat=chat, media=media)
    sessions = [session for other in others for session in network.devices_of.get(other, ())]
    _tell(network, me.number, sessions, report)
    return None, {}


async def watch(carrier: Carrier, me: Device, action: WatchPresence) -> tuple[ChatPresence, Keys]:
    """Where somebody is, and who types in a group; the session hears of a person from now on.

    Raises:
        NotAMember: it is a group that the account is not in.
    """
    network = carrier.network
    parts = {"session": me.session, "from_": jid_of(me.number), "to": action.chat}
    if is_group(action.chat):
        members = membership.own(network, me.number, action.chat).members
        seen = _in_group(network, me.number, action.chat, members)
    else:
        number = number_of(action.chat)
        seen = ChatPresence(from_=action.chat, state="unknown") if number is None else _of(network, me.number, number)
        if number is not None and network.exists(number):
            network.presences.watch(me.session, number)
    _, changes = network.history.next("presence.subscribe", network.clock.now(), **parts)
    await network.commit(changes)
    return seen, {}


def _in_group(network: Network, viewer: str, group: str, members: Iterable[str]) -> ChatPresence:
    for number in members:
        typing = network.presences.typing.get(number)
        if typing is not None and typing.to == group and number != viewer:
            return ChatPresence(from_=jid_of(number), state="composing", chat_jid=group, media=typing.media)
    return ChatPresence(from_=group, state="unknown", chat_jid=group)


def _of(network: Network, viewer: str, number: str) -> ChatPresence:
    me = jid_of(number)
    if not network.exists(number) or network.hides(number, viewer) or network.blocks(viewer, number):
        return ChatPresence(from_=me, state="unknown")
    typing = network.presences.typing.get(number)
    if network.somebody(number).typing:
        typing = Typing(viewer, "text")
    if typing is not None and typing.to == viewer:
        return ChatPresence(from_=me, state="composing", chat_jid=me, media=typing.media)
    now = where(network, number)
    away = True if now.state == "unavailable" else UNSET
    return ChatPresence(from_=me, state=now.state, last_seen=now.last_seen, unavailable=away)


def _tell(network: Network, number: str, sessions: Iterable[str], report: PresenceHeard) -> None:
    """Those who are online hear it now; it is not kept for the others."""
    for session in sessions:
        device, line = network.devices.get(session), network.lines.get(session)
        if device is None or line is None or not line.online:
            continue
        if not network.hides(number, device.number) and not network.blocks(device.number, number):
            line.offer(Told(report, ()))
