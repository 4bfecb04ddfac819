"""Logging a session out: the network is told where that can be, and the keys go in any case. Called by runner.py."""

from __future__ import annotations

import asyncio

from wagate.engines import base
from wagate.errors import Unavailable
from wagate.model.sessions import Reason

_TRIES_SECONDS = 8.0


async def unlink(engine: base.Engine, line: base.Connection, account: base.Account) -> Reason | None:
    """Unlink and forget; None where the network knows of it, else the reason to tell.

    Raises:
        Unavailable: the keys cannot be removed now, and nobody would do so later.
    """
    reason: Reason | None = "unlink_unconfirmed"
    deadline = asyncio.get_running_loop().time() + _TRIES_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            await line.connect()
            await line.logout()
            reason = None
            break
        except base.LinkEnded as end:
            # Without keys nobody was told.
            reason = "unlink_unconfirmed" if end.reason is None else None
            break
        except base.ConnectionLost:
            await asyncio.sleep(0.5)
    # First, so that nobody has the keys in hand.
    await line.close()
    try:
        await engine.forget(account)
    except Unavailable:
        # What lies on this machine of a session that is logged out the janitor removes as soon as that can be.
        if account.session_id not in await engine.kept():
            raise
    return reason
