"""First words to somebody, while WhatsApp lets a session write to nobody new (its reach-out lock).

WhatsApp says that the lock is there, not until when: after a refusal, first contacts wait for an hour, and then one is
tried before the others; chats that are known go on. What may wait waits in the outbox; who waits for an answer gets the
refusal at once. The lock is kept with the session: a restart asks no earlier. Called by a
runner.
"""

from __future__ import annotations

import structlog

from wagate.errors import Refused, WagateError
from wagate.gateway import Gateway, dispatch, waits
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry
from wagate.model.messages import Ack

log = structlog.get_logger(__name__)

HOLD_MS = 3_600_000
"""How long first contacts wait after a refusal, in milliseconds."""


class Newcomers:
    """One session's first contacts. Nothing is known before `recall`."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._until: int | None = None
        self._trying: str | None = None

    async def recall(self, held: Held) -> None:
        """Take up the lock that an earlier holder met."""
        self._until = await waits.strangers_at(self._gw.db, held.organization_id, held.id)

    @property
    def welcome(self) -> bool:
        """Whether a first contact may go out now, as far as is known."""
        return self._until is None or (self._gw.clock.now() >= self._until and self._trying is None)

    async def turned_away(self, held: Held, entry: Entry) -> Refused | None:
        """The refusal of an entry that would be a first contact while there may be none; None: it may go out."""
        if self._until is None or await dispatch.knows(self._gw, held, entry.chat):
            return None
        if self.welcome:
            self._trying = entry.id
            return None
        # Without a number: this is what we know of WhatsApp, not what it said to this send.
        return Refused("WhatsApp lets this account write to nobody new now", reason=waits.LOCKED)

    async def waits(self, held: Held, entry: Entry, outcome: Ack | WagateError | None) -> bool:
        """Look at what became of an entry; whether it was put back to wait, and is to be settled later.

        Raises:
            LeaseLost: the session is another's.
        """
        tried = self._trying == entry.id
        if tried:
            self._trying = None
        if not isinstance(outcome, Refused) or outcome.details.get("reason") != waits.LOCKED:
            if tried and isinstance(outcome, Ack):
                self._until = None
                await waits.hold_strangers(self._gw, held, None)
                log.info("WhatsApp lets a session write to new people again", session=held.id)
            return False
        if "waCode" in outcome.details:
            await self._lock(held)
        if entry.mode == "sync":
            return False
        await dispatch.put_back(self._gw, held, entry)
        return True

    async def _lock(self, held: Held) -> None:
        now = self._gw.clock.now()
        if self._until is not None and now < self._until:
            return  # several were under way when the first was refused
        self._until = now + HOLD_MS
        await waits.hold_strangers(self._gw, held, self._until)
        log.warning("WhatsApp lets a session write to nobody new", session=held.id, hold_seconds=HOLD_MS // 1000)
