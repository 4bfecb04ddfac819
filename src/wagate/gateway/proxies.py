"""Proxies of sessions: what a session's engine reaches its network by. Kept sealed, never given back.

Called by sessions (a customer names one) and by the runner (it connects).
"""

from __future__ import annotations

from wagate.backends.database import Reader
from wagate.backends.guard import UrlRefused
from wagate.backends.proxies import judge_proxy
from wagate.errors import BadRequest
from wagate.gateway import Gateway

_GET = "SELECT proxy FROM sessions WHERE organization_id = :organization_id AND id = :id"


def sealed(gw: Gateway, session_id: str, engine: str, url: str | None, *, old: str | None = None) -> str | None:
    """What is kept of a wish: `old` where there is none, nothing for an empty one.

    Raises:
        BadRequest: it is no proxy, leads to where none may, or the engine takes none.
    """
    if url is None:
        return old
    if not gw.rules.engine(engine).takes_proxy:
        raise BadRequest.field("proxyUrl", f"engine `{engine}` connects to no network that a proxy could reach")
    if not url:
        return None
    try:
        parts = judge_proxy(url)
        gw.http.judge(f"http://{parts.netloc.rpartition('@')[2]}")
    except UrlRefused as refusal:
        raise BadRequest.field("proxyUrl", refusal.reason) from None
    return gw.sealer.seal(url, about=f"{session_id} proxy")


async def kept(reader: Reader, organization_id: str, session_id: str) -> str | None:
    """The session's proxy as it is kept."""
    row = await reader.one(_GET, organization_id=organization_id, id=session_id)
    return None if row is None or row[0] is None else str(row[0])


async def of(gw: Gateway, organization_id: str, session_id: str) -> str | None:
    """The session's proxy, with its credentials: for the engine alone.

    Raises:
        CannotOpen: it was sealed with another key than this process has.
    """
    found = await kept(gw.db, organization_id, session_id)
    return None if found is None else gw.sealer.open(found, about=f"{session_id} proxy")
