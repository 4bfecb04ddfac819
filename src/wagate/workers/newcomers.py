"""First words to somebody, while WhatsApp lets a session write to nobody new (its reach-out lock).

WhatsApp says that the lock is there, not until when: after a refusal, first contacts wait for an hour before one is
tried again; chats that are known go on. What may wait waits in the outbox; who waits for an answer gets the refusal.
Kept in memory: the next holder of the session learns of the lock as this one did. Called by a runner.
"""

from __future__ import annotations

import structlog

from wagate.errors import Refused, WagateError
from wagate.gateway import Gateway, dispatch
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry
from wagate.model.messages import Ack

log = structlog.get_logger(__name__)

LOCKED = "reachout_locked"
"""The reason by which an engine tells of the lock."""

HOLD_MS = 3_600_000
"""How long first contacts wait after a refusal, in milliseconds."""


class Newcomers:
    """One session's first contacts."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._until = 0

    @property
    def welcome(self) -> bool:
        """Whether first contacts may go out now, as far as is known."""
        return self._gw.clock.now() >= self._until

    async def turned_away(self, held: Held, entry: Entry) -> Refused | None:
        """The refusal of an entry that would be a first contact while there may be none; None: it may go out."""
        if self.welcome or await dispatch.knows(self._gw, held, entry.chat):
            return None
        return Refused("WhatsApp lets this account write to nobody new now", reason=LOCKED)

    async def waits(self, held: Held, entry: Entry, outcome: Ack | WagateError | None) -> bool:
        """Look at what became of an entry; whether it was put back to wait, and is to be settled later.

        Raises:
            LeaseLost: the session is another's.
        """
        if not isinstance(outcome, Refused) or outcome.details.get("reason") != LOCKED:
            return False
        if self.welcome:
            self._until = self._gw.clock.now() + HOLD_MS
            log.warning("WhatsApp lets a session write to nobody new", session=held.id, hold_seconds=HOLD_MS // 1000)
        if entry.mode == "sync":
            return False
        await dispatch.put_back(self._gw, held, entry)
        return True
