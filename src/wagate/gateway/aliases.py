"""Two addresses of one person: what was stored under the LID is joined to what is stored under the phone JID.

Nothing is lost: where both sides hold the same thing, the one that came further stays. What is under way finds its rows
again, for everybody asks contacts.resolve for a chat's address. Called by contacts, in the very transaction that learns
the link.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wagate.backends.database import Row, Tx
from wagate.gateway.leases import Held
from wagate.model import jid

_HERE = "organization_id = :organization_id AND session_id = :session_id"
_OF_AUTHOR = "sender_jid IS NULL AND sender_lid = :lid AND author = :lid"
_SAID_BY_THEM = f"""(chat_jid, wire_id) IN (SELECT chat_jid, wire_id FROM messages WHERE {_HERE} AND {_OF_AUTHOR})
  AND author = :lid"""
# A row that is keyed by its session would be looked for through all of that session's rows.
_OF_PERSON = """organization_id = :organization_id AND session_id || '' = :session_id AND person = :lid
  AND substr(person, length(person) - 3) = '@lid'"""
_KEYS = {
    "receipts": ("session_id", "chat_jid", "wire_id", "person"),
    "reactions": ("session_id", "chat_jid", "wire_id", "author", "person"),
    "votes": ("session_id", "chat_jid", "wire_id", "author", "person"),
    "polls": ("session_id", "chat_jid", "wire_id", "author"),
}
_REST = {
    "receipts": ("organization_id", "level"),
    "reactions": ("organization_id", "emoji", "timestamp"),
    "votes": ("organization_id", "name", "options", "timestamp"),
    "polls": ("organization_id", "ends_at", "recapped_at"),
}
_NEWER = {
    "receipts": "receipts.level < excluded.level",
    "reactions": "reactions.timestamp < excluded.timestamp",
    "votes": "votes.timestamp < excluded.timestamp",
    # A poll that was counted once is not counted again.
    "polls": "polls.recapped_at IS NULL",
}


def _moved(table: str, column: str, where: str) -> tuple[str, str]:
    """The statements that give the rows of `where` the phone JID in `column`; of two alike the newer one stays."""
    columns = (*_KEYS[table], *_REST[table])
    taken = ", ".join("CAST(:phone AS TEXT)" if each == column else each for each in columns)
    update = ", ".join(f"{each} = excluded.{each}" for each in _REST[table])
    return (
        f"""
INSERT INTO {table} ({", ".join(columns)}) SELECT {taken} FROM {table} WHERE {where}
ON CONFLICT ({", ".join(_KEYS[table])}) DO UPDATE SET {update} WHERE {_NEWER[table]}
-- organization_id is among the columns
""",
        f"DELETE FROM {table} WHERE {where} -- organization_id is named there",
    )


_ABOUT_MESSAGES = tuple(
    statement
    for column, where, tables in (
        ("author", f"{_HERE} AND {_SAID_BY_THEM}", ("reactions", "votes", "polls")),
        ("chat_jid", f"{_HERE} AND chat_jid = :lid", ("receipts", "reactions", "votes", "polls")),
        ("person", _OF_PERSON, ("receipts", "reactions", "votes")),
    )
    for table in tables
    for statement in _moved(table, column, where)
)


def _twins(column: str, same: str, which: str, drop: str, only: str) -> str:
    """The statement that drops one of two messages that are one, and says whose they were."""
    return f"""
DELETE FROM messages WHERE organization_id = :organization_id AND position IN (
  SELECT {drop}.position FROM messages l JOIN messages p ON p.organization_id = l.organization_id
    AND p.session_id = l.session_id AND p.wire_id = l.wire_id AND p.{same} = l.{same} AND p.{column} = :phone
  WHERE l.organization_id = :organization_id AND l.session_id = :session_id AND {which} {only}) RETURNING from_me
"""


_FURTHER = """AND (l.deleted > p.deleted OR (l.deleted = p.deleted AND (l.edited > p.edited OR (l.edited = p.edited
    AND COALESCE(l.ack_level, 0) > COALESCE(p.ack_level, 0)))))"""
_OF_L = "l.sender_jid IS NULL AND l.sender_lid = :lid AND l.author = :lid"
_AUTHOR_TWINS = (
    _twins("author", "chat_jid", _OF_L, "p", _FURTHER),
    _twins("author", "chat_jid", _OF_L, "l", ""),
)
_AUTHOR = f"UPDATE messages SET author = :phone, sender_jid = :phone WHERE {_HERE} AND {_OF_AUTHOR}"
_CHAT_TWINS = (
    _twins("chat_jid", "author", "l.chat_jid = :lid", "p", _FURTHER),
    _twins("chat_jid", "author", "l.chat_jid = :lid", "l", ""),
)
_CHAT = f"UPDATE messages SET chat_jid = :phone WHERE {_HERE} AND chat_jid = :lid"
_OTHER_HALF = f"UPDATE messages SET sender_lid = :lid WHERE {_HERE} AND sender_lid IS NULL AND sender_jid = :phone"

_OUTBOX = (
    f"UPDATE outbox SET chat_jid = :phone WHERE {_HERE} AND chat_jid = :lid AND settled_at IS NULL",
    f"UPDATE outbox SET chat_jid = :phone WHERE {_HERE} AND chat_jid = :lid AND status = 'uncertain'",
)
# Two chats' first entries are one chat's now: the later one waits again.
_ONE_TURN = f"""
UPDATE outbox SET ready = 0 WHERE {_HERE} AND chat_jid = :phone AND settled_at IS NULL AND status = 'queued'
  AND position > (SELECT MIN(position) FROM outbox WHERE {_HERE} AND chat_jid = :phone AND settled_at IS NULL)
