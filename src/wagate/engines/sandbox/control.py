"""What can be done to the pretend network from outside: each control action and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.engines.base import ChatMarked, PeopleSeen
from wagate.engines.sandbox import calls, groups, linking, membership, people, records, rules, watching
from wagate.engines.sandbox.acceptance import Draft
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.changes import CHANGES
from wagate.engines.sandbox.frames import Changes, Sent, Status
from wagate.engines.sandbox.groups import Group
from wagate.engines.sandbox.network import Keys, Network
from wagate.engines.sandbox.people import jid_of, number_of, person_of
from wagate.engines.sandbox.seeing import seen_by
from wagate.errors import BadRequest, NotFound, Refused
from wagate.model.actions import Action
from wagate.model.contents import Change, EditContent, ReactionContent, RevokeContent, Target, VoteContent
from wagate.model.jid import chat, is_group, is_lid, person
from wagate.model.sandbox import (
    Acknowledge,
    AlterPerson,
    ChangeMessage,
    Disturb,
    InjectFault,
    LinkPhone,
    ListFrames,
    ListShown,
    LookAtGroup,
    MadeGroup,
    MakeGroup,
    MoveMember,
    Ring,
    Said,
    Speak,
)


async def drive(carrier: Carrier, action: Action) -> Any:
    """Do it; the network has committed it when this returns."""
    return await _STEPS[type(action)](carrier, action)


async def _speak(carrier: Carrier, action: Speak) -> Said:
    network = carrier.network
    author = _somebody(action.sender, "from")
    if not network.exists(author):
        raise Refused("the sender is not on WhatsApp", reason="not_on_whatsapp")
    to = chat(action.to)
    if is_group(to) and to not in network.groups:
        raise NotFound("group not found")
    wire_id = "3A" + network.mint("said", 18).upper()
    hidden = is_lid(person(action.sender, "from"))
    draft = Draft(wire_id=wire_id, author=author, chat=to, content=action.content, hidden=hidden)
    for sent in await carrier.accept(draft):
        carrier.answer(sent)
    return Said(wa_message_id=wire_id)


async def _change_message(carrier: Carrier, action: ChangeMessage) -> None:
    network = carrier.network
    author = _somebody(action.sender, "from")
    if not network.exists(author):
        raise Refused("the sender is not on WhatsApp", reason="not_on_whatsapp")
    named = [sent for sent in await network.history.named(action.message) if not isinstance(sent.content, CHANGES)]
    had = [sent for sent in named if author == sent.author or author in sent.copies]
    if not had:
        raise NotFound("message not found")
    sent = had[-1]
    own = author == sent.author
    target = Target(message_id=sent.wire_id, from_me=own, sender=jid_of(sent.author))
    draft = Draft(
        wire_id="3A" + network.mint("changed", 18).upper(),
        author=author,
        chat=jid_of(sent.author) if not own and number_of(sent.chat) is not None else sent.chat,
        content=_change(action, target),
        hidden=is_lid(person(action.sender, "from")),
    )
    for each in await carrier.accept(draft):
        carrier.answer(each)


def _change(action: ChangeMessage, target: Target) -> Change:
    match action.what:
        case "react":
            return ReactionContent(target=target, emoji=action.text)
        case "edit":
            return EditContent(target=target, text=action.text)
        case "revoke":
            return RevokeContent(target=target)
        case "vote":
            return VoteContent(target=target, options=action.options)


async def _acknowledge(carrier: Carrier, action: Acknowledge) -> None:
    reader = _somebody(action.sender, "from")
    found = [sent for sent in await carrier.network.history.named(action.message) if reader in sent.copies]
    if not found:
        raise NotFound("message not found")
    for sent in found:
        # Whoever reads it shows that it went out, even where the acknowledgement was lost.
        sent.silent = False
    status: Status = "read" if action.what == "read" else "played"
    changes: Changes = {}
    keys = _show_read(carrier.network, reader, found, changes) if action.what == "read" else {}
    await carrier.receipts.progress([(sent, reader, status) for sent in found], changes)
    carrier.network.wake(keys)


def _show_read(network: Network, reader: str, found: list[Sent], changes: Changes) -> Keys:
    """Who reads on the phone has read the chat in their sessions, too."""
    chats = dict.fromkeys(seen_by(network, sent, reader).chat for sent in found)
    return network.keep_for(reader, [ChatMarked(chat=each, read=True) for each in chats], changes)


async def _make_group(carrier: Carrier, action: MakeGroup) -> MadeGroup:
    owner = _somebody(action.owner, "owner")
    if not carrier.network.exists(owner):
        raise Refused("the owner is not on WhatsApp", reason="not_on_whatsapp")
    guests = [number for jid in action.people if (number := number_of(person(jid, "participants"))) is not None]
    group, _ = await membership.create(carrier.network, owner, action.subject, guests, approves=action.approve_joins)
    return MadeGroup(group_jid=group.jid, invite=groups.LINK + group.invite)


async def _look_at_group(carrier: Carrier, action: LookAtGroup) -> Any:
    return groups.truth(_group(carrier, action.group))


async def _move_member(carrier: Carrier, action: MoveMember) -> None:
    network, number = carrier.network, _somebody(action.person, "phone")
    group = _group(carrier, action.group)
    match action.step:
        case "join":
            code = group.invite if action.invite is None else groups.code_of(action.invite)
            await membership.alter(network, group.jid, (rules.join, (number, code)), actor=number)
        case "leave":
            await membership.alter(network, group.jid, (rules.leave, number), actor=number)
        case "request":
            if action.invite is not None:
                groups.must_lead_to(group, groups.code_of(action.invite), number, network.clock.now())
            await membership.alter(network, group.jid, (rules.request, number), actor=number)
        case "promote":
            await membership.alter(network, group.jid, (rules.promote, number), actor=None)
        case "demote":
            await membership.alter(network, group.jid, (rules.demote, number), actor=None)


async def _alter_person(carrier: Carrier, action: AlterPerson) -> None:
    network, number = carrier.network, _somebody(action.phone, "phone")
    async with network.lock:
        before, there = network.somebody(number), watching.where(network, number)
        picture = network.mint_digits("picture", 12) if action.change.picture else ""
        altered = people.altered(before, action.change, now=network.clock.now(), picture=picture)
        changes: Changes = {f"p/{number}": msgspec.json.encode(altered).decode()}
        keys = _show_picture(network, number, altered.picture, changes) if altered.picture != before.picture else {}
        await network.commit(changes)
        network.people[number] = altered
        network.wake(keys)
        if altered.typing != before.typing and action.change.online is not False:
            watching.tell_typing(network, number)
        watching.tell_where(network, number, there)
    if action.change.online:
        await carrier.switch_on(number)
    if action.change.name is not None:
        report = PeopleSeen(people=[person_of(number, altered.name)])
        for line in list(network.lines.values()):
            if line.online:
                network.spawn(line.report(report))


def _show_picture(network: Network, number: str, picture: str, changes: Changes) -> Keys:
    """Accounts that watch a person see their picture change."""
    keys: Keys = {}
    report = ChatMarked(chat=jid_of(number), picture_id=picture or UNSET, picture_removed=UNSET if picture else True)
    for viewer in {network.devices[session].number for session in network.presences.watchers(number)}:
        if not network.hides(number, viewer):
            keys |= network.keep_for(viewer, [report], changes)
    return keys


async def _ring(carrier: Carrier, action: Ring) -> None:
    await calls.ring(carrier.network, _somebody(action.caller, "phone"), action)


async def _inject_fault(carrier: Carrier, action: InjectFault) -> None:
    network, session = carrier.network, action.fault.session
    if session is not None and session not in network.devices and session not in network.lines:
        raise NotFound("session not found")
    network.faults.add(action.fault, network.clock.now())
    await network.commit({})


async def _link_phone(carrier: Carrier, action: LinkPhone) -> Any:
    return await linking.link_phone(carrier, action)


async def _disturb(carrier: Carrier, action: Disturb) -> None:
    await linking.disturb(carrier.network, action)


async def _list_shown(carrier: Carrier, action: ListShown) -> Any:
    return await records.shown(carrier.network, action)


async def _list_frames(carrier: Carrier, action: ListFrames) -> Any:
    return await records.frames(carrier.network, action)


def _somebody(text: str, path: str) -> str:
    number = number_of(person(text, path))
    if number is None:
        raise BadRequest.field(path, "is nobody of the sandbox")
    return number


def _group(carrier: Carrier, jid: str) -> Group:
    group = carrier.network.groups.get(jid)
    if group is None:
        raise NotFound("group not found")
    return group


_STEPS: dict[type[Action], Callable[[Carrier, Any], Awaitable[Any]]] = {
    LinkPhone: _link_phone,
    Disturb: _disturb,
    Speak: _speak,
    ChangeMessage: _change_message,
    Acknowledge: _acknowledge,
    ListShown: _list_shown,
    ListFrames: _list_frames,
    MakeGroup: _make_group,
    LookAtGroup: _look_at_group,
    MoveMember: _move_member,
    AlterPerson: _alter_person,
    Ring: _ring,
    InjectFault: _inject_fault,
}

ACTIONS: frozenset[type[Action]] = frozenset(_STEPS)
"""The actions by which a network is driven."""
