"""Contacts: who is who, by phone number and by LID.

A person's two addresses stand in one row as soon as they are known to be one, and what was stored under each is joined
(aliases.py). Whoever has a chat of their own, or is in a stored group, has a row. Called by workers/inbox, messages and
groups (seen), chats (talked, addresses), whoever needs a chat's address (resolve), and api/contacts (page, get).
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType
from msgspec.json import encode
from msgspec.structs import replace

from wagate.backends.database import Reader, Row, Tx
from wagate.errors import NotFound
from wagate.gateway import Gateway, Window, aliases, sessions
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import Shape, jid
from wagate.model.contacts import Contact, ContactDetails, ContactInGroup, ContactSource, Identity, Person
from wagate.model.events import ChatUpdate, ContactUpdate
from wagate.model.organizations import Caller

_FIND = """
SELECT id, jid, lid, push_name, full_name, business_name, direct, grouped, search FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND (jid = :jid OR lid = :lid)
"""
_INSERT = """
INSERT INTO contacts (organization_id, session_id, jid, lid, push_name, full_name, business_name, direct, grouped,
  search, first_seen_at, updated_at)
VALUES (:organization_id, :session_id, :jid, :lid, :push_name, :full_name, :business_name, :direct, :grouped, :search,
  :now, :now)
ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE contacts SET jid = :jid, lid = :lid, push_name = :push_name, full_name = :full_name,
  business_name = :business_name, direct = :direct, grouped = :grouped, search = :search, updated_at = :now
WHERE organization_id = :organization_id AND id = :id
"""
_DIRECT = """
UPDATE contacts SET direct = :direct
WHERE organization_id = :organization_id AND session_id = :session_id AND (jid = :address OR lid = :address)
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
_PAGE = """
SELECT id, jid, lid, push_name, full_name, business_name, direct, grouped FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND id > :after
  AND (:q = '' OR search LIKE :words ESCAPE '!' OR search LIKE :digits ESCAPE '!') ORDER BY id LIMIT :limit
"""
_PAGE_DIRECT = _PAGE.replace("ORDER BY", "AND (direct = 1 OR grouped = 0) ORDER BY")
_PAGE_GROUPED = _PAGE.replace("ORDER BY", "AND grouped = 1 ORDER BY")
# Read by way of the group's members, of whom there are few, and not by way of all contacts.
_PAGE_OF_GROUP = """
SELECT c.id, c.jid, c.lid, c.push_name, c.full_name, c.business_name, c.direct, c.grouped
FROM members m CROSS JOIN contacts c
WHERE c.organization_id = m.organization_id AND c.session_id = m.session_id AND (c.jid = m.jid OR c.lid = m.jid)
  AND m.organization_id = :organization_id AND m.session_id = :session_id AND m.group_jid = :group_jid
  AND m.present = 1 AND c.id + 0 > :after AND (:direct = 0 OR c.direct = 1)
  AND (:q = '' OR c.search LIKE :words ESCAPE '!' OR c.search LIKE :digits ESCAPE '!') ORDER BY c.id LIMIT :limit
"""
_GET = """
SELECT id, jid, lid, push_name, full_name, business_name, first_seen_at, updated_at FROM contacts
WHERE organization_id = :organization_id AND session_id = :session_id AND (jid = :address OR lid = :address)
"""
_HAS_CHAT = """
SELECT 1 FROM chats WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :address
  AND last_message_at IS NOT NULL
"""
_IN_GROUPS = """
SELECT m.group_jid, m.role, m.last_seen_at, g.subject, m.tag FROM members m
JOIN groups g ON g.organization_id = m.organization_id AND g.session_id = m.session_id AND g.group_jid = m.group_jid
WHERE m.organization_id = :organization_id AND m.session_id = :session_id AND m.lid IN ({each:addresses})
  AND m.present = 1 ORDER BY g.id
"""
_LIKE = str.maketrans({"!": "!!", "%": "!%", "_": "!_"})
_NUMBER_MARKS = str.maketrans("", "", " +-().")


