"""Receipts: how far the account's own messages came, and with whom.

A message never moves backwards; in groups each member counts by themselves. Called by workers/runner.
"""

from __future__ import annotations

from msgspec import UNSET

from wagate.backends.database import Tx
from wagate.gateway import dispatch, messages
from wagate.gateway.events import Fact
from wagate.gateway.leases import Held
from wagate.model import jid
from wagate.model.events import MessageStatusChanged
from wagate.model.messages import ACK_LEVELS, Receipt

_COUNT = """
INSERT INTO receipts (session_id, chat_jid, wire_id, person, organization_id, level)
VALUES (:session_id, :chat, :wire_id, :person, :organization_id, :level)
ON CONFLICT (session_id, chat_jid, wire_id, person) DO UPDATE SET level = excluded.level
  WHERE receipts.level < excluded.level
"""


async def came(tx: Tx, held: Held, now: int, receipt: Receipt) -> list[Fact]:
    """Store a receipt; one fact for the messages that it moved, none for a repeat.

    A receipt for a send whose answer never came proves that it went out, and settles it.
    """
    facts: list[Fact] = []
    moved: list[str] = []
    for wire_id in receipt.wire_ids:
        where = {"chat": receipt.chat, "wire_id": wire_id}
        advanced = await messages.advance(tx, held, **where, status=receipt.status)
        if not advanced and not await messages.is_sent(tx, held, **where):
            facts += await dispatch.prove(tx, held, now, **where)
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
