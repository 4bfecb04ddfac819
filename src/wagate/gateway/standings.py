"""How groups stand with a session's account, as stored: whether it is in them, and whether it archived their chat.

Called by api/compat.
"""

from __future__ import annotations

import msgspec

from wagate.gateway import Gateway, sessions
from wagate.model.groups import Standing
from wagate.model.organizations import Caller

_STANDINGS = """
SELECT g.group_jid, CASE
  WHEN NOT EXISTS (SELECT 1 FROM members m WHERE m.organization_id = g.organization_id
    AND m.session_id = g.session_id AND m.group_jid = g.group_jid AND m.jid IN ({each:addresses}) AND m.present = 1)
    THEN 'deleted'
  WHEN EXISTS (SELECT 1 FROM chats c WHERE c.organization_id = g.organization_id
    AND c.session_id = g.session_id AND c.jid = g.group_jid AND c.archived = 1)
    THEN 'archived' ELSE 'active' END
FROM groups g WHERE g.organization_id = :organization_id AND g.session_id = :session_id
  AND (:group_jid = '' OR g.group_jid = :group_jid)
"""


async def of(gw: Gateway, caller: Caller, session_id: str, group_jid: str = "") -> dict[str, Standing]:
    """How each of the session's stored groups stands, or the one that is named.

    `deleted`: the account is in it no longer; `archived`: it is, and archived its chat.
    """
    session = await sessions.require(gw.db, caller, session_id)
    addresses = [address for address in (session.wa_jid, session.wa_lid) if isinstance(address, str)]
    rows = await gw.db.all(
        _STANDINGS,
        organization_id=caller.organization_id,
        session_id=session_id,
        group_jid=group_jid,
        addresses=msgspec.json.encode(addresses).decode(),
    )
    return {row[0]: row[1] for row in rows}
