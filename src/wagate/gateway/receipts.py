"""Receipts: how far the account's own messages came, and with whom; and the receipts that it sends itself.

A message never moves backwards; in groups each member counts by themselves. Called by workers/inbox (came) and
api/changes (mark_read).
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.gateway import Gateway, actions, chats, contacts, dispatch, events, messages
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import jid
from wagate.model.actions import MarkRead
from wagate.model.events import ChatUpdate, MessageStatusChanged
from wagate.model.messages import ACK_LEVELS, Receipt
from wagate.model.organizations import Caller

MOST_READ = 1000
"""How many messages one request marks as read by count or by age."""

_COUNT = """
INSERT INTO receipts (session_id, chat_jid, wire_id, person, organization_id, level)
VALUES (:session_id, :chat, :wire_id, :person, :organization_id, :level)
ON CONFLICT (session_id, chat_jid, wire_id, person) DO UPDATE SET level = excluded.level
  WHERE receipts.level < excluded.level
"""
_MARKED = """
SELECT wire_id, author, timestamp, position FROM messages WHERE organization_id = :organization_id
  AND session_id = :session_id AND wire_id IN ({each:wire_ids}) AND chat_jid = :chat AND from_me = 0
  AND (:anybody = 1 OR author IN ({each:authors}))
"""
_UNREAD = """
SELECT unread_count FROM chats
WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :chat {for_update}
"""
_NEWER = """
SELECT COUNT(*) FROM (SELECT 1 FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND (timestamp, position) > (:timestamp, :position) AND from_me = 0 LIMIT :most) newer
"""
_READ = """
UPDATE chats SET unread_count = :unread
WHERE organization_id = :organization_id AND session_id = :session_id AND jid = :chat
"""


async def came(tx: Tx, held: Held, now: int, receipt: Receipt) -> list[Fact]:
    """Store a receipt; one fact for the messages that it moved, none for a repeat.

    A receipt for a send whose answer never came proves that it went out, and settles it.
    """
    receipt = await _as_stored(tx, held, receipt)
    facts: list[Fact] = []
    moved: list[str] = []
    for wire_id in receipt.wire_ids:
        where = {"chat": receipt.chat, "wire_id": wire_id}
        advanced = await messages.advance(tx, held, **where, status=receipt.status)
        if not advanced and not await messages.is_sent(tx, held, **where):
            facts += await dispatch.prove(tx, held, now, wire_id=wire_id, receipt=receipt)
            advanced = await messages.advance(tx, held, **where, status=receipt.status)
            if not advanced:
                continue
        if await _counts(tx, held, receipt, wire_id) if jid.is_group(receipt.chat) else advanced:
            moved.append(wire_id)
    if not moved:
        return facts
    changed = MessageStatusChanged(
        chat_jid=receipt.chat,
        message_ids=moved,
        status=receipt.status,
        timestamp=receipt.timestamp,
        sender_jid=receipt.sender or UNSET,
    )
    return [*facts, ("message.status", changed)]


async def _as_stored(tx: Tx, held: Held, receipt: Receipt) -> Receipt:
    """The receipt with the addresses that the store knows its people by."""

    async def known(address: str) -> str:
        return await contacts.resolve(tx, held.organization_id, held.id, address)

    sender = await known(receipt.sender) if isinstance(receipt.sender, str) else receipt.sender
    return msgspec.structs.replace(receipt, chat=await known(receipt.chat), sender=sender)


async def _counts(tx: Tx, held: Held, receipt: Receipt, wire_id: str) -> bool:
    changed = await tx.run(
        _COUNT,
        organization_id=held.organization_id,
        session_id=held.id,
        chat=receipt.chat,
        wire_id=wire_id,
        person=receipt.sender or "",
        level=ACK_LEVELS[receipt.status],
    )
    return changed > 0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a chat that were read, by wire id; `sender` is their author's JID, None: the stored ones'."""

    chat: str
    message_ids: list[str]
    sender: str | None = None


