"""Group changes on the network: judged by the rules, committed in one put, told to every member's sessions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from wagate.engines.base import Report
from wagate.engines.sandbox import groups, rules
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.frames import Changes
from wagate.engines.sandbox.groups import Group
from wagate.engines.sandbox.network import Device, Keys, Network, encode_report
from wagate.engines.sandbox.people import jid_of, number_of
from wagate.engines.sandbox.rules import Change, Moment
from wagate.errors import NotAMember, NotFound
from wagate.model.actions import (
    Action,
    AddMembers,
    ApproveMembers,
    CreateGroup,
    DemoteMember,
    GetInvite,
    JoinGroup,
    LeaveGroup,
    ListPending,
    PreviewInvite,
    PromoteMember,
    RejectMembers,
    RemoveMember,
    ResetInvite,
    SetAnnounce,
    SetDescription,
    SetLocked,
    SetSubject,
)
from wagate.model.chats import ChatMarked
from wagate.model.groups import CreatedGroup, GroupChanged, InvitePreview, Joined, MembersChanged

Rule = Callable[[Group, Moment, Any], Change]

_RULES: dict[type[Action], tuple[Rule, Callable[[Any], Any]]] = {
    SetSubject: (rules.rename, lambda action: action.subject),
    SetDescription: (rules.describe, lambda action: action.description),
    SetAnnounce: (rules.announce, lambda action: action.announce),
    SetLocked: (rules.lock, lambda action: action.locked),
    GetInvite: (rules.show_invite, lambda _: None),
    ResetInvite: (rules.reset_invite, lambda _: None),
    AddMembers: (rules.add, lambda action: action.people),
    RemoveMember: (rules.remove, lambda action: number_of(action.person)),
    PromoteMember: (rules.promote, lambda action: number_of(action.person)),
    DemoteMember: (rules.demote, lambda action: number_of(action.person)),
    ApproveMembers: (rules.approve, lambda action: action.people),
    RejectMembers: (rules.reject, lambda action: action.people),
    ListPending: (rules.list_pending, lambda _: None),
}


async def _create(carrier: Carrier, me: Device, action: CreateGroup) -> tuple[CreatedGroup, Keys]:
    people = [found for jid in action.people if (found := number_of(jid)) is not None]
    group, keys = await create(carrier.network, me.number, action.subject, people)
    return _created(group), keys


async def _join(carrier: Carrier, me: Device, action: JoinGroup) -> tuple[Joined, Keys]:
    return await join(carrier.network, me.number, action.code)


async def _preview(carrier: Carrier, me: Device, action: PreviewInvite) -> tuple[InvitePreview, Keys]:
    return groups.preview(_led_to(carrier.network, me.number, groups.code_of(action.code))), {}


async def _leave(carrier: Carrier, me: Device, action: LeaveGroup) -> tuple[None, Keys]:
    _, keys = await alter(carrier.network, action.group, (rules.leave, me.number), actor=me.number)
    return None, keys


async def _rule(carrier: Carrier, me: Device, action: Action) -> tuple[Any, Keys]:
    rule, argument = _RULES[type(action)]
    group = own(carrier.network, me.number, getattr(action, "group", ""))
    change, keys = await alter(carrier.network, group.jid, (rule, argument(action)), actor=me.number)
    return change.answer, keys


DEEDS: dict[type[Action], Callable[[Carrier, Device, Any], Coroutine[Any, Any, tuple[Any, Keys]]]] = {
    **dict.fromkeys(_RULES, _rule),
    CreateGroup: _create,
    JoinGroup: _join,
    LeaveGroup: _leave,
    PreviewInvite: _preview,
}
"""What accounts do to groups, by type of action: the answer, and what was kept for whom."""


def own(network: Network, number: str, jid: str) -> Group:
    """The group, of which this account is a member.

    Raises:
        NotAMember: it is not, or there is no such group.
    """
    group = network.groups.get(jid)
    if group is None or number not in group.members:
        raise NotAMember
    return group


async def create(
    network: Network, owner: str, subject: str, people: Iterable[str], *, approves: bool = False
) -> tuple[Group, Keys]:
    """A new group of its owner and these people, as far as they can be added."""
    async with network.lock:
        moment = network.moment(owner)
        group = Group(
            jid=f"120363{network.mint_digits('group', 12)}@g.us",
            subject=subject,
            owner=owner,
            created_at=moment.now,
            invite=network.mint("invite"),
            approves=approves,
        )
        change = rules.create(group, moment, people)
        keys = await _commit(network, None, change, "group.create")
    return change.group, keys


async def join(network: Network, number: str, invite: str) -> tuple[Joined, Keys]:
    """Somebody comes in by an invite's code or link.

    Raises:
        BadRequest: it leads nowhere, or no longer.
    """
    code = groups.code_of(invite)
    group = _led_to(network, number, code)
    change, keys = await alter(network, group.jid, (rules.join, (number, code)), actor=number)
    if number in change.group.members:
        return Joined(group_jid=group.jid), keys
    return Joined(group_jid=group.jid, pending=True), keys


def _led_to(network: Network, number: str, code: str) -> Group:
    now = network.clock.now()
    for group in network.groups.values():
        if groups.leads_to(group, code, number, now):
            return group
    raise groups.bad_invite()


async def alter(network: Network, jid: str, rule: tuple[Rule, Any], *, actor: str | None) -> tuple[Change, Keys]:
    """Apply a rule with its argument to a group as it is now."""
    async with network.lock:
        group = network.groups.get(jid)
        if group is None:
            raise NotFound("group not found") if actor is None else NotAMember()
        change = rule[0](group, network.moment(actor), rule[1])
        keys = await _commit(network, group, change, f"group.{rule[0].__name__}")
    return change, keys


async def _commit(network: Network, before: Group | None, change: Change, kind: str) -> Keys:
    group = change.group
    _, changes = network.history.next(kind, network.clock.now(), to=group.jid)
    if group is not before:
        changes[f"g/{group.jid}"] = msgspec.json.encode(group).decode()
    keys = _tell(network, change, changes)
    await network.commit(changes)
    network.add_group(group)
    network.wake(keys)
    return keys


def _tell(network: Network, change: Change, changes: Changes) -> Keys:
    """Keep what each session in or out of the group gets to know."""
    keys: Keys = {}
    common = [encode_report(report) for report in change.reports]
    whole = ""
    for number in (*change.group.members, *change.left):
        sessions = network.devices_of.get(number)
        if not sessions:
            continue
        texts = common
        if number in change.joined:
            whole = whole or encode_report(groups.seen(change.group, network.name))
            texts = [whole, *common, encode_report(_why(change, number))]
        elif number in change.left:
            texts = [encode_report(_own_leave(report)) for report in change.reports[:1]]
        for session in sessions:
            for text in texts:
                keys[session] = network.keep(session, text, changes)
    return keys


def _why(change: Change, number: str) -> Report:
    group = change.group
    told = [report for report in change.reports if not isinstance(report, ChatMarked)]
    sender = next((report.sender for report in told), jid_of(group.owner))
    stamp = next((report.timestamp for report in told), group.created_at)
    return GroupChanged(group_jid=group.jid, timestamp=stamp, sender=sender, reason=change.joined[number])


def _own_leave(report: Report) -> Report:
    return replace(report, self_left=True) if isinstance(report, MembersChanged) else report


def _created(group: Group) -> CreatedGroup:
    return CreatedGroup(
        group_jid=group.jid,
        subject=group.subject,
        description=group.description or UNSET,
        owner_jid=jid_of(group.owner),
        participants=len(group.members),
        is_announce=group.announce,
        is_locked=group.locked,
    )
