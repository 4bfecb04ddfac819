"""A group, and what changed about it, as nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import UNSET

from tests.emulator.accounts import Accounts
from tests.emulator.nodes import HIDDEN, PHONE, Jid, Node
from wagate.engines.sandbox.groups import code_of
from wagate.engines.sandbox.people import number_of
from wagate.model.chats import ChatMarked
from wagate.model.groups import GroupChanged, MembersChanged

if TYPE_CHECKING:
    from tests.emulator.groups import Gathering

_TAGS = {"join": "add", "leave": "remove", "promote": "promote", "demote": "demote"}


def info(accounts: Accounts, group: Gathering, *, outside: bool = False) -> Node:
    """The whole group; to somebody `outside` who holds an invite without its members' names."""
    truth, mode = group.truth, group.mode
    owner = accounts.get(truth.owner)
    created = truth.created_at // 1000
    attrs = {
        "id": group.jid.user,
        "subject": truth.subject,
        "creation": created,
        "creator": owner.jid(mode),
        "creator_pn": owner.jid() if mode == HIDDEN else None,
        "s_t": created,
        "s_o": owner.jid(mode),
        "addressing_mode": "lid" if mode == HIDDEN else "pn",
        "size": len(truth.members),
        "p_v_id": group.version,
        "a_v_id": group.version,
    }
    content = [] if outside else [_member(accounts, mode, number, role) for number, role in truth.members.items()]
    if truth.description:
        by = accounts.get(group.topic_by or truth.owner).jid(mode)
        told = {"id": group.topic, "t": int(time.time()), "participant": by}
        content.append(Node("description", told, [Node("body", {}, truth.description)]))
    if truth.announce:
        content.append(Node("announcement"))
    if truth.locked:
        content.append(Node("locked"))
    if group.timer:
        content.append(Node("ephemeral", {"expiration": group.timer, "trigger": 1}))
    if truth.approves:
        content.append(Node("membership_approval_mode", {}, [Node("group_join", {"state": "on"})]))
    content.append(Node("member_add_mode", {}, "admin_add"))
    return Node("group", attrs, content)


def notices(accounts: Accounts, group: Gathering, report: GroupChanged | MembersChanged | ChatMarked) -> Iterator[Node]:
    """What a rule reported. A picture has a notification of its own kind and is told elsewhere."""
    if isinstance(report, MembersChanged):
        numbers = [number_of(str(participant.person.jid)) or "" for participant in report.people]
        people = [_member(accounts, group.mode, number, "member") for number in numbers]
        versions = {"v_id": group.version, "prev_v_id": group.version - 1}
        yield Node(_TAGS[report.change], versions, people)
    elif isinstance(report, GroupChanged):
        yield from _settings(accounts, group, report)


def _settings(accounts: Accounts, group: Gathering, report: GroupChanged) -> Iterator[Node]:
    version = {"v_id": group.version}
    if report.subject is not UNSET:
        number = number_of(report.sender) if report.sender is not UNSET else None
        by: Jid | None = accounts.get(number).jid(group.mode) if number else None
        yield Node("subject", {"subject": report.subject, "s_t": report.timestamp // 1000, "s_o": by})
    if report.description is not UNSET:
        body = Node("body", {}, report.description) if report.description else Node("delete")
        yield Node("description", {"id": group.topic or "none"}, [body])
    if report.is_announce is not UNSET:
        yield Node("announcement" if report.is_announce else "not_announcement", version)
    if report.is_locked is not UNSET:
        yield Node("locked" if report.is_locked else "unlocked")
    if report.new_invite_link is not UNSET:
        yield Node("invite", {"code": code_of(report.new_invite_link)})


def _member(accounts: Accounts, mode: str, number: str, role: str) -> Node:
    account = accounts.get(number)
    other = {"phone_number": account.jid(PHONE)} if mode == HIDDEN else {"lid": account.jid(HIDDEN)}
    return Node("participant", {"jid": account.jid(mode), "type": None if role == "member" else role, **other})