"""
_OWNERS = f"UPDATE groups SET owner_jid = :phone WHERE {_HERE} AND owner_jid = :lid"
_MEMBERS = f"""
SELECT id, group_jid, role, tag, present, first_seen_at, last_seen_at FROM members
WHERE {_HERE} AND lid = :lid AND jid = :lid
"""
_TWIN_MEMBER = f"""
SELECT id, group_jid, role, tag, present, first_seen_at, last_seen_at FROM members
WHERE {_HERE} AND group_jid = :group_jid AND jid = :phone
"""
_FORGET_MEMBER = f"DELETE FROM members WHERE {_HERE} AND id = :id"
_MEMBER = f"""
UPDATE members SET jid = :phone, lid = :lid, phone_number = :number, role = :role, tag = :tag, present = :present,
  first_seen_at = :first_seen_at, last_seen_at = :last_seen_at WHERE {_HERE} AND id = :id
"""
_MEMBER_LIDS = f"UPDATE members SET lid = :lid WHERE {_HERE} AND lid = :phone"
_CHATS = f"""
SELECT jid, id, name, unread_count, archived, pinned, last_message_at, muted_until, aliases FROM chats
WHERE {_HERE} AND jid IN (:phone, :lid)
"""
_FORGET_CHAT = f"DELETE FROM chats WHERE {_HERE} AND id = :id"
_MERGE_CHAT = f"""
UPDATE chats SET jid = :phone, name = :name, unread_count = :unread, archived = :archived, pinned = :pinned,
  last_message_at = :at, muted_until = :muted_until, aliases = :aliases WHERE {_HERE} AND id = :id
"""
_ANYTHING = f"""
SELECT 1 FROM (SELECT 1 AS one) here WHERE
  EXISTS (SELECT 1 FROM outbox WHERE {_HERE} AND chat_jid = :lid AND settled_at IS NULL)
  OR EXISTS (SELECT 1 FROM chats WHERE {_HERE} AND jid = :lid)
  OR EXISTS (SELECT 1 FROM members WHERE {_HERE} AND lid = :lid AND jid = :lid)
"""


async def known_by(tx: Tx, held: Held, lid: str) -> bool:
    """Whether anything at all goes by this LID."""
    return await tx.one(_ANYTHING, organization_id=held.organization_id, session_id=held.id, lid=lid) is not None


async def join(tx: Tx, held: Held, *, phone: str, lid: str) -> int | None:
    """Both addresses are one person's: everything of the LID is the phone JID's from now on.

    The unread count of their chat when there was one by the LID, else None: there is nothing to tell.
    """
    here = {"organization_id": held.organization_id, "session_id": held.id}
    both = {**here, "phone": phone, "lid": lid}
    for statement in _ABOUT_MESSAGES:
        await tx.run(statement, **both)
    for statement in _AUTHOR_TWINS:
        await tx.all(statement, **both)
    await tx.run(_AUTHOR, **both)
    dropped = [row for statement in _CHAT_TWINS for row in await tx.all(statement, **both)]
    await tx.run(_CHAT, **both)
    await tx.run(_OTHER_HALF, **both)
    for statement in _OUTBOX:
        await tx.run(statement, **both)
    await tx.run(_ONE_TURN, **here, phone=phone)
    await tx.run(_OWNERS, **both)
    await _join_members(tx, both)
    # What was counted on both sides was one message.
    return await _join_chats(tx, both, twice=sum(1 for row in dropped if row[0] == 0))


async def _join_members(tx: Tx, both: dict[str, Any]) -> None:
    here = {name: both[name] for name in ("organization_id", "session_id")}
    for mine in await tx.all(_MEMBERS, **here, lid=both["lid"]):
        twin = await tx.one(_TWIN_MEMBER, **here, group_jid=mine[1], phone=both["phone"])
        latest = mine
        if twin is not None:
            await tx.run(_FORGET_MEMBER, **here, id=mine[0])
            latest = max(mine, twin, key=lambda row: (row[4], row[6]))
        kept = [mine] if twin is None else [twin, mine]
        await tx.run(
            _MEMBER,
            **both,
            number=jid.user(both["phone"]),
            id=kept[0][0],
            role=latest[2],
            tag=next((row[3] for row in (latest, *kept) if row[3] is not None), None),
            present=latest[4],
            first_seen_at=min(row[5] for row in kept),
            last_seen_at=max(row[6] for row in kept),
        )
    await tx.run(_MEMBER_LIDS, **both)


async def _join_chats(tx: Tx, both: dict[str, Any], *, twice: int) -> int | None:
    found = {row[0]: row for row in await tx.all(_CHATS, **both)}
    hidden, shown = found.get(both["lid"]), found.get(both["phone"])
    if hidden is None:
        return None
    here = {name: both[name] for name in ("organization_id", "session_id")}
    rows = [hidden] if shown is None else [shown, hidden]
    if shown is not None:
        await tx.run(_FORGET_CHAT, **here, id=hidden[1])
    unread: int = max(sum(row[3] for row in rows) - twice, 0)
    await tx.run(
        _MERGE_CHAT,
        **here,
        phone=both["phone"],
        id=rows[0][1],
        name=next((row[2] for row in rows if row[2] is not None), None),
        unread=unread,
        # What one side hid and the other did not stays in sight.
        archived=min(row[4] for row in rows),
        pinned=max(row[5] for row in rows),
        at=max((row[6] for row in rows if row[6] is not None), default=None),
        muted_until=max((row[7] for row in rows if row[7] is not None), default=None),
        aliases=_aliases(rows, both["lid"]),
    )
    return unread


def _aliases(rows: list[Row], lid: str) -> str:
    known = [each for row in rows if row[8] is not None for each in msgspec.json.decode(row[8], type=list[str])]
    return msgspec.json.encode(list(dict.fromkeys([*known, lid]))).decode()
