"""Contacts: who is who as stored, and what WhatsApp says of them now."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import READ, SEND, Call, Operation
from wagate.api.sessions import LIVE, find
from wagate.errors import BadRequest, NotFound, Refused
from wagate.gateway import actions, contacts
from wagate.model import Ask, jid
from wagate.model import actions as live
from wagate.model.actions import Action
from wagate.model.contacts import About, Contact, ContactCheck, ContactDetails, ContactSource, Picture


class ContactsQuery(ListQuery, frozen=True, kw_only=True):
    """Which contacts: filters combine."""

    source: ContactSource | None = None
    group: Annotated[str, Meta(description="A group's JID: only its members.")] | None = None
    q: Annotated[str, Meta(max_length=100, description="A part of the name or number, in any case.")] | None = None


class CheckQuery(Ask, frozen=True, kw_only=True):
    """Whom to look for."""

    phone: Annotated[str, Meta(description="A phone number in international form. Required.")] | None = None


async def list_contacts(call: Call) -> Any:
    """List the session's contacts: people with a chat of their own, and members of its groups."""
    query: ContactsQuery = call.query
    if query.group is not None and not jid.is_group_input(query.group):
        raise BadRequest.field("group", "is not a group's JID")
    window = lists.window(call)
    search = contacts.Search(source=query.source, group=query.group, q=query.q or "")
    rows, following = await contacts.page(call.gw, call.caller, call.path["session"], window, search)
    return lists.page(call, rows, following)


async def check_contact(call: Call) -> Any:
    """Ask whether a phone number is on WhatsApp."""
    asked = call.query.phone
    if asked is None:
        raise BadRequest.field("phone", "is missing")
    found: ContactCheck = await _ask(call, live.CheckContact(phone=jid.phone(asked)))
    return replace(found, query=asked)


async def get_contact(call: Call) -> Any:
    """Get what is known of somebody, found by LID or phone JID."""
    person = jid.person(call.path["lid"], "lid")
    return await contacts.get(call.gw, call.caller, call.path["session"], person)


async def get_contact_about(call: Call) -> Any:
    """Get what somebody says of themselves; empty if hidden."""
    return await _ask(call, live.GetAbout(person=_person(call)))


async def get_contact_picture(call: Call) -> Any:
    """Get somebody's picture, or a group's."""
    segment = call.path["jid"]
    return await _ask(call, live.GetPicture(jid=segment if jid.is_group_input(segment) else _person(call)))


async def block_contact(call: Call) -> None:
    """Block somebody; also when they are blocked already."""
    await _ask(call, live.SetBlocked(person=_person(call), blocked=True))


async def unblock_contact(call: Call) -> None:
    """Block somebody no longer; also when they are not blocked."""
    await _ask(call, live.SetBlocked(person=_person(call), blocked=False))


async def _ask(call: Call, action: Action) -> Any:
    return await actions.ask(call.gw, call.caller, call.path["session"], action)


def _person(call: Call) -> str:
    return jid.person(call.path["jid"], "jid")


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    more = {"capability": READ, **more}
    return Operation(
        id=id, method=method, path="/sessions/{session}/contacts" + path, run=run, tag="contacts", find=find, **more
    )


_ABOUT_SOMEBODY = {"errors": (*LIVE, BadRequest)}
_BLOCK = {"capability": SEND, "statuses": (204,), "errors": (*LIVE, BadRequest, Refused)}
OPERATIONS = [
    _operation(
        "listContacts",
        "GET",
        "",
        list_contacts,
        query=ContactsQuery,
        answer=Page[Contact],
        errors=(NotFound, BadRequest),
    ),
    _operation(
        "checkContact", "GET", "/check", check_contact, query=CheckQuery, answer=ContactCheck, **_ABOUT_SOMEBODY
    ),
    _operation("getContact", "GET", "/{lid}", get_contact, answer=ContactDetails, errors=(NotFound, BadRequest)),
    _operation("getContactAbout", "GET", "/{jid}/about", get_contact_about, answer=About, **_ABOUT_SOMEBODY),
    _operation("getContactPicture", "GET", "/{jid}/picture", get_contact_picture, answer=Picture, **_ABOUT_SOMEBODY),
    _operation("blockContact", "POST", "/{jid}/block", block_contact, **_BLOCK),
    _operation("unblockContact", "POST", "/{jid}/unblock", unblock_contact, **_BLOCK),
]