async def seen(tx: Tx, held: Held, now: int, person: Person, *, source: ContactSource | None = None) -> list[Fact]:
    """Keep what is known of a person; a fact when a name was learnt or changed for one that was known before.

    When this tells that two addresses are one person's, what was stored of both is joined; a fact if there was a chat
    by the LID. `source`: how the session knows them, if this says so.
    """
    if isinstance(person.jid, UnsetType) and isinstance(person.lid, UnsetType):
        return []
    place = {"organization_id": held.organization_id, "session_id": held.id}
    rows = await tx.all(_FIND, **place, jid=person.jid or "", lid=person.lid or "")
    rows = sorted(rows, key=lambda row: row[0])
    old = _Known.of(rows)
    after = old.told(person, source)
    if not rows:
        await tx.run(_INSERT, **place, **after.columns(), now=now)
        if after.jid and after.lid and await aliases.known_by(tx, held, after.lid):
            return await _joined(tx, held, after.jid, after.lid)
        return []
    if after == old and len(rows) == 1 and rows[0][8] == after.search():
        return []
    for row in rows[1:]:
        await tx.run(_DELETE, organization_id=held.organization_id, id=row[0])
    await tx.run(_UPDATE, organization_id=held.organization_id, id=rows[0][0], **after.columns(), now=now)
    facts: list[Fact] = []
    if after.jid and after.lid and all((row[1], row[2]) != (after.jid, after.lid) for row in rows):
        facts += await _joined(tx, held, after.jid, after.lid)
    if (after.push_name, after.full_name) == (old.push_name, old.full_name):
        return facts
    update = ContactUpdate(
        jid=after.jid or after.lid or "", push_name=after.push_name or UNSET, full_name=after.full_name or UNSET
    )
    return [*facts, ("contact.update", update)]


async def _joined(tx: Tx, held: Held, phone: str, lid: str) -> list[Fact]:
    unread = await aliases.join(tx, held, phone=phone, lid=lid)
    if unread is None:
        return []
    return [("chat.update", ChatUpdate(chat_jid=phone, change="merged", unread_count=unread))]


async def talked(tx: Tx, held: Held, now: int, address: str) -> None:
    """There is a chat with this person now: they are a contact, if they were none."""
    place = {"organization_id": held.organization_id, "session_id": held.id}
    if not await tx.run(_DIRECT, **place, address=address, direct=1):
        one = Person(jid=address) if jid.is_phone(address) else Person(lid=address)
        await tx.run(_INSERT, **place, **_Known().told(one, "dm").columns(), now=now)


async def parted(tx: Tx, organization_id: str, session_id: str, address: str) -> None:
    """The chat with this person is stored no more."""
    await tx.run(_DIRECT, organization_id=organization_id, session_id=session_id, address=address, direct=0)


async def completed(tx: Tx, held: Held, person: Person) -> Person:
    """The person with both addresses, where the store knows the one that is not told."""
    if not isinstance(person.jid, UnsetType) or isinstance(person.lid, UnsetType):
        return person
    known = await resolve(tx, held.organization_id, held.id, person.lid)
    return replace(person, jid=known) if jid.is_phone(known) else person


class Search(Shape, frozen=True, kw_only=True):
    """Which contacts: all that is set must be true. `q`: a part of the name or number, in any case."""

    source: ContactSource | None = None
    group: str | None = None
    q: str = ""