async def mark_read(gw: Gateway, caller: Caller, session_id: str, reading: Reading) -> None:
    """Send read receipts; from then on the chat counts as unread what is newer than the newest of these messages.

    In a group, messages that are not stored have no author to be told, unless one is named.

    Raises what `actions.ask` does.
    """
    await actions.require_connected(gw, caller, session_id)
    here = {"organization_id": caller.organization_id, "session_id": session_id}
    here["chat"] = await contacts.resolve(gw.db, caller.organization_id, session_id, reading.chat)
    authors = [""]
    if reading.sender is not None:
        authors = await contacts.addresses(gw.db, caller.organization_id, session_id, reading.sender)
    wanted = list(dict.fromkeys(reading.message_ids))
    rows = await gw.db.all(
        _MARKED,
        **here,
        wire_ids=msgspec.json.encode(wanted).decode(),
        anybody=int(reading.sender is None),
        authors=msgspec.json.encode(authors).decode(),
    )
    for action in _receipts(here["chat"], reading.sender, wanted, rows):
        await actions.ask(gw, caller, session_id, action)
    if rows:
        timestamp, position = max((row[2], row[3]) for row in rows)

        async def work(tx: Tx) -> None:
            facts = await _count_newer(tx, here, timestamp, position)
            await events.record(tx, gw.clock.now(), caller.organization_id, session_id=session_id, facts=facts)

        await gw.db.write(work)
        events.hint(gw, caller.organization_id)


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far back a chat is to be read: its newest messages, at most so many, none older than `since` (epoch
    milliseconds). With neither it is what is unread.
    """

    most: int | None = None
    since: int | None = None


async def catch_up(gw: Gateway, caller: Caller, session_id: str, chat: str, *, reach: Reach) -> int:
    """Send read receipts for others' messages of a chat, from the newest back, at most `MOST_READ`; how many.

    Raises what `mark_read` does, and:
        NotFound: the session has no such chat.
    """
    await actions.require_connected(gw, caller, session_id)
    unread = (await chats.get(gw, caller, session_id, chat)).unread_count
    unsaid = unread if reach.since is None else MOST_READ
    most = min(unsaid if reach.most is None else reach.most, MOST_READ)
    theirs = messages.Sieve(limit=most, since=reach.since or 0, from_me=False)
    found = await messages.sifted(gw, caller, session_id, theirs, chat=chat)
    if found:
        ids = [each.wa_message_id for each in found]
        await mark_read(gw, caller, session_id, Reading(chat=chat, message_ids=ids))
    return len(found)


def _receipts(chat: str, sender: str | None, wanted: list[str], rows: list[Row]) -> list[MarkRead]:
    """What the network is told: one receipt for each author, where it must know of whom they are."""
    if sender is not None:
        return [MarkRead(chat=chat, sender=sender, message_ids=wanted)]
    if jid.chat_type(chat) in ("dm", "newsletter"):
        return [MarkRead(chat=chat, message_ids=wanted)]
    by_author: dict[str, list[str]] = {}
    for wire_id, author in sorted(((row[0], row[1]) for row in rows), key=lambda pair: wanted.index(pair[0])):
        by_author.setdefault(author, []).append(wire_id)
    return [MarkRead(chat=chat, sender=author, message_ids=ids) for author, ids in by_author.items()]


async def _count_newer(tx: Tx, here: dict[str, str], timestamp: int, position: int) -> list[Fact]:
    """What is newer than this is unread still; a fact when that is less than there was."""
    unread = await tx.one(_UNREAD, **here)
    if unread is None or unread[0] == 0:
        return []
    newer = await tx.one(_NEWER, **here, timestamp=timestamp, position=position, most=unread[0])
    left = 0 if newer is None else int(newer[0])
    if left == unread[0]:
        return []
    await tx.run(_READ, **here, unread=left)
    return [("chat.update", ChatUpdate(chat_jid=here["chat"], change="read", unread_count=left))]
