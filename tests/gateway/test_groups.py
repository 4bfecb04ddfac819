"""Groups as stored: what engines report replaces what was, and another session's copy is another's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.parts import WHOLE, caller, held, within
from wagate.errors import BadRequest, NotFound, SessionNotConnected
from wagate.gateway import Gateway, groups, sessions
from wagate.gateway.leases import Held
from wagate.model.actions import GetInvite
from wagate.model.contacts import Person
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged, Participant, UpdateGroup
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

GROUP = "120363000000000001@g.us"


def member(digit: int, role: Any = "member", **more: Any) -> Participant:
    person = Person(jid=f"999000001{digit}@s.whatsapp.net", lid=f"77700000000001{digit}@lid")
    return Participant(person=person, role=role, **more)


async def see(gw: Gateway, mine: Held, *members: Participant, **more: Any) -> None:
    fields = {"subject": "g", "description": "", "is_announce": False, "is_locked": False, **more}
    report = GroupSeen(group_jid=GROUP, members=list(members), **fields)
    assert await within(gw, lambda tx: groups.seen(tx, mine, gw.clock.now(), report)) == []


async def move(gw: Gateway, mine: Held, change: Any, *people: Participant, **more: Any) -> Any:
    report = MembersChanged(group_jid=GROUP, timestamp=1, change=change, people=list(people), **more)
    ((_, payload),) = await within(gw, lambda tx: groups.moved(tx, mine, gw.clock.now(), report))
    return payload


async def roles(gw: Gateway, who: Caller, mine: Held) -> dict[str, str]:
    rows, _ = await groups.members(gw, who, mine.id, GROUP, WHOLE)
    return {str(row.phone_number)[-1]: row.role for row in rows}


async def test_what_this_session_has_not_stored_is_not_there(gw: Gateway, who: Caller, mine: Held) -> None:
    await see(gw, mine, member(1))
    other = await held(gw, who, "9990000009")
    for session, asks in ((other.id, who), (mine.id, await caller(gw)), ("ses_nobody", who)):
        with pytest.raises(NotFound):
            await groups.get(gw, asks, session, GROUP)
        with pytest.raises(NotFound):
            await groups.members(gw, asks, session, GROUP, WHOLE)
    for name in ("", "x", "9990000001@s.whatsapp.net"):
        with pytest.raises(NotFound):
            await groups.get(gw, who, mine.id, name)


async def test_a_live_question_is_refused_in_order(gw: Gateway, who: Caller, mine: Held) -> None:
    await sessions.stop(gw, who, mine.id)
    with pytest.raises(SessionNotConnected):
        await groups.ask(gw, who, mine.id, GetInvite(group="x"), group="x")
    with pytest.raises(BadRequest):
        await groups.update(gw, who, mine.id, GROUP, UpdateGroup())
    with pytest.raises(NotFound):
        await groups.update(gw, await caller(gw), mine.id, GROUP, UpdateGroup(subject="x"))
    with pytest.raises(SessionNotConnected):
        await groups.update(gw, who, mine.id, "x", UpdateGroup(subject="x"))


async def test_a_look_replaces_what_was_stored_and_keeps_its_id(gw: Gateway, who: Caller, mine: Held) -> None:
    await see(gw, mine, member(1, "superadmin", tag="Ann"), member(2))
    before = await groups.get(gw, who, mine.id, GROUP)
    first, _ = await groups.members(gw, who, mine.id, GROUP, WHOLE)
    await gw.clock.advance(1)  # type: ignore[attr-defined]
    await see(gw, mine, member(1, "superadmin"), member(3), subject="h", is_locked=True)
    after = await groups.get(gw, who, mine.id, GROUP)
    assert (after.id, after.first_seen_at) == (before.id, before.first_seen_at)
    assert (after.subject, after.is_locked, after.participant_count) == ("h", True, 2)
    assert after.updated_at == before.updated_at + 1000
    now, _ = await groups.members(gw, who, mine.id, GROUP, WHOLE)
    assert next(row.id for row in now) == first[0].id
    assert now[0].tag == "Ann"
    assert await roles(gw, who, mine) == {"1": "superadmin", "3": "member"}


async def test_only_what_changed_changes(gw: Gateway, who: Caller, mine: Held) -> None:
    await see(gw, mine, member(1), description="d", is_announce=True)
    report = GroupChanged(group_jid=GROUP, timestamp=1, subject="new")
    ((name, payload),) = await within(gw, lambda tx: groups.changed(tx, mine, 5, report))
    assert (name, payload.subject, payload.group_jid) == ("group.update", "new", GROUP)
    now = await groups.get(gw, who, mine.id, GROUP)
    assert (now.subject, now.description, now.is_announce) == ("new", "d", True)


async def test_people_come_go_rise_and_fall(gw: Gateway, who: Caller, mine: Held) -> None:
    await see(gw, mine, member(1, "superadmin"))
    payload = await move(gw, mine, "join", member(2), sender="9990000011@s.whatsapp.net")
    assert (payload.join, payload.sender) == (["9990000012@s.whatsapp.net"], "9990000011@s.whatsapp.net")
    await move(gw, mine, "promote", member(2, "admin"))
    assert await roles(gw, who, mine) == {"1": "superadmin", "2": "admin"}
    await move(gw, mine, "demote", member(2))
    await move(gw, mine, "leave", member(1))
    assert await roles(gw, who, mine) == {"2": "member"}
    await move(gw, mine, "join", member(1))
    assert await roles(gw, who, mine) == {"1": "member", "2": "member"}
    # The account itself leaves: the others stand as it last saw them.
    await move(gw, mine, "join", member(9))
    await move(gw, mine, "leave", member(9), self_left=True)
    assert await roles(gw, who, mine) == {"1": "member", "2": "member"}
    assert (await groups.get(gw, who, mine.id, GROUP)).participant_count == 2
