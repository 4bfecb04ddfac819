"""The rules of groups, WhatsApp's: who may do what, and what everybody is told of it.

Each rule takes the group as it is and answers with the group as it will be, without touching anything: the network
commits the change, then tells it. An actor of None is the world outside, which asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from wagate.engines.sandbox.groups import LINK, Group, Pass, must_lead_to
from wagate.engines.sandbox.people import habits, jid_of, lid_of, number_of, person_of
from wagate.errors import NotAMember, NotFound, NotGroupAdmin, Refused
from wagate.model.chats import ChatMarked
from wagate.model.contacts import Person
from wagate.model.groups import (
    AddResult,
    AddResults,
    DirectInvite,
    GroupChanged,
    Invite,
    MembersChanged,
    Participant,
    PendingMember,
    PictureSet,
    Role,
)

FULL = 1024


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts and when; `names` looks a person up, `mint` makes a code, `absent` knows who cannot be had at all."""

    actor: str | None
    now: int
    names: Callable[[str], str | None]
    mint: Callable[[str], str]
    refuses: Callable[[str], Literal["not_on_whatsapp", "declined"] | None]
    pass_seconds: float = 0

    def person(self, number: str) -> Person:
        """Somebody as they are told of."""
        return person_of(number, self.names(number))

    def sender(self) -> Any:
        """The actor as notices name them."""
        return UNSET if self.actor is None else jid_of(self.actor)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule makes of a group. `reports` go to every member and to who `left`; `joined`: why they are in now.

    `faded`: the id of a picture that is shown no more.
    """

    group: Group
    reports: list[GroupChanged | MembersChanged | ChatMarked] = []
    joined: dict[str, str] = {}
    left: tuple[str, ...] = ()
    faded: str = ""
    answer: Any = None


def create(group: Group, moment: Moment, people: Iterable[str]) -> Change:
    """A new group of its owner; those who cannot be added are skipped."""
    members: dict[str, Role] = {group.owner: "superadmin"}
    for number in people:
        if len(members) < FULL and moment.refuses(number) is None and not habits(number).private:
            members.setdefault(number, "member")
    added = [number for number in members if number != group.owner]
    made = replace(group, members=members)
    reports = [_members(made, moment, "join", added)] if added else []
    return Change(group=made, reports=[*reports], joined={group.owner: "created"} | dict.fromkeys(added, "added"))


def rename(group: Group, moment: Moment, subject: str) -> Change:
    """A new subject: any member's right, an admin's while the group is locked."""
    may_edit(group, moment)
    if subject == group.subject:
        return Change(group=group)
    return Change(group=replace(group, subject=subject), reports=[_settings(group, moment, subject=subject)])


def describe(group: Group, moment: Moment, description: str) -> Change:
    """A new description, by the same right."""
    may_edit(group, moment)
    if description == group.description:
        return Change(group=group)
    report = _settings(group, moment, description=description)
    return Change(group=replace(group, description=description), reports=[report])


def announce(group: Group, moment: Moment, on: bool) -> Change:
    """Whether only admins may send."""
    _admin(group, moment)
    if on == group.announce:
        return Change(group=group)
    return Change(group=replace(group, announce=on), reports=[_settings(group, moment, is_announce=on)])


def lock(group: Group, moment: Moment, on: bool) -> Change:
    """Whether only admins may edit."""
    _admin(group, moment)
    if on == group.locked:
        return Change(group=group)
    return Change(group=replace(group, locked=on), reports=[_settings(group, moment, is_locked=on)])


def depict(group: Group, moment: Moment, picture: str) -> Change:
    """A new picture by its id, by the right to edit; an empty id takes it away."""
    may_edit(group, moment)
    if not picture:
        if not group.picture:
            return Change(group=group)
        gone = ChatMarked(chat=group.jid, picture_removed=True)
        return Change(group=replace(group, picture=""), reports=[gone], faded=group.picture)
    return Change(
        group=replace(group, picture=picture),
        reports=[ChatMarked(chat=group.jid, picture_id=picture)],
        faded=group.picture,
        answer=PictureSet(id=picture),
    )


def show_invite(group: Group, moment: Moment, _: None) -> Change:
    """The present link, for admins."""
    _admin(group, moment)
    return Change(group=group, answer=Invite(invite=LINK + group.invite))


def reset_invite(group: Group, moment: Moment, _: None) -> Change:
    """A new link; the old one dies."""
    _admin(group, moment)
    code = moment.mint("invite")
    report = _settings(group, moment, new_invite_link=LINK + code)
    return Change(group=replace(group, invite=code), reports=[report], answer=Invite(invite=LINK + code))


def add(group: Group, moment: Moment, people: list[str]) -> Change:
    """Add people, each with a result of their own; `people` are JIDs."""
    _admin(group, moment)
    members, passes = dict(group.members), dict(group.passes)
    removed = dict(group.removed)
    added: list[str] = []
    results = []
    for jid in people:
        number = number_of(jid)
        result = _judge(jid, number, members, moment)
        if number is not None and result.status == "added":
            members[number] = "member"
            added.append(number)
            removed.pop(number, None)
        if number is not None and result.invite is not UNSET:
            passes[result.invite.code] = Pass(number=number, expires_at=result.invite.expires_at)
        results.append(result)
    pending = {number: since for number, since in group.pending.items() if number not in members}
    changed = replace(group, members=members, passes=passes, removed=removed, pending=pending)
    reports = [_members(changed, moment, "join", added)] if added else []
    joined = dict.fromkeys(added, "added")
    return Change(group=changed, reports=[*reports], joined=joined, answer=AddResults(results=results))


def _judge(jid: str, number: str | None, members: dict[str, Role], moment: Moment) -> AddResult:
    why = "not_on_whatsapp" if number is None else moment.refuses(number)
    if number is None or why == "not_on_whatsapp":
        return AddResult(jid=jid, status="not_on_whatsapp", wa_code=404)
    jid = jid_of(number)
    if number in members:
        return AddResult(jid=jid, status="already_member", wa_code=409)
    if why == "declined":
        return AddResult(jid=jid, status="declined", wa_code=401)
    if len(members) >= FULL:
        return AddResult(jid=jid, status="failed", wa_code=500)
    if habits(number).private:
        expires_at = moment.now + round(moment.pass_seconds * 1000)
        invite = DirectInvite(code=moment.mint(f"pass {number}"), expires_at=expires_at)
        return AddResult(jid=jid, status="invite_required", wa_code=403, invite=invite)
    return AddResult(jid=jid, status="added", wa_code=200)


def remove(group: Group, moment: Moment, number: str | None) -> Change:
    """Take somebody out; the creator stays."""
    _admin(group, moment)
    if number is None or number not in group.members:
        return Change(group=group)
    _not_the_creator(group, number)
    members = {member: role for member, role in group.members.items() if member != number}
    changed = replace(group, members=members, removed=group.removed | {number: moment.now})
    return Change(group=changed, reports=[_members(group, moment, "leave", [number])], left=(number,))


def promote(group: Group, moment: Moment, number: str | None) -> Change:
    """Make a member an admin."""
    _admin(group, moment)
    if number is None or number not in group.members:
        raise NotFound("not a member of the group")
    return _rank(group, moment, number, "admin")


def demote(group: Group, moment: Moment, number: str | None) -> Change:
    """Make an admin a member; nobody demotes the creator."""
    _admin(group, moment)
    if number is None or number not in group.members:
        return Change(group=group)
    _not_the_creator(group, number)
    return _rank(group, moment, number, "member")


def _rank(group: Group, moment: Moment, number: str, role: Role) -> Change:
    if group.members[number] == role or group.members[number] == "superadmin":
        return Change(group=group)
    changed = replace(group, members=group.members | {number: role})
    change: Literal["promote", "demote"] = "demote" if role == "member" else "promote"
    return Change(group=changed, reports=[_members(changed, moment, change, [number])])


def approve(group: Group, moment: Moment, people: list[str]) -> Change:
    """Let people in who asked; all of them or nobody. `people` are JIDs."""
    _admin(group, moment)
    numbers = _asking(group, people)
    if len(group.members) + len(numbers) > FULL:
        raise Refused("the group is full", reason="group_full")
    pending = {number: since for number, since in group.pending.items() if number not in numbers}
    members = group.members | dict.fromkeys(numbers, "member")
    changed = replace(group, members=members, pending=pending)
    reports = [_members(changed, moment, "join", numbers)]
    return Change(group=changed, reports=[*reports], joined=dict.fromkeys(numbers, "approved"))


def reject(group: Group, moment: Moment, people: list[str]) -> Change:
    """Turn people away who asked; all of them or nobody. `people` are JIDs. WhatsApp tells nobody of it."""
    _admin(group, moment)
    numbers = _asking(group, people)
    pending = {number: since for number, since in group.pending.items() if number not in numbers}
    return Change(group=replace(group, pending=pending))


def list_pending(group: Group, moment: Moment, _: None) -> Change:
    """Who asks to come in, for admins; who asked first comes first."""
    _admin(group, moment)
    pending = [
        PendingMember(jid=jid_of(number), lid=lid_of(number), requested_at=since)
        for number, since in group.pending.items()
    ]
    return Change(group=group, answer=pending)


def _asking(group: Group, people: list[str]) -> list[str]:
    numbers = [number for jid in people if (number := number_of(jid)) is not None]
    if len(numbers) != len(people) or not all(number in group.pending for number in numbers):
        raise NotFound("not asking to join")
    return list(dict.fromkeys(numbers))


def request(group: Group, moment: Moment, number: str) -> Change:
    """Somebody asks to be let in."""
    if number in group.members or number in group.pending:
        return Change(group=group)
    _can_come(group, moment, number)
    return Change(group=replace(group, pending=group.pending | {number: moment.now}))


def leave(group: Group, moment: Moment, number: str) -> Change:
    """Leave; without an admin left, the eldest member becomes one."""
    if number not in group.members:
        raise NotAMember
    members = {member: role for member, role in group.members.items() if member != number}
    reports = [_members(group, replace(moment, actor=number), "leave", [number])]
    if members and not any(role != "member" for role in members.values()):
        eldest = next(iter(members))
        members[eldest] = "admin"
        promoted = replace(group, members=members)
        reports.append(_members(promoted, replace(moment, actor=None), "promote", [eldest]))
    return Change(group=replace(group, members=members), reports=[*reports], left=(number,))


def join(group: Group, moment: Moment, invite: tuple[str, str]) -> Change:
    """(number, code): come in by an invite that led to this group.

    Raises:
        BadRequest: the code is stale, or another one's.
        Refused: removed earlier, or the group is full.
    """
    number, code = invite
    must_lead_to(group, code, number, moment.now)
    if number in group.members:
        return Change(group=group)
    _can_come(group, moment, number)
    if group.approves and code not in group.passes:
        return request(group, moment, number)
    passes = {key: each for key, each in group.passes.items() if key != code}
    pending = {other: since for other, since in group.pending.items() if other != number}
    changed = replace(group, members=group.members | {number: "member"}, passes=passes, pending=pending)
    report = _members(changed, replace(moment, actor=number), "join", [number])
    return Change(group=changed, reports=[report], joined={number: "invite"})


def _can_come(group: Group, moment: Moment, number: str) -> None:
    if moment.refuses(number) == "not_on_whatsapp":
        raise Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=404)
    if number in group.removed:
        raise Refused("an admin removed this account earlier", reason="removed_earlier", waCode=401)
    if len(group.members) >= FULL:
        raise Refused("the group is full", reason="group_full", waCode=419)


def may_edit(group: Group, moment: Moment) -> None:
    """Subject, description and picture are any member's to change, an admin's while the group is locked.

    Raises:
        NotAMember, NotGroupAdmin: not the actor's.
    """
    if group.locked:
        _admin(group, moment)
    elif moment.actor is not None and moment.actor not in group.members:
        raise NotAMember


def _admin(group: Group, moment: Moment) -> None:
    if moment.actor is None:
        return
    role = group.members.get(moment.actor)
    if role is None:
        raise NotAMember
    if role == "member":
        raise NotGroupAdmin


def _not_the_creator(group: Group, number: str) -> None:
    if group.members[number] == "superadmin":
        raise NotGroupAdmin("the group's creator cannot be removed or demoted")


def _settings(group: Group, moment: Moment, **changed: Any) -> GroupChanged:
    return GroupChanged(group_jid=group.jid, timestamp=moment.now, sender=moment.sender(), **changed)


def _members(
    group: Group, moment: Moment, change: Literal["join", "leave", "promote", "demote"], numbers: list[str]
) -> MembersChanged:
    people = [Participant(person=moment.person(number), role=group.members.get(number, "member")) for number in numbers]
    return MembersChanged(
        group_jid=group.jid, timestamp=moment.now, change=change, people=people, sender=moment.sender()
    )
