"""Participants of groups: listed, added, removed, promoted, demoted."""

from __future__ import annotations

from typing import Any

from wagate.api import groups as native
from wagate.api.compat.wasend import naming, shapes
from wagate.api.compat.wasend.serving import ADMIN, served
from wagate.api.compat.wasend.shapes import Participant
from wagate.api.lists import EVERYTHING
from wagate.api.operations import READ, SEND, Call
from wagate.errors import BadRequest
from wagate.gateway import Window, groups
from wagate.model import Ask, Shape
from wagate.model import actions as live
from wagate.model.groups import AddResults, People

_ADDED = ("added", "already_member")


class Whom(Ask, frozen=True, kw_only=True):
    """Whom it is about. `notify` has no counterpart: WhatsApp tells a group what happens in it."""

    participants: People
    notify: bool | None = None


class Participants(Shape, frozen=True, kw_only=True):
    """A group's participants as the documentation lists them."""

    success: bool = True
    participants: list[Participant]
    error: None = None


class Outcome(Shape, frozen=True, kw_only=True):
    """Who is in the group now, and who could not be added, and why."""

    added: list[str]
    failed: list[dict[str, Any]]


class Added(Shape, frozen=True, kw_only=True):
    """What became of those who were to be added."""

    success: bool = True
    data: Outcome


async def list_participants(call: Call) -> Any:
    """List a group's participants as they were last seen."""
    where = call.gw, call.caller, call.path["session"], call.path["gid"]
    members, _ = await groups.members(*where, Window(EVERYTHING))
    told = [shapes.participant(each) for each in members]
    return told if naming.is_sdk(call) else Participants(participants=told)


async def add_participants(call: Call) -> Added:
    """Add people to a group; those who cannot be added do not fail the call."""
    results: AddResults = await groups.ask(
        call.gw,
        call.caller,
        call.path["session"],
        live.AddMembers(group=call.path["gid"], people=native.people(call.body.participants)),
        group=call.path["gid"],
    )
    outcome = Outcome(
        added=[each.jid for each in results.results if each.status in _ADDED],
        failed=[{"id": each.jid, "reason": each.status} for each in results.results if each.status not in _ADDED],
    )
    return Added(data=outcome)


async def remove_participants(call: Call) -> dict[str, Any]:
    """Remove people from a group; also those who are not in it."""
    return await _each(call, live.RemoveMember, "removed")


async def promote_participants(call: Call) -> dict[str, Any]:
    """Make members admins."""
    return await _each(call, live.PromoteMember, "promoted")


async def demote_participants(call: Call) -> dict[str, Any]:
    """Make admins members again."""
    return await _each(call, live.DemoteMember, "demoted")


async def _each(call: Call, action: type[groups.Step], done: str) -> dict[str, Any]:
    steps = [action(group=call.path["gid"], person=each) for each in native.people(call.body.participants)]
    return {"success": True, done: await groups.change_members(call.gw, call.caller, call.path["session"], steps)}


_GROUP = "/{session}/groups/{gid}"
_WHOM = {"capability": SEND, "body": Whom, "answer": dict[str, Any], "errors": (*ADMIN, BadRequest)}
_NOTIFY = "notify has no effect."
_ONE = (
    "One after the other. Whoever is no member stops nobody: the error comes when all had their turn, and names in "
    f"`applied` those to whom it was done, in `failed` those who were refused. {_NOTIFY}"
)
SERVED = [
    served(
        "getGroupParticipants",
        f"GET {_GROUP}/participants",
        list_participants,
        sdk="getGroupParticipants",
        capability=READ,
        answer=list[Participant],
        difference="The SDK gets an array, everybody else `{success, participants, error}`. As last seen.",
    ),
    served(
        "addGroupParticipants",
        f"POST {_GROUP}/participants/add",
        add_participants,
        sdk="addGroupParticipants",
        difference=f"Whoever cannot be added is in `data.failed`, with the reason. {_NOTIFY}",
        **_WHOM | {"answer": Added},
    ),
    *(
        served(id, f"{request} {_GROUP}/{path}", run, sdk=sdk, difference=_ONE, **_WHOM)
        for id, request, path, run, sdk in (
            (
                "removeGroupParticipants",
                "POST",
                "participants/remove",
                remove_participants,
                "removeGroupParticipants",
            ),
            ("deleteGroupParticipants", "DELETE", "participants", remove_participants, ""),
            ("promoteGroupParticipants", "POST", "admin/promote", promote_participants, "promoteGroupParticipants"),
            ("promoteParticipants", "POST", "participants/promote", promote_participants, ""),
            ("demoteGroupParticipants", "POST", "admin/demote", demote_participants, "demoteGroupParticipants"),
            ("demoteParticipants", "POST", "participants/demote", demote_participants, ""),
        )
    ),
]
