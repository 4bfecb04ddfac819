"""Groups and members as a session last saw them, and changing them through the network.

What is stored here is a copy: WhatsApp decides, engines report, and only reports change rows. Functions that take a
`tx` return the facts that their caller records in the same transaction.
Called by workers/inbox (seen, changed, moved) and api/groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.database import Row, Tx
from wagate.errors import BadRequest, NotAMember, NotFound, NotGroupAdmin, Refused, WagateError
from wagate.gateway import Gateway, Window, actions, chats, contacts, media, sessions
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import Maybe, jid
from wagate.model.actions import (
    Action,
    DemoteMember,
    ListPending,
    PromoteMember,
    RemoveMember,
    SetAnnounce,
    SetDescription,
    SetGroupPicture,
    SetLocked,
    SetSubject,
)
from wagate.model.contacts import Person
from wagate.model.events import GroupParticipant, GroupUpdate
from wagate.model.groups import (
    Group,
    GroupChanged,
    GroupMember,
    GroupSeen,
    MembersChanged,
    Participant,
    PendingMember,
    PictureSet,
    UpdateGroup,
)
from wagate.model.organizations import Caller

Step = RemoveMember | PromoteMember | DemoteMember

_UPSERT = """
INSERT INTO groups (organization_id, session_id, group_jid, subject, description, owner_jid, is_announce, is_locked,
  created_at_wa, first_seen_at, updated_at)
VALUES (:organization_id, :session_id, :group_jid, :subject, :description, :owner_jid, :is_announce, :is_locked,
  :created_at_wa, :now, :now)
ON CONFLICT (session_id, group_jid) DO UPDATE SET subject = excluded.subject, description = excluded.description,
  owner_jid = excluded.owner_jid, is_announce = excluded.is_announce, is_locked = excluded.is_locked,
  created_at_wa = excluded.created_at_wa, updated_at = excluded.updated_at
"""
_CHANGE = """
UPDATE groups SET subject = COALESCE(CAST(:subject AS TEXT), subject),
  description = COALESCE(CAST(:description AS TEXT), description),
  is_announce = COALESCE(CAST(:is_announce AS BIGINT), is_announce),
  is_locked = COALESCE(CAST(:is_locked AS BIGINT), is_locked), updated_at = :now
WHERE organization_id = :organization_id AND session_id = :session_id AND group_jid = :group_jid
"""
_MEMBER = """
INSERT INTO members (organization_id, session_id, group_jid, jid, lid, phone_number, role, tag, present,
  first_seen_at, last_seen_at)
VALUES (:organization_id, :session_id, :group_jid, :jid, :lid, :phone_number, :role, :tag, 1, :now, :now)
ON CONFLICT (session_id, group_jid, jid) DO UPDATE SET role = excluded.role, present = 1,
  tag = COALESCE(excluded.tag, members.tag), lid = excluded.lid, phone_number = excluded.phone_number,
  last_seen_at = excluded.last_seen_at
"""
_GONE = """
UPDATE members SET present = 0, last_seen_at = :now
WHERE organization_id = :organization_id AND session_id = :session_id AND group_jid = :group_jid AND jid = :jid
  AND present = 1
"""
_ALL_GONE = """
UPDATE members SET present = 0
WHERE organization_id = :organization_id AND session_id = :session_id AND group_jid = :group_jid AND present = 1
"""
# Members who are no contact yet, or are not known to be in a group, or by another address than now.
_STRANGERS = """
SELECT m.jid, m.lid FROM members m LEFT JOIN contacts c ON c.organization_id = m.organization_id
  AND c.session_id = m.session_id AND (c.jid = m.jid OR c.lid = m.jid)
WHERE m.organization_id = :organization_id AND m.session_id = :session_id AND m.group_jid = :group_jid
  AND m.present = 1 AND (c.id IS NULL OR c.grouped = 0 OR (c.lid IS NULL AND m.lid <> m.jid) OR c.lid <> m.lid)
ORDER BY m.id
"""
_LIST = """
SELECT g.id, g.group_jid, g.first_seen_at, g.updated_at, g.subject, g.description, g.owner_jid, g.is_announce,
  g.is_locked, g.created_at_wa, (SELECT COUNT(*) FROM members m WHERE m.organization_id = g.organization_id
    AND m.session_id = g.session_id AND m.group_jid = g.group_jid AND m.present = 1)
FROM groups g WHERE g.organization_id = :organization_id AND g.session_id = :session_id
  AND g.id > :after AND (:group_jid = '' OR g.group_jid = :group_jid)
