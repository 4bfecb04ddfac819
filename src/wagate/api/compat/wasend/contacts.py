"""Contacts: listed, looked up, checked, pictured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta

from wagate.api.compat.wasend import naming, shapes
from wagate.api.compat.wasend.naming import digits, shown
from wagate.api.compat.wasend.serving import Sorting, part, served
from wagate.api.compat.wasend.shapes import PictureTold
from wagate.api.lists import EVERYTHING
from wagate.api.operations import READ, Call
from wagate.api.sessions import LIVE
from wagate.errors import BadRequest, Conflict, NotFound
from wagate.gateway import Window, actions, contacts
from wagate.model import Ask, Line, Maybe, Shape, jid
from wagate.model import actions as live
from wagate.model.contacts import ContactCheck, Picture
from wagate.model.sessions import Session

_USUAL = 10
_Session = Annotated[Line, Meta(max_length=200)]


class ContactsQuery(Sorting, frozen=True, kw_only=True):
    """Which contacts, of which session."""

    session: _Session | None = None
    sort_by: Literal["id", "name"] | None = None
    sort_order: Literal["asc", "desc"] | None = None


class ContactQuery(Ask, frozen=True, kw_only=True):
    """Who, and which session asks. `refresh` changes nothing: what is live is always asked for anew."""

    session: _Session | None = None
    contact_id: Annotated[str, Meta(max_length=128)] | None = None
    refresh: bool | None = None


class CheckQuery(Ask, frozen=True, kw_only=True):
    """A number to look for."""

    session: _Session | None = None
    phone: Annotated[str, Meta(max_length=64)] | None = None


class ContactTold(Shape, frozen=True, kw_only=True):
    """Somebody whom the session knows. `phoneNumber` is empty where WhatsApp hides it."""

    id: str
    phone_number: str
    name: Maybe[str] = UNSET
    push_name: Maybe[str] = UNSET
    business_profile: Maybe[dict[str, str]] = UNSET


class Checked(Shape, frozen=True, kw_only=True):
    """Whether a number is on WhatsApp."""

    exists: bool
    phone: str
    jid: Maybe[str] = UNSET


async def list_contacts(call: Call) -> list[ContactTold]:
    """List the session's contacts."""
    query: ContactsQuery = call.query
    session = await _session(call)
    everyone = Window(EVERYTHING)
    rows, _ = await contacts.page(call.gw, call.caller, session.id, everyone, contacts.Search())
    told = [
        _told(f"{each.phone_number}@{jid.PHONE}" if each.phone_number else each.lid, each.name, each.business_name)
        for each in rows
    ]
    if query.sort_by is not None or query.sort_order is not None:
        told.sort(
            key=lambda each: each.id if query.sort_by != "name" else (each.name or "").casefold(),
            reverse=query.sort_order == "desc",
        )
    return part(told, query, usual=_USUAL)


async def get_contact(call: Call) -> ContactTold:
    """Get what is known of somebody."""
    session, person = await _session(call), _person(call)
    known = (await contacts.get(call.gw, call.caller, session.id, person)).identity
    if not known:
        return _told(person, UNSET, UNSET)
    return _told(known.phone_jid or known.lid, known.name, known.business_name)


async def check_contact(call: Call) -> Checked:
    """Ask whether a number is on WhatsApp."""
    if call.query.phone is None:
        raise BadRequest.field("phone", "is missing")
    session, number = await _session(call), jid.phone(call.query.phone.partition("@")[0])
    found: ContactCheck = await actions.ask(call.gw, call.caller, session.id, live.CheckContact(phone=number))
    return Checked(
        exists=found.is_on_whatsapp, phone=number, jid=shown(found.jid) if isinstance(found.jid, str) else UNSET
    )


async def get_picture(call: Call) -> PictureTold:
    """Get where somebody's picture is."""
    session, who = await _session(call), _person(call)
    found: Picture = await actions.ask(call.gw, call.caller, session.id, live.GetPicture(jid=who))
    return shapes.picture(found.url, found.id)


async def _session(call: Call) -> Session:
    return await naming.session(call, call.query.session)


def _person(call: Call) -> str:
    if call.query.contact_id is None:
        raise BadRequest.field("contactId", "is missing")
    return jid.person(call.query.contact_id, "contactId")


def _told(address: str, name: Maybe[str], business: Maybe[str]) -> ContactTold:
    return ContactTold(
        id=shown(address),
        phone_number=digits(address),
        name=name,
        push_name=name,
        business_profile={"name": business} if isinstance(business, str) else UNSET,
    )


_ERRORS = (NotFound, BadRequest, Conflict)
_FORMS: dict[str, Any] = {"capability": READ}
SERVED = [
    served(
        "getContacts",
        "GET /contacts/all",
        list_contacts,
        sdk="getContacts",
        query=ContactsQuery,
        answer=list[ContactTold],
        errors=_ERRORS,
        difference="10 without a limit, as the SDK says. The order is that in which people were first seen, unless "
        "another is asked for.",
        **_FORMS,
    ),
    served(
        "getContact",
        "GET /contacts",
        get_contact,
        sdk="getContact",
        query=ContactQuery,
        answer=ContactTold,
        errors=_ERRORS,
        difference="Of people whom the session knows; others are 404. Without status and profilePictureUrl, which are "
        "asked of WhatsApp one by one.",
        **_FORMS,
    ),
    served(
        "checkContactExists",
        "GET /contacts/check-exists",
        check_contact,
        sdk="checkContactExists",
        query=CheckQuery,
        answer=Checked,
        errors=(*LIVE, BadRequest, Conflict),
        **_FORMS,
    ),
    served(
        "getContactProfilePicture",
        "GET /contacts/profile-picture",
        get_picture,
        sdk="getContactProfilePicture",
        query=ContactQuery,
        answer=PictureTold,
        errors=(*LIVE, BadRequest, Conflict),
        difference="Always asked for anew. No picture, or a hidden one: 404. WhatsApp tells neither format nor size; "
        "on the sandbox the url is empty.",
        **_FORMS,
    ),
]
