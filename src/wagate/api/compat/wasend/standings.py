"""Groups as lists and counts show them: searched, sorted, and by how they stand with the account."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from wagate.api.compat.wasend import naming, shapes
from wagate.api.compat.wasend.serving import Sorting, part, served
from wagate.api.compat.wasend.shapes import GroupTold
from wagate.api.lists import EVERYTHING
from wagate.api.operations import READ, Call
from wagate.errors import BadRequest
from wagate.gateway import Window, groups, standings
from wagate.model import Shape
from wagate.model.groups import Group, Standing

USUAL = 50
_EVERY = Window(EVERYTHING)
_SORTS: dict[str, Any] = {
    "id": lambda group: group.group_jid,
    "subject": lambda group: (group.subject or "").casefold(),
    "creation": lambda group: group.created_at_wa or 0,
    "participantsCount": lambda group: group.participant_count or 0,
}


class GroupsQuery(Sorting, frozen=True, kw_only=True):
    """Which groups."""

    sort_by: Literal["id", "subject", "creation", "participantsCount"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    exclude: list[str] | None = None
    excluded: list[str] | None = msgspec.field(name="exclude[]", default=None)
    status: str | None = None
    search: Annotated[str, Meta(max_length=100)] | None = None
    tags: list[str] | None = None
    tagged: list[str] | None = msgspec.field(name="tags[]", default=None)


class Pagination(Shape, frozen=True, kw_only=True):
    """Which part of a list it is."""

    total: int
    limit: int
    offset: int
    has_more: bool


class GroupsPage(Shape, frozen=True, kw_only=True):
    """Groups as the documentation lists them."""

    groups: list[GroupTold]
    pagination: Pagination


async def list_groups(call: Call) -> Any:
    """List the groups that the account is in."""
    query: GroupsQuery = call.query
    found, stands = await _found(call)
    chosen = part(found, query, usual=USUAL)
    without = "participants" in [*(query.exclude or []), *(query.excluded or [])]
    where = call.gw, call.caller, call.path["session"]
    members = {} if without else await groups.members_of(*where, [each.group_jid for each in chosen])
    tags = await groups.tags(*where)
    told = [
        shapes.told(
            each,
            members.get(each.group_jid, []),
            tags=tags.get(each.group_jid, ()),
            status=stands[each.group_jid],
        )
        for each in chosen
    ]
    if naming.is_sdk(call):
        return told
    start = max(query.offset or 0, 0)
    limit = max(query.limit, 1) if query.limit else USUAL
    pagination = Pagination(total=len(found), limit=limit, offset=start, has_more=start + len(told) < len(found))
    return GroupsPage(groups=told, pagination=pagination)


async def _found(call: Call) -> tuple[list[Group], dict[str, Standing]]:
    """The groups that the query's filters leave, in its order, and how all of the session's groups stand."""
    query: GroupsQuery = call.query
    where = call.gw, call.caller, call.path["session"]
    stored, _ = await groups.page(*where, _EVERY)
    stands = await standings.of(*where)
    wanted = _wanted(query.status)
    words = (query.search or "").strip().casefold()
    asked = {*(query.tags or []), *(query.tagged or [])}
    tags = await groups.tags(*where) if asked else {}
    found = [
        each
        for each in stored
        if stands.get(each.group_jid) in wanted
        and words in f"{each.subject or ''}\n{each.description or ''}".casefold()
        and asked.issubset(tags.get(each.group_jid, ()))
    ]
    if query.sort_by is not None or query.sort_order is not None:
        found.sort(key=_SORTS[query.sort_by or "creation"], reverse=query.sort_order == "desc")
    return found, stands


def _wanted(status: str | None) -> tuple[str, ...]:
    """Which statuses are asked for; unsaid, those of groups that the account is in."""
    if not status:
        return ("active", "archived")
    if status.lower() not in ("active", "archived", "deleted"):
        raise BadRequest.field("status", "is none of active, archived and deleted")
    return (status.lower(),)


async def count_groups(call: Call) -> dict[str, Any]:
    """Count the groups that the account is in, and how groups stand."""
    stands = list((await standings.of(call.gw, call.caller, call.path["session"])).values())
    counts = {status: stands.count(status) for status in ("active", "archived", "deleted")}
    total = counts["active"] + counts["archived"]
    if naming.is_sdk(call):
        return {"total": total, "byStatus": {status.upper(): str(count) for status, count in counts.items()}}
    return {"total": total, "byStatus": counts}


_GROUPS = "/{session}/groups"
SERVED = [
    served(
        "getGroups",
        f"GET {_GROUPS}",
        list_groups,
        sdk="getGroups",
        capability=READ,
        query=GroupsQuery,
        answer=list[GroupTold],
        difference="The SDK gets an array, everybody else `{groups, pagination}`. Without a status: the groups that "
        "the account is in; `archived` are those whose chat is archived, `deleted` those it has left. 50 without a "
        f"limit. {shapes.EMPTY}",
    ),
    served(
        "getGroupsCount",
        f"GET {_GROUPS}/count",
        count_groups,
        sdk="getGroupsCount",
        capability=READ,
        answer=dict[str, Any],
        difference="total counts the groups that the account is in. byStatus holds texts under ACTIVE, ARCHIVED and "
        "DELETED for the SDK, numbers under active, archived and deleted for everybody else.",
    ),
]