ORDER BY g.id LIMIT :limit
"""
_MEMBERS = """
SELECT id, session_id, group_jid, lid, role, first_seen_at, last_seen_at, tag, phone_number FROM members
WHERE organization_id = :organization_id AND session_id = :session_id AND group_jid = :group_jid AND present = 1
  AND id > :after ORDER BY id LIMIT :limit
"""
_TAG = """
UPDATE groups SET tags = :tags
WHERE organization_id = :organization_id AND session_id = :session_id AND group_jid = :group_jid
"""
_TAGS = """
SELECT group_jid, tags FROM groups
WHERE organization_id = :organization_id AND session_id = :session_id AND tags IS NOT NULL
"""
_EVERY_MEMBER = """
SELECT id, session_id, group_jid, lid, role, first_seen_at, last_seen_at, tag, phone_number FROM members
WHERE organization_id = :organization_id AND session_id = :session_id AND present = 1
  AND group_jid IN ({each:groups}) ORDER BY id
"""


async def seen(tx: Tx, held: Held, now: int, report: GroupSeen) -> list[Fact]:
    """Store a whole group; it replaces what was stored.

    Nothing happened, it was only looked at: the only facts are about chats that were joined, as both addresses of a
    member were learnt.
    """
    place = _place(held, report.group_jid)
    await tx.run(
        _UPSERT,
        **place,
        subject=report.subject,
        description=report.description or None,
        owner_jid=None if isinstance(report.owner, UnsetType) else contacts.canonical(report.owner),
        is_announce=int(report.is_announce),
        is_locked=int(report.is_locked),
        created_at_wa=report.created_at_wa or None,
        now=now,
    )
    await chats.rename(tx, held, report.group_jid, report.subject)
    await tx.run(_ALL_GONE, **place)
    for member in report.members:
        await _store_member(tx, held, now, report.group_jid, member)
    facts: list[Fact] = []
    for phone, lid in await tx.all(_STRANGERS, **place):
        both = Person(jid=phone if jid.is_phone(phone) else UNSET, lid=lid if jid.is_lid(lid) else UNSET)
        facts += await contacts.seen(tx, held, now, both, source="group")
    return facts


async def changed(tx: Tx, held: Held, now: int, report: GroupChanged) -> list[Fact]:
    """Store changed settings."""
    await tx.run(
        _CHANGE,
        **_place(held, report.group_jid),
        subject=_or_none(report.subject),
        description=_or_none(report.description),
        is_announce=_flag(report.is_announce),
        is_locked=_flag(report.is_locked),
        now=now,
    )
    if isinstance(report.subject, str):
        await chats.rename(tx, held, report.group_jid, report.subject)
    told = msgspec.structs.replace(report, sender=await _known(tx, held, report.sender))
    update = msgspec.convert(msgspec.to_builtins(told), GroupUpdate)
    return [("group.update", update)]


async def moved(tx: Tx, held: Held, now: int, report: MembersChanged) -> list[Fact]:
    """Store who came, went, rose or fell."""
    place = _place(held, report.group_jid)
    facts: list[Fact] = []
    for member in report.people:
        facts += await contacts.seen(tx, held, now, member.person, source="group")
    people = [contacts.canonical(await contacts.completed(tx, held, member.person)) for member in report.people]
    if report.change == "leave":
        # Also when the account itself left: the others stand as it last saw them.
        for person in people:
            await tx.run(_GONE, **place, jid=person, now=now)
    else:
        for member in report.people:
            await _store_member(tx, held, now, report.group_jid, member)
    payload: dict[str, object] = {"groupJid": report.group_jid, "timestamp": report.timestamp, report.change: people}
    sender = await _known(tx, held, report.sender)
    if isinstance(sender, str):
        payload["sender"] = sender
    return [*facts, ("group.participant", msgspec.convert(payload, GroupParticipant))]


async def page(gw: Gateway, caller: Caller, session_id: str, window: Window) -> tuple[list[Group], list[int] | None]:
    """The groups that the session has stored, in the order in which it first saw them."""
    await sessions.require(gw.db, caller, session_id)
    rows = await gw.db.all(
        _LIST,
        organization_id=caller.organization_id,
        session_id=session_id,
        group_jid="",
        after=window.after[0] if window.after else 0,
        limit=window.limit + 1,
    )
    found = [_group(row) for row in rows[: window.limit]]
    return found, [found[-1].id] if len(rows) > window.limit else None


async def get(gw: Gateway, caller: Caller, session_id: str, group_jid: str) -> Group:
    """A group that the session has stored.

    Raises:
        NotFound: it has not, whatever other sessions have.
    """
    await sessions.require(gw.db, caller, session_id)
    row = await gw.db.one(
        _LIST,
        organization_id=caller.organization_id,
        session_id=session_id,
        group_jid=group_jid,
        after=0,
        limit=1,
    )
    if row is None or not jid.is_group_input(group_jid):
        raise NotFound("group not found")
    return _group(row)


async def members(
    gw: Gateway, caller: Caller, session_id: str, group_jid: str, window: Window
) -> tuple[list[GroupMember], list[int] | None]:
    """The group's present members."""
    await get(gw, caller, session_id, group_jid)
    rows = await gw.db.all(
        _MEMBERS,
        organization_id=caller.organization_id,
        session_id=session_id,
        group_jid=group_jid,
        after=window.after[0] if window.after else 0,
        limit=window.limit + 1,
    )
    found = [_member(row) for row in rows[: window.limit]]
    return found, [found[-1].id] if len(rows) > window.limit else None


