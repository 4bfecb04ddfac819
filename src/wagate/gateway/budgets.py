"""The send budget: how many sends a session may dispatch in a minute and in an hour.

Counted over the outbox rows themselves (`budgeted_at`), so every process sees the same and a restart forgets nothing.
A rate of 0 is unlimited. Called by outbox (a sync send takes its place when accepted) and dispatch (an async one when
claimed).
"""

from __future__ import annotations

from wagate.backends.database import Reader
from wagate.gateway import Rules
from wagate.model.sessions import Session

CAUTIOUS = (20, 200)
"""Sends a minute and an hour of a protected account, where the operator's own budget is unlimited."""
_WINDOWS = ((60_000, "rate_per_min"), (3_600_000, "rate_per_hour"))
_TAKEN = """
SELECT COUNT(*) FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND budgeted_at > :since AND budgeted_at <= :now
"""
# The place that has to leave the window before there is room for one more.
_LEAVES = """
SELECT budgeted_at FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND budgeted_at > :since AND budgeted_at <= :now ORDER BY budgeted_at LIMIT 1 OFFSET :surplus
"""
_WAITING = """
SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE organization_id = :organization_id AND session_id = :session_id
  AND status = 'queued' AND budgeted_at IS NULL LIMIT :most) waiting
"""


def limited(session: Session) -> bool:
    """Whether the session has a budget at all."""
    return session.rate_per_min > 0 or session.rate_per_hour > 0


def protecting(rules: Rules, wanted: bool | None) -> tuple[int, int]:
    """The rates of a session that is to be protected by a budget, or not; unsaid, they are the operator's."""
    usual = rules.rate_per_min, rules.rate_per_hour
    if wanted is None or wanted == any(usual):
        return usual
    return CAUTIOUS if wanted else (0, 0)


async def waiting(reader: Reader, session: Session, *, most: int) -> int:
    """How many accepted sends of the session have no place in its budget yet; counted up to `most`."""
    row = await reader.one(_WAITING, organization_id=session.organization_id, session_id=session.id, most=most)
    return 0 if row is None else int(row[0])


async def room(reader: Reader, session: Session, now: int) -> tuple[int, int]:
    """How many sends may go out now, and (when none) at what time, in epoch milliseconds, the next may."""
    best, free_at = 1_000_000, now
    for span, name in _WINDOWS:
        rate = getattr(session, name)
        if rate == 0:
            continue
        window = {
            "organization_id": session.organization_id,
            "session_id": session.id,
            "since": now - span,
            "now": now,
        }
        row = await reader.one(_TAKEN, **window)
        taken = 0 if row is None else int(row[0])
        best = min(best, rate - taken)
        if taken >= rate:
            leaves = await reader.one(_LEAVES, **window, surplus=taken - rate)
            free_at = max(free_at, (now if leaves is None else int(leaves[0])) + span)
    return best, free_at
