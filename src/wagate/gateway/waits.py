"""Until when WhatsApp keeps a session from something: from writing to anybody new, or from coming in at all.

Kept with the session, so that neither a restart nor another holder asks too early: an account that asks again and again
is banned. Called by workers (they learn of it) and by whoever refuses a client for it.
"""

from __future__ import annotations

from wagate.backends.database import Reader, Tx
from wagate.errors import SessionNotConnected, WagateError
from wagate.gateway import Gateway, leases
from wagate.gateway.leases import Held
from wagate.model.sessions import Session

LOCKED = "timelocked"
"""The reason by which an engine tells that the account may write to nobody new."""

_STRANGERS = "SELECT strangers_at FROM sessions WHERE organization_id = :organization_id AND id = :id"
_HOLD = "UPDATE sessions SET strangers_at = :until WHERE organization_id = :organization_id AND id = :id"
_BANNED = "SELECT banned_until FROM sessions WHERE organization_id = :organization_id AND id = :id"
_BAN = "UPDATE sessions SET banned_until = :until WHERE organization_id = :organization_id AND id = :id"


async def strangers_at(reader: Reader, organization_id: str, session_id: str) -> int | None:
    """From when on one may try to write to somebody new, in epoch ms; None: there is no lock that anybody knows of."""
    row = await reader.one(_STRANGERS, organization_id=organization_id, id=session_id)
    return None if row is None or row[0] is None else int(row[0])


async def explained(gw: Gateway, organization_id: str, session_id: str, error: WagateError) -> WagateError:
    """A refusal, with the seconds after which it may be asked again, where that is known and not over."""
    if error.details.get("reason") == LOCKED:
        until, now = await strangers_at(gw.db, organization_id, session_id), gw.clock.now()
        if until is not None and until > now:
            error.details["retryAfterSeconds"] = seconds(until - now)
    return error


def seconds(milliseconds: int) -> int:
    """Whole seconds, rather one more."""
    return -(-milliseconds // 1000)


async def hold_strangers(gw: Gateway, held: Held, until: int | None) -> None:
    """Nobody new is to be written to before this moment; None: the lock is over.

    Raises:
        LeaseLost: the session is another's.
    """
    await _keep(gw, held, _HOLD, until)


async def banned(gw: Gateway, held: Held, until: int) -> None:
    """WhatsApp lets the session not in before this moment.

    Raises:
        LeaseLost: the session is another's.
    """
    await _keep(gw, held, _BAN, until)


async def offline(reader: Reader, session: Session, now: int) -> SessionNotConnected:
    """Why a session that does not work can do nothing; with the seconds that a ban lasts, where WhatsApp said so."""
    if session.status_reason == "temp_banned":
        row = await reader.one(_BANNED, organization_id=session.organization_id, id=session.id)
        if row is not None and (row[0] or 0) > now:
            told = "WhatsApp has banned the account for a time"
            return SessionNotConnected(told, retryAfterSeconds=seconds(row[0] - now))
    return SessionNotConnected()


async def _keep(gw: Gateway, held: Held, statement: str, until: int | None) -> None:
    async def work(tx: Tx) -> None:
        await leases.fence(tx, held)
        await tx.run(statement, organization_id=held.organization_id, id=held.id, until=until)

    await gw.db.write(work)