async def members_of(
    gw: Gateway, caller: Caller, session_id: str, group_jids: Sequence[str]
) -> dict[str, list[GroupMember]]:
    """The present members of many groups at once, by group."""
    await sessions.require(gw.db, caller, session_id)
    found: dict[str, list[GroupMember]] = {group_jid: [] for group_jid in group_jids}
    rows = await gw.db.all(
        _EVERY_MEMBER,
        organization_id=caller.organization_id,
        session_id=session_id,
        groups=msgspec.json.encode(list(group_jids)).decode(),
    )
    for row in rows:
        found[row[2]].append(_member(row))
    return found


async def tag(gw: Gateway, caller: Caller, session_id: str, group_jid: str, tags: Sequence[str]) -> None:
    """Mark a stored group with the organization's own words, in place of earlier ones; the network is not told."""
    text = msgspec.json.encode(list(dict.fromkeys(tags))).decode() if tags else None

    async def work(tx: Tx) -> None:
        await sessions.require(tx, caller, session_id)
        here = {"organization_id": caller.organization_id, "session_id": session_id}
        await tx.run(_TAG, **here, group_jid=group_jid, tags=text)

    await gw.db.write(work)


async def tags(gw: Gateway, caller: Caller, session_id: str) -> dict[str, list[str]]:
    """The tags of the session's groups; groups without any are not there."""
    await sessions.require(gw.db, caller, session_id)
    rows = await gw.db.all(_TAGS, organization_id=caller.organization_id, session_id=session_id)
    return {row[0]: msgspec.json.decode(row[1], type=list[str]) for row in rows}


async def update(gw: Gateway, caller: Caller, session_id: str, group_jid: str, wish: UpdateGroup) -> None:
    """Apply each present field, one operation of WhatsApp each, in the order subject, description, announce, locked.

    Raises:
        BadRequest: no field at all.
        WagateError: the first that failed; the earlier ones stand, and `details.applied` names them.
    """
    steps: list[tuple[str, Action]] = []
    if isinstance(wish.subject, str):
        steps.append(("subject", SetSubject(group=group_jid, subject=wish.subject)))
    if isinstance(wish.description, str):
        steps.append(("description", SetDescription(group=group_jid, description=wish.description)))
    if isinstance(wish.announce, bool):
        steps.append(("announce", SetAnnounce(group=group_jid, announce=wish.announce)))
    if isinstance(wish.locked, bool):
        steps.append(("locked", SetLocked(group=group_jid, locked=wish.locked)))
    session = await sessions.require(gw.db, caller, session_id)
    if not steps:
        raise BadRequest.field("", "at least one field is needed")
    applied: list[str] = []
    for name, action in steps:
        try:
            await ask(gw, caller, session.id, action, group=group_jid)
        except WagateError as error:
            error.details["applied"] = applied
            raise
        applied.append(name)


async def ask(gw: Gateway, caller: Caller, session_id: str, action: Action, *, group: str) -> Any:
    """Ask for something live about a group. A path segment that names no group is 404, after connection and session."""
    await actions.require_connected(gw, caller, session_id)
    if not jid.is_group_input(group):
        raise NotFound("group not found")
    return await actions.ask(gw, caller, session_id, action)


