"""Contacts: who is who, by phone number and by LID.

A person's two addresses stand in one row as soon as they are known to be one. Called by workers/runner and messages
(seen), chats (addresses).
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from wagate.backends.database import Reader, Row, Tx
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import Maybe, jid
from wagate.model.contacts import Person
from wagate.model.events import ContactUpdate

_FIND = """
SELECT id, jid, lid, push_name, full_name, business_name FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND (jid = :jid OR lid = :lid) ORDER BY id
"""
_INSERT = """
INSERT INTO contacts (organization_id, session_id, jid, lid, push_name, full_name, business_name, first_seen_at,
  updated_at)
VALUES (:organization_id, :session_id, :jid, :lid, :push_name, :full_name, :business_name, :now, :now)
"""
_UPDATE = """
UPDATE contacts SET jid = :jid, lid = :lid, push_name = :push_name, full_name = :full_name,
  business_name = :business_name, updated_at = :now
WHERE organization_id = :organization_id AND id = :id
"""
_DELETE = "DELETE FROM contacts WHERE organization_id = :organization_id AND id = :id"

_PHONE_OF = """
SELECT jid FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND lid = :lid AND jid IS NOT NULL
"""
_PHONE_IN_GROUPS = """
SELECT jid FROM members
WHERE organization_id = :organization_id AND session_id = :session_id AND lid = :lid AND jid <> lid LIMIT 1
"""


async def seen(tx: Tx, held: Held, now: int, person: Person) -> list[Fact]:
    """Keep what is known of a person; a fact when a name was learnt or changed for one that was known before."""
    if isinstance(person.jid, UnsetType) and isinstance(person.lid, UnsetType):
        return []
    place = {"organization_id": held.organization_id, "session_id": held.id}
    rows = await tx.all(_FIND, **place, jid=person.jid or "", lid=person.lid or "")
    new = _columns(person)
    if not rows:
        await tx.run(_INSERT, **place, **new, now=now)
        return []
    old = _merged(rows)
    after = {name: new[name] if new[name] is not None else old[name] for name in new}
    if after == old and len(rows) == 1:
        return []
    for row in rows[1:]:
        await tx.run(_DELETE, organization_id=held.organization_id, id=row[0])
    await tx.run(_UPDATE, organization_id=held.organization_id, id=rows[0][0], **after, now=now)
    if after["push_name"] == old["push_name"] and after["full_name"] == old["full_name"]:
        return []
    update = ContactUpdate(
        jid=after["jid"] or after["lid"] or "",
        push_name=after["push_name"] or UNSET,
        full_name=after["full_name"] or UNSET,
    )
    return [("contact.update", update)]


async def addresses(reader: Reader, organization_id: str, session_id: str, address: str) -> list[str]:
    """An address and the other one of the same person, if known."""
    if not (jid.is_phone(address) or jid.is_lid(address)):
        return [address]
    rows = await reader.all(_FIND, organization_id=organization_id, session_id=session_id, jid=address, lid=address)
    return list(dict.fromkeys([address, *(a for row in rows for a in (row[1], row[2]) if a is not None)]))


async def resolve(reader: Reader, organization_id: str, session_id: str, address: str) -> str:
    """The chat's JID as clients see it: a LID becomes the phone JID if that is known, from contacts or from groups."""
    if not jid.is_lid(address):
        return address
    here = {"organization_id": organization_id, "session_id": session_id}
    for row in [
        *await reader.all(_PHONE_OF, **here, lid=address),
        *await reader.all(_PHONE_IN_GROUPS, **here, lid=address),
    ]:
        return str(row[0])
    return address


def canonical(person: Person) -> str:
    """The person's JID as clients see it: the phone JID if it is known, else the LID."""
    return person.jid or person.lid or ""


def _columns(person: Person) -> dict[str, str | None]:
    def text(value: Maybe[str]) -> str | None:
        return value or None

    return {
        "jid": text(person.jid),
        "lid": text(person.lid),
        "push_name": text(person.push_name),
        "full_name": text(person.full_name),
        "business_name": text(person.business_name),
    }


def _merged(rows: list[Row]) -> dict[str, str | None]:
    names = ("jid", "lid", "push_name", "full_name", "business_name")
    return {name: next((row[i] for row in rows if row[i] is not None), None) for i, name in enumerate(names, start=1)}