async def page(
    gw: Gateway, caller: Caller, session_id: str, window: Window, search: Search
) -> tuple[list[Contact], list[Any] | None]:
    """The session's contacts that a search finds, in the order in which they were first seen.

    Somebody with a chat of their own who is in groups too is found by either source, and shown as the one that was
    asked for; `dm` if none was.
    """
    await sessions.require(gw.db, caller, session_id)
    words = search.q.strip().casefold()
    digits = words.translate(_NUMBER_MARKS)
    asked = {
        "organization_id": caller.organization_id,
        "session_id": session_id,
        "after": window.after[0] if window.after else 0,
        "q": words,
        "words": f"%{words.translate(_LIKE)}%",
        "digits": f"%{(digits if digits.isdecimal() else words).translate(_LIKE)}%",
        "limit": window.limit + 1,
    }
    if search.group is not None:
        direct = int(search.source == "dm")
        rows = await gw.db.all(_PAGE_OF_GROUP, **asked, group_jid=search.group, direct=direct)
    elif search.source is not None:
        rows = await gw.db.all(_PAGE_DIRECT if search.source == "dm" else _PAGE_GROUPED, **asked)
    else:
        rows = await gw.db.all(_PAGE, **asked)
    shown: Literal["dm", "group"] | None = search.source or ("group" if search.group else None)
    found = [_contact(row, shown) for row in rows[: window.limit]]
    return found, [rows[window.limit - 1][0]] if len(rows) > window.limit else None


async def get(gw: Gateway, caller: Caller, session_id: str, address: str) -> ContactDetails:
    """Everything known of a person, found by either address.

    Raises:
        NotFound: the session has never heard of them.
    """
    await sessions.require(gw.db, caller, session_id)
    here = {"organization_id": caller.organization_id, "session_id": session_id}
    row = await gw.db.one(_GET, **here, address=address)
    both = await addresses(gw.db, caller.organization_id, session_id, address)
    in_groups = await gw.db.all(_IN_GROUPS, **here, addresses=encode(both).decode())
    dm = [await gw.db.one(_HAS_CHAT, **here, address=each) for each in both]
    if row is None and not in_groups and not any(dm):
        raise NotFound("contact not found")
    groups = [
        ContactInGroup(jid=g[0], role=g[1], last_seen=g[2], name=g[3] or UNSET, tag=g[4] or UNSET) for g in in_groups
    ]
    return ContactDetails(dm=any(dm), groups=groups, identity=UNSET if row is None else _identity(row))


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


class _Known(Shape, frozen=True, kw_only=True):
    """What is known of a person, as columns."""

    jid: str | None = None
    lid: str | None = None
    push_name: str | None = None
    full_name: str | None = None
    business_name: str | None = None
    direct: int = 0
    grouped: int = 0

    @classmethod
    def of(cls, rows: list[Row]) -> _Known:
        """What the rows of `_FIND` say together; the first word counts."""
        told = {
            name: next((row[i] for row in rows if row[i] is not None), None) for i, name in enumerate(_WORDS, start=1)
        }
        return cls(**told, direct=max((r[6] for r in rows), default=0), grouped=max((r[7] for r in rows), default=0))

    def told(self, person: Person, source: ContactSource | None) -> _Known:
        """And what is said now: the new word counts."""
        words = {name: getattr(person, name) or getattr(self, name) for name in _WORDS}
        return _Known(
            **words, direct=int(self.direct or source == "dm"), grouped=int(self.grouped or source == "group")
        )

    def search(self) -> str:
        """What a search looks through."""
        return f"{self.full_name or self.push_name or ''} {jid.user(self.jid or '')}".casefold()

    def columns(self) -> dict[str, Any]:
        """As parameters of a statement."""
        return {name: getattr(self, name) for name in self.__struct_fields__} | {"search": self.search()}


_WORDS = ("jid", "lid", "push_name", "full_name", "business_name")


def _contact(row: Row, shown: ContactSource | None) -> Contact:
    return Contact(
        lid=row[2] or row[1],
        source=shown or ("dm" if row[6] == 1 or row[7] == 0 else "group"),
        name=row[4] or row[3] or UNSET,
        phone_number=UNSET if row[1] is None else jid.user(row[1]),
        business_name=row[5] or UNSET,
    )


def _identity(row: Row) -> Identity:
    return Identity(
        id=row[0],
        lid=row[2] or row[1],
        first_seen_at=row[6],
        updated_at=row[7],
        name=row[4] or row[3] or UNSET,
        business_name=row[5] or UNSET,
        phone_jid=row[1] or UNSET,
        phone_number=UNSET if row[1] is None else jid.user(row[1]),
    )