async def change_members(gw: Gateway, caller: Caller, session_id: str, steps: Sequence[Step]) -> list[str]:
    """Remove, promote or demote one person after the other; whom it was done to. A person's own refusal stops nobody.

    Raises:
        WagateError: the first refusal, after the others had their turn, or at once what concerns all of them. Those
            to whom it was done stay so, and `details.applied` names them, `details.failed` those who were refused.
    """
    applied: list[str] = []
    failed: list[dict[str, str]] = []
    first: WagateError | None = None
    for step in steps:
        try:
            await ask(gw, caller, session_id, step, group=step.group)
        except WagateError as error:
            first = first or error
            failed.append({"id": step.person, "reason": error.message or error.code})
            if not _is_theirs(error):
                break
        else:
            applied.append(step.person)
    if first is not None:
        first.details.update(applied=applied, failed=failed)
        raise first
    return applied


def _is_theirs(error: WagateError) -> bool:
    """Whether a refusal is about the one person that it was asked for, and not about the account or the line."""
    return isinstance(error, NotFound | Refused) and not isinstance(error, NotAMember | NotGroupAdmin)


async def pending(
    gw: Gateway, caller: Caller, session_id: str, group: str, window: Window
) -> tuple[list[PendingMember], list[Any] | None]:
    """Who asks to join, as WhatsApp says now, in the order in which they asked."""
    found: list[PendingMember] = await ask(gw, caller, session_id, ListPending(group=group), group=group)
    after = tuple(window.after) if window.after else (-1, "")
    waiting = sorted((each.requested_at, each.jid, each) for each in found if (each.requested_at, each.jid) > after)
    page = [each for _, _, each in waiting[: window.limit]]
    return page, [page[-1].requested_at, page[-1].jid] if len(waiting) > window.limit else None


async def set_picture(gw: Gateway, caller: Caller, session_id: str, group: str, picture: media.Offered) -> PictureSet:
    """Give a group a picture. The bytes are the network's when this returns; our own copy goes.

    Raises:
        BadRequest: it is no JPEG, or cannot be had; what the body itself shows is refused before the connection counts.
    """
    await sessions.require(gw.db, caller, session_id)
    await media.examine(gw, caller, picture)
    await actions.require_connected(gw, caller, session_id)
    if not jid.is_group_input(group):
        raise NotFound("group not found")
    files = await media.take_in(gw, caller, [picture], session_id=session_id)
    try:
        action = SetGroupPicture(group=group, media=files[0].id or "")
        answer: PictureSet = await actions.ask(gw, caller, session_id, action)
    finally:
        await media.discard(gw, caller, files)
    return answer


async def _known(tx: Tx, held: Held, sender: Maybe[str]) -> Maybe[str]:
    return await contacts.resolve(tx, held.organization_id, held.id, sender) if isinstance(sender, str) else UNSET


async def _store_member(tx: Tx, held: Held, now: int, group_jid: str, told: Participant) -> None:
    member = msgspec.structs.replace(told, person=await contacts.completed(tx, held, told.person))
    canonical = contacts.canonical(member.person)
    await tx.run(
        _MEMBER,
        **_place(held, group_jid),
        jid=canonical,
        lid=member.person.lid or canonical,
        phone_number=jid.user(member.person.jid) if isinstance(member.person.jid, str) else None,
        role=member.role,
        tag=member.tag or None,
        now=now,
    )


def _place(held: Held, group_jid: str) -> dict[str, Any]:
    return {"organization_id": held.organization_id, "session_id": held.id, "group_jid": group_jid}


def _or_none(value: Maybe[str]) -> str | None:
    return None if isinstance(value, UnsetType) else value


def _flag(value: Maybe[bool]) -> int | None:
    return None if isinstance(value, UnsetType) else int(value)


def _group(row: Row) -> Group:
    return Group(
        id=row[0],
        group_jid=row[1],
        first_seen_at=row[2],
        updated_at=row[3],
        subject=UNSET if row[4] is None else row[4],
        description=row[5] or UNSET,
        owner_jid=UNSET if row[6] is None else row[6],
        is_announce=UNSET if row[7] is None else row[7] == 1,
        is_locked=UNSET if row[8] is None else row[8] == 1,
        created_at_wa=UNSET if row[9] is None else row[9],
        participant_count=row[10],
    )


def _member(row: Row) -> GroupMember:
    return GroupMember(
        id=row[0],
        session_id=row[1],
        group_jid=row[2],
        lid=row[3],
        role=row[4],
        first_seen_at=row[5],
        last_seen_at=row[6],
        tag=UNSET if row[7] is None else row[7],
        phone_number=UNSET if row[8] is None else row[8],
    )
