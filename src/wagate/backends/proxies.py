"""Proxies that customers name: judged like every address that the gateway is sent to, at each connect anew.

An `http` or `socks5` proxy is dialled at the very address that was judged. An `https` proxy keeps its name, which its
certificate must bear: a name that changes its mind in that moment leads to a TLS greeting elsewhere, and no further.
Called by gateway/proxies (the shape) and by bootstrap for the engine that dials.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from wagate.backends.guard import NOT_A_PLACE, Guard, UrlRefused, judge_shape

SCHEMES: Final = {"http": 80, "https": 443, "socks5": 1080}
"""What a proxy speaks, and its usual port."""


def judge_proxy(url: str) -> SplitResult:
    """Refuse what is no proxy's URL, wherever it leads. Credentials may stand in it. The parts.

    Raises:
        UrlRefused: another scheme, no host, a path, or as for every URL. The reason repeats nothing of it.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in SCHEMES:
        raise UrlRefused("it does not begin with http://, https:// or socks5://")
    place = rest.rpartition("@")[2]
    judge_shape(f"http://{place}")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is none
    except ValueError:
        raise UrlRefused(NOT_A_PLACE) from None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UrlRefused("it has more in it than credentials, a host and a port")
    return parts


async def checked(url: str, guard: Guard, resolve: Callable[[str, int], Awaitable[list[str]]]) -> str:
    """The URL to dial, for this connect.

    Raises:
        UrlRefused: one of its addresses may not be used.
        OSError: it has none.
    """
    parts = judge_proxy(url)
    host, port = parts.hostname or "", parts.port or SCHEMES[parts.scheme]
    guard.judge_host(host)
    addresses = await resolve(host, port)
    for address in addresses:
        guard.judge_address(address)
    if not addresses:
        raise OSError("the proxy's host has no address")
    if parts.scheme == "https":
        return url
    address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    credentials, at, _ = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{credentials}{at}{address}:{port}"
